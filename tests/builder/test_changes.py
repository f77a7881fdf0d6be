"""What of a step's upper directory counts as a change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from oakum.builder.changes import changed_only, unfold
from oakum.layer import Entry, Kind
from oakum.layer.disk import read_directory
from oakum.tree import Tree

OLD = 1_700_000_000
OWNER = (os.getuid(), os.getgid())
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make whiteouts")


def file(path: str, content: bytes = b"x", mtime: int = OLD, mode: int = 0o644) -> Entry:
    digest = hashlib.sha256(content).digest()
    return Entry(
        path.encode(), Kind.FILE, mode, *OWNER, len(content), mtime, digest=digest
    )  # fmt: skip


def directory(path: str, mtime: int = OLD) -> Entry:
    return Entry(path.encode(), Kind.DIRECTORY, 0o755, *OWNER, 0, mtime)


def tree(*entries: Entry) -> Tree:
    made = Tree()
    made.apply(entries)
    return made


def write(place: Path, content: bytes = b"x", mtime: int = OLD) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(0o644)
    os.utime(place, (mtime, mtime))
    os.utime(place.parent, (OLD, OLD))


def changes(upper: Path, below: Tree, *, marked: bool = False) -> dict[str, Kind]:
    found = changed_only(read_directory(upper, marked=marked), below)
    return {os.fsdecode(one.entry.path): one.entry.kind for one in found}


BELOW = tree(directory("d"), file("d/lock"), file("d/other"), directory("e"), file("e/f"))


def test_a_file_that_was_only_opened_is_no_change(tmp_path: Path) -> None:
    write(tmp_path / "d/lock")
    assert changes(tmp_path, BELOW) == {}


@pytest.mark.parametrize(
    ("content", "mtime", "mode"), [(b"y", OLD, 0o644), (b"x", 5, 0o644), (b"x", OLD, 0o600)]
)
def test_a_file_that_differs_in_anything_is_one(
    tmp_path: Path, content: bytes, mtime: int, mode: int
) -> None:
    write(tmp_path / "d/lock", content, mtime)
    (tmp_path / "d/lock").chmod(mode)
    write(tmp_path / "e/f")
    assert changes(tmp_path, BELOW) == {"d": Kind.DIRECTORY, "d/lock": Kind.FILE}


def test_a_new_name_of_an_equal_file_is_one(tmp_path: Path) -> None:
    write(tmp_path / "d/lock")
    os.link(tmp_path / "d/lock", tmp_path / "d/name")
    os.utime(tmp_path / "d", (OLD, OLD))
    kinds = {"d": Kind.DIRECTORY, "d/lock": Kind.FILE, "d/name": Kind.HARDLINK}
    assert changes(tmp_path, BELOW) == kinds


def test_a_directory_of_another_time_is_one(tmp_path: Path) -> None:
    write(tmp_path / "d/lock")
    os.utime(tmp_path / "d", (6, 6))
    assert changes(tmp_path, BELOW) == {"d": Kind.DIRECTORY}


def opaque(place: Path, marked: bool) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if marked:
        (place / ".wh..wh..opq").touch()
    else:
        os.setxattr(place, "trusted.overlay.opaque", b"y")
    os.utime(place, (OLD, OLD))


@needs_root
@pytest.mark.parametrize("marked", [False, True])
def test_an_opaque_directory_becomes_whiteouts_of_what_it_hides(
    tmp_path: Path, marked: bool
) -> None:
    below = tree(
        directory("d"), file("d/a"), file("d/b"), directory("d/sub"), file("d/sub/c"),
        directory("d/gone"), file("d/gone/x"), file("d/turned"),
    )  # fmt: skip
    opaque(tmp_path / "d", marked)
    write(tmp_path / "d/b", b"new")
    write(tmp_path / "d/sub/new")
    write(tmp_path / "d/turned/in")
    os.utime(tmp_path / "d", (7, 7))
    unfold(tmp_path, below, marked=marked)
    found = changes(tmp_path, below, marked=marked)
    gone = {path for path, kind in found.items() if kind is Kind.WHITEOUT}
    assert gone == {"d/a", "d/gone", "d/sub/c"}
    assert Kind.OPAQUE not in found.values()
    assert {"d/b", "d/sub/new", "d/turned/in"} <= found.keys()
    assert (tmp_path / "d").stat().st_mtime == 7


@needs_root
@pytest.mark.parametrize("marked", [False, True])
def test_the_mark_of_a_directory_that_hides_nothing_goes(tmp_path: Path, marked: bool) -> None:
    opaque(tmp_path / "new", marked)
    write(tmp_path / "new/f")
    unfold(tmp_path, BELOW, marked=marked)
    kinds = {"new": Kind.DIRECTORY, "new/f": Kind.FILE}
    assert changes(tmp_path, BELOW, marked=marked) == kinds
