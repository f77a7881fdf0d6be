"""Ways out of a step's root, and what a step could leave running: none work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.sandbox.conftest import Box
from support.busy import LINES
from support.traces import processes_with


@pytest.fixture
def target() -> Iterator[Path]:
    """A directory of this machine that everyone may write to."""
    with tempfile.TemporaryDirectory(prefix="oakum-target-") as place:
        os.chmod(place, 0o777)
        yield Path(place)


def linked(box: Box, **links: str) -> Path:
    """A context with a directory of symbolic links; underscores stand for slashes."""
    context = box.context()
    for name, goal in links.items():
        path = context.place / "tree" / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(goal)
    return context.place


def test_links_of_one_step_lead_no_other_out_of_the_root(fresh: Box, target: Path) -> None:
    place = linked(
        fresh,
        link=str(target),
        dots=f"../../../../../..{target}",
        etc_hosts=f"{target}/hosts",
        **{"etc_resolv.conf": f"{target}/resolv"},
    )
    context = fresh.context()
    context.write(
        "COPY tree /",
        "RUN (echo 1 > /link/file; echo 2 > /dots/file) 2>/dev/null; exit 0",
        "COPY file /link/copied",
        "COPY --chown=0:0 file /dots/",
        "ADD file /link/deep/er/",
        "WORKDIR /dots/work",
        "RUN --mount=type=tmpfs,target=/link/mount echo x > /link/mount/file",
        "RUN --mount=type=cache,target=/dots/cache echo x > /dots/cache/file",
        "RUN touch done && grep -q localhost /etc/hosts",
        file="x",
    )
    fresh.output(place)
    assert os.listdir(target) == []


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc"])
def test_a_link_in_the_place_of_a_system_directory_is_no_way_out(
    fresh: Box, target: Path, name: str
) -> None:
    place = linked(fresh, **{name: str(target)})
    fresh.context().write_all(*LINES[:3], "COPY tree /", "RUN echo x > /x")
    ended = fresh.build(place)
    assert ended.code == 0 or ended.err.splitlines()[-2].startswith("error: ")
    assert os.listdir(target) == []


def test_a_step_leaves_no_process_behind(fresh: Box) -> None:
    mark = f"9{os.getpid()}"
    place = fresh.context().write(f"RUN sleep {mark} & (setsid sleep {mark} &); exit 0")
    fresh.output(place)
    assert processes_with(mark) == []


def test_a_step_cannot_reach_the_store(fresh: Box) -> None:
    place = fresh.context().write(f"RUN ls {fresh.oakum.store} || echo out of reach")
    assert "out of reach" in fresh.output(place)


def test_a_step_that_is_killed_says_by_which_signal(fresh: Box) -> None:
    ended = fresh.build(fresh.context().write("RUN (sh -c 'kill -9 $$'); exit $?"))
    assert ended.code == 1
    assert "failed, exit code: 137" in ended.err


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ('RUN ["missing"]', "is not in the image"),
        ('RUN ["/missing"]', "is not in the image"),
        ('RUN ["/etc/passwd"]', "is not executable"),
    ],
)
def test_a_program_that_cannot_be_started_is_named(fresh: Box, run: str, why: str) -> None:
    ended = fresh.build(fresh.context().write(run))
    assert ended.code == 1
    error = ended.err.splitlines()[-2]
    assert error.startswith(f"error: Dockerfile, line {len(LINES) + 1}: ")
    assert why in error


@pytest.mark.parametrize("name", [".wh..", ".wh..."])
@pytest.mark.parametrize("snapshotter", ["overlay", "copy"])
def test_a_name_that_removes_the_directory_above_is_in_no_layer(
    fresh: Box, name: str, snapshotter: str
) -> None:
    """As a whiteout it would take away what is beside the place that an image is written to."""
    place = fresh.context()
    out = fresh.place / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    (out / "beside").write_text("kept")
    for number, line in enumerate((f"RUN touch /{name}", f"COPY {name} /", f"COPY . /d{name}/")):
        context = place.write(line, "RUN true", **{name: ""})
        output = f"type=local,dest={out / str(number)}"
        ended = fresh.build(context, "--output", output, OAKUM_SNAPSHOTTER=snapshotter)
        assert ended.code == 1
        assert f"no layer can hold the name {name!r}" in ended.err
        assert os.listdir(out) == ["beside"]
