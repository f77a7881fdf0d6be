"""``SOURCE_DATE_EPOCH``: what comes out of the cache is what a machine without one makes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, build, parse_cache_place
from oakum.store import Store
from support.busy import LINES, Context

LONG_AGO, AGO, LATELY = 1_000_000_000, 1_500_000_000, 1_790_000_000
PYC = r"\x42\x0d\r\n\0\0\0\0"
BELOW = " && chmod 600 /base/new && cp -p /base/new /copied"
"""What takes over times of the layer below."""
TEXT = (
    "FROM scratch AS base",
    "COPY --chmod=755 busybox /bin/busybox",
    'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    "COPY files /base",
    "FROM base",
    "WORKDIR /made/here",
    "COPY files /files",
    f"RUN rm /base/old && echo run >/run && ln /run /linked && mkdir /dir{BELOW}"
    " && touch -d @1000000 /older && touch -d @1450000000 /later"
    rf" && printf '{PYC}\377\377\377\157pyc' >/x.pyc && printf '{PYC}\1\0\0\0pyc' >/y.pyc",
    "RUN cat /run /files/new >/last",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = Context(tmp_path / "project").write_all(*TEXT)
    (place / "files/d").mkdir(parents=True)
    for name in ("old", "new", "d/x"):
        (place / "files" / name).write_text(f"{name}\n")
    for number, path in enumerate(sorted(place.rglob("*"))):
        os.utime(path, (1_400_000_000 + number, 1_400_000_000 + number), follow_symlinks=False)
    os.utime(place / "files/new", (AGO, AGO))
    return place


def digest(
    store: Store, place: Path, epoch: int | None, ran: int | None = None, **more: object
) -> str:
    request = BuildRequest(place, source_date_epoch=epoch, **more)  # type: ignore[arg-type]
    built = build(store, request)
    assert ran is None or built.ran == ran
    return str(built.image.root.digest)


@pytest.mark.parametrize("first", [None, LONG_AGO, AGO, LATELY])
def test_cached_or_not_the_image_is_the_same(
    project: Path, tmp_path: Path, first: int | None
) -> None:
    compare(project, tmp_path, first, LONG_AGO, AGO, LATELY, AGO)


def compare(place: Path, scratch: Path, first: int | None, *epochs: int, **more: object) -> None:
    """A store that is used for one time after the other gives what an empty one gives."""
    fresh = {}
    for epoch in {*epochs}:
        with Store(scratch / f"fresh {epoch}") as store:
            fresh[epoch] = digest(store, place, epoch, **more)
    with Store(scratch / "used") as store:
        digest(store, place, first, **more)
        for epoch in epochs:
            assert digest(store, place, epoch, **more) == fresh[epoch]
            assert digest(store, place, epoch, ran=0, **more) == fresh[epoch]


def test_what_steps_made_is_dated_without_running_them(project: Path, tmp_path: Path) -> None:
    file = project / "Dockerfile"
    file.write_text(file.read_text().replace(BELOW, ""))
    with Store(tmp_path / "used") as store:
        digest(store, project, None)
        for epoch in (LATELY, LATELY - 10, LATELY + 10, AGO + 1):
            digest(store, project, epoch, ran=0)


@pytest.mark.parametrize(
    "lines",
    [
        ("RUN mkdir /app && echo hi >/app/f", "RUN chown -R 5:5 /app"),
        ("RUN chmod 4755 /bin/busybox && ln /bin/busybox /again",),
        ("RUN mkdir -p /etc && echo bob:!:20000:0:99999:7::: >/etc/shadow",),
        ("COPY pyc /m.pyc", "RUN cp -p /m.pyc /n.pyc && touch -d @500000000 /n.pyc"),
        ("RUN mkdir /d && echo 1 >/d/x", "RUN rm -r /d && mkdir /d && ln -s x /d/l && mkfifo /d/p"),
        ("COPY --from=other /x /y", "WORKDIR /y/z", "COPY --from=other /made /made"),
    ],
)
@pytest.mark.parametrize("reproducible", [False, True])
def test_times_from_below_are_told_from_those_of_the_step(
    tmp_path: Path, lines: tuple[str, ...], reproducible: bool
) -> None:
    head = b"\x42\x0d\r\n" + bytes(4) + (1_650_000_000).to_bytes(4, "little") + bytes(20)
    context = Context(tmp_path / "project")
    other = ("FROM scratch AS other", "COPY busybox /x/busybox", "COPY busybox /bin/sh")
    more = ("RUN echo made >/made", *LINES, *lines)
    place = context.write_all(*other, *more, pyc=head)
    os.utime(place / "busybox", (AGO, AGO))
    compare(
        place,
        tmp_path,
        None,
        LATELY,
        1_300_000_000,
        1_400_000_000,
        1_600_000_000,
        1_700_000_000,
        1_600_000_000,
        reproducible=reproducible,
    )


def test_a_cache_elsewhere_keeps_what_is_known_of_times(project: Path, tmp_path: Path) -> None:
    there = parse_cache_place(f"type=local,dest={tmp_path}/c,mode=max", "--cache-to")
    back = parse_cache_place(f"type=local,src={tmp_path}/c", "--cache-from")
    with Store(tmp_path / "one") as store:
        digest(store, project, LATELY, cache_to=(there,))
    with Store(tmp_path / "other") as store, Store(tmp_path / "fresh") as fresh:
        found = digest(store, project, AGO + 1, ran=0, cache_from=(back,))
        assert found == digest(fresh, project, AGO + 1)


def test_a_time_that_a_pyc_cannot_have_is_the_last_that_it_can(
    project: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "used") as store:
        digest(store, project, LATELY)
        digest(store, project, 253_402_300_799, ran=0)
