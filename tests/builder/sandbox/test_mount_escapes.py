"""Mounts of a step lead nowhere but to what they name, whatever earlier steps made of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.sandbox.conftest import Box
from builder.sandbox.test_ways_out import linked
from oakum.builder.sandbox import kernel
from support.busy import LINES

FOUND = "the machine's own 5b1d"


@pytest.fixture
def target() -> Iterator[Path]:
    """A directory of this machine that everyone may write to, with a file and a directory."""
    with tempfile.TemporaryDirectory(prefix="oakum-target-") as place:
        os.chmod(place, 0o777)
        Path(place, "file").write_text(FOUND)
        Path(place, "directory").mkdir()
        Path(place, "directory").chmod(0o777)
        yield Path(place)


def cache(prison: Box) -> str:
    """A cache that no other test uses."""
    return f"--mount=type=cache,id={prison.place.name}"


def assert_untouched(target: Path) -> None:
    assert sorted(os.listdir(target)) == ["directory", "file"]
    assert (target / "file").read_text() == FOUND
    assert os.listdir(target / "directory") == []


@pytest.mark.parametrize("source", ["../../../../../../..", "link"])
def test_a_source_in_a_cache_stays_in_the_cache(prison: Box, target: Path, source: str) -> None:
    """As ``/`` is above nothing, ``..`` is the cache itself; a link is followed inside it."""
    place = prison.context().write(
        f"RUN {cache(prison)},target=/c ln -s {target} /c/link && mkdir /c/in "
        f"&& ln -s ../../../../../..{target} /c/dots && touch /c/own",
        f"RUN {cache(prison)},target=/m,source={source} touch /m/written; "
        "ls -aR /m; cat /m/file /m/own; find /m -name blobs | grep -q . && echo store; true",
    )
    ended = prison.build(place)
    assert "Traceback" not in ended.err and "defect" not in ended.err
    assert FOUND not in ended.err
    assert " store\n" not in ended.err
    assert_untouched(target)
    if ended.code:
        assert f"{source!r} cannot be mounted: No such file or directory" in ended.err


def test_a_directory_in_a_cache_can_be_mounted(prison: Box) -> None:
    place = prison.context().write(
        f"RUN {cache(prison)},target=/c mkdir -p /c/in && echo inner > /c/in/file",
        f"RUN {cache(prison)},target=/m,source=in grep -q inner /m/file && touch /m/new",
        f"RUN {cache(prison)},target=/c test -f /c/in/new && ! test -e /c/source",
    )
    prison.output(place)


def test_a_cache_is_seeded_with_nodes_and_not_with_what_they_lead_to(prison: Box) -> None:
    """As root, a node of the machine's disk would else become a file with what is on the disk."""
    root = os.stat("/").st_dev
    node = f"mknod /seed/disk b {os.major(root)} {os.minor(root)} && mknod /seed/null c 1 3"
    place = prison.context().write_all(
        *(LINES[0] + " AS seed", *LINES[1:]),
        "RUN mkdir /seed && mkfifo /seed/pipe && echo f > /seed/file && chown 7:7 /seed/file "
        f"&& ({node} || true)",
        "FROM seed",
        "RUN --mount=type=cache,id=seed,from=seed,source=/seed,target=/c test -p /c/pipe "
        "&& test $(stat -c %u /c/file) = 7 && { test ! -e /seed/disk || test -b /c/disk; } "
        "&& { test ! -e /seed/null || test -c /c/null; }",
    )
    prison.output(place)


def test_a_file_is_no_cache(prison: Box) -> None:
    place = prison.context().write_all(
        *(LINES[0] + " AS seed", *LINES[1:], "FROM seed"),
        "RUN --mount=type=cache,id=file,from=seed,source=/etc/passwd,target=/c true",
    )
    ended = prison.build(place)
    assert ended.code == 1
    assert "'/etc/passwd' in 'seed' is not a directory" in ended.err


