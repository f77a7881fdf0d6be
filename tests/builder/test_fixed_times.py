"""``SOURCE_DATE_EPOCH``: what comes out of the cache is what a machine without one makes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, build
from oakum.store import Store
from support.busy import Context

LONG_AGO, AGO, LATELY = 1_000_000_000, 1_500_000_000, 1_790_000_000
PYC = r"\x42\x0d\r\n\0\0\0\0"
BELOW = " && chmod 600 /base/new && cp -p /base/new /copied"
"""What takes over times of the layer below: with others below, the step itself gives others."""
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


def digest(store: Store, place: Path, epoch: int | None, ran: int | None = None) -> str:
    built = build(store, BuildRequest(place, source_date_epoch=epoch))
    assert ran is None or built.ran == ran
    return str(built.image.root.digest)


@pytest.mark.parametrize("first", [None, LONG_AGO, AGO, LATELY])
def test_cached_or_not_the_image_is_the_same(
    project: Path, tmp_path: Path, first: int | None
) -> None:
    if first == LONG_AGO:
        file = project / "Dockerfile"
        file.write_text(file.read_text().replace(BELOW, ""))
    fresh = {}
    for epoch in (LONG_AGO, AGO, LATELY):
        with Store(tmp_path / f"fresh {epoch}") as store:
            fresh[epoch] = digest(store, project, epoch)
    assert len(set(fresh.values())) == 3
    with Store(tmp_path / "used") as store:
        digest(store, project, first)
        for epoch in (AGO, LATELY, AGO):
            assert digest(store, project, epoch, ran=0) == fresh[epoch]


def test_a_time_that_a_pyc_cannot_have_is_the_last_that_it_can(
    project: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "used") as store:
        digest(store, project, LONG_AGO)
        digest(store, project, 253_402_300_799, ran=0)