@pytest.mark.parametrize(
    "goal", ["{target}/directory", "/oldroot{target}/directory", "/proc/1/root"]
)
def test_a_target_below_another_mount_follows_no_link_out_of_it(
    prison: Box, target: Path, goal: str
) -> None:
    place = prison.context().write_all(
        *(LINES[0] + " AS first", *LINES[1:]),
        f"RUN mkdir /m && ln -s {goal.format(target=target)} /m/link",
        "FROM first",
        f"RUN {cache(prison)},target=/c cp -a /m/link /c/link",
        "RUN --mount=type=bind,from=first,source=/m,target=/b,rw "
        "--mount=type=tmpfs,target=/b/link/x echo done",
        f"RUN {cache(prison)},target=/c --mount=type=tmpfs,target=/c/link/x echo done",
    )
    ended = prison.build(place)
    assert "Traceback" not in ended.err and "defect" not in ended.err
    assert_untouched(target)


def test_links_of_the_context_lead_no_mount_out_of_it(prison: Box, target: Path) -> None:
    place = linked(prison, link=str(target), dots=f"../../../../../..{target}")
    os.mkfifo(place / "tree" / "pipe")
    for source in ("tree/link/file", "tree/dots/file", f"../../../../../..{target}/file"):
        prison.context().write(f"RUN --mount=type=bind,source={source},target=/m cat /m")
        ended = prison.build(place)
        assert ended.code == 1
        assert FOUND not in ended.err
        assert "cannot be read in the build context" in ended.err
    prison.context().write(
        "RUN --mount=type=bind,target=/m test -p /m/tree/pipe && test -L /m/tree/link && "
        "! cat /m/tree/link/file /m/tree/dots/file"
    )
    assert FOUND not in prison.output(place)


def test_what_is_copied_follows_no_link_out_of_a_stage(prison: Box, target: Path) -> None:
    place = linked(prison, link=str(target), dots=f"../../../../../..{target}")
    head = (LINES[0] + " AS first", *LINES[1:], "COPY tree /", "FROM first")
    for source in ("--from=first /link/file", "--from=first /dots/file", "tree/link/file"):
        prison.context().write_all(*head, f"COPY {source} /got")
        ended = prison.build(place)
        assert ended.code == 1
        assert FOUND not in ended.err
    prison.context().write_all(*head, "COPY --from=first /link /dots /tree/", "RUN ! cat /tree/*")
    prison.build(place)
    assert_untouched(target)


def test_nothing_can_be_mounted_in_the_place_of_the_root(prison: Box) -> None:
    for written in ("/", "/a/../.."):
        place = prison.context().write(f"RUN --mount=type=tmpfs,target={written} true")
        ended = prison.build(place)
        assert ended.code == 1
        assert "nothing can be mounted on /" in ended.err


def test_the_packages_of_the_machine_are_not_taken_for_the_images(prison: Box) -> None:
    """A step that puts a link in the place of /var has oakum read no status file but its own."""
    place = prison.context().write("RUN ln -s /var /var", "RUN rm /var && mkdir /var")
    built = prison.oakum.done(
        *("build", place, "--sandbox", prison.sandbox, "--format", "json", "--progress", "quiet")
    )
    assert [step["packages"] for step in built.document["steps"] if step.get("packages")] == []


def test_no_other_user_reaches_the_programs_of_images(prison: Box) -> None:
    """A set-user-ID program of a hostile image would else be one of this machine."""
    prison.output(prison.context().write("RUN cp /bin/busybox /su && chmod 4755 /su"))
    found = [Path(d, "su") for d, _, names in os.walk(prison.oakum.store) if "su" in names]
    assert found and any(path.stat().st_mode & stat.S_ISUID for path in found)
    for path in found:
        above = [one for one in path.parents if prison.oakum.store in one.parents]
        assert any(not one.stat().st_mode & 0o077 for one in above)


def test_a_path_is_found_while_others_rename(tmp_path: Path) -> None:
    """The kernel does not tell where `..` leads while anything is renamed, and wants to be asked
    again."""
    (tmp_path / "root/in").mkdir(parents=True)
    (tmp_path / "one").mkdir()
    one, other = os.fspath(tmp_path / "one"), os.fspath(tmp_path / "other")
    # In another process: threads would take turns with this one.
    script = "import os, sys\nwhile True: os.rename(*sys.argv[1:]); os.rename(*sys.argv[:0:-1])"
    renaming = subprocess.Popen([sys.executable, "-c", script, one, other])
    try:
        while os.path.exists(one):
            time.sleep(0.01)
        for _ in range(3000):
            os.close(kernel.open_in_root(tmp_path / "root", "in/../../../in"))
    finally:
        renaming.kill()
        renaming.wait()
