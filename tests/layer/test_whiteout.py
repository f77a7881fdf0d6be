"""Whiteouts (OCI image layer spec, "Whiteouts"), in archives and in overlayfs's form on a disk."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from oakum.errors import InvalidImage
from oakum.layer import Entry, Kind, sort_key
from oakum.layer.write import member_name
from support.disks import overlay
from support.layers import END, header, index_of, on_disk, unpack

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="overlayfs's marks need root")


def kinds(*names: bytes) -> list[tuple[Kind, bytes]]:
    raw = b"".join(header(name) for name in names) + END
    return [(entry.kind, entry.path) for entry in index_of(raw).entries]


def test_a_marked_name_removes_its_sibling() -> None:
    assert kinds(b".wh.a", b"x/.wh.b", b"./x/.wh..c", b"x/.wh...d") == [
        (Kind.WHITEOUT, b"a"),
        (Kind.WHITEOUT, b"x/b"),
        (Kind.WHITEOUT, b"x/.c"),
        (Kind.WHITEOUT, b"x/..d"),
    ]


def test_the_opaque_mark_empties_its_directory() -> None:
    assert kinds(b".wh..wh..opq", b"x/y/.wh..wh..opq") == [
        (Kind.OPAQUE, b""),
        (Kind.OPAQUE, b"x/y"),
    ]


def test_marks_of_aufs_remove_nothing_that_can_be_there() -> None:
    for name in (b".wh..wh.plnk", b".wh..wh.aufs", b".wh..wh.orph"):
        assert kinds(b"x/" + name) == [(Kind.WHITEOUT, b"x/" + name)]


@pytest.mark.parametrize("name", [b".wh..", b"a/.wh..."])
def test_a_whiteout_of_the_directory_itself_or_its_parent_is_refused(name: bytes) -> None:
    with pytest.raises(InvalidImage, match="whiteout of"):
        kinds(name)


def test_a_mark_counts_whatever_kind_of_file_has_it() -> None:
    for flag in (b"0", b"1", b"2", b"3", b"5", b"6"):
        raw = header(b"x/.wh.a", flag=flag, link=b"somewhere") + END
        assert [(e.kind, e.path, e.size) for e in index_of(raw).entries] == [
            (Kind.WHITEOUT, b"x/a", 0)
        ]


def test_overlayfss_own_whiteout_is_one_in_an_archive_too() -> None:
    raw = header(b"x/a", flag=b"3", device=(b"0000000\0", b"0000000\0")) + END
    assert [(e.kind, e.path) for e in index_of(raw).entries] == [(Kind.WHITEOUT, b"x/a")]


def test_whiteouts_are_written_under_their_marked_names() -> None:
    assert member_name(Entry(b"x/a", Kind.WHITEOUT)) == b"x/.wh.a"
    assert member_name(Entry(b"a", Kind.WHITEOUT)) == b".wh.a"
    assert member_name(Entry(b"x", Kind.OPAQUE)) == b"x/.wh..wh..opq"
    assert member_name(Entry(b"", Kind.OPAQUE)) == b".wh..wh..opq"


def test_a_whiteout_stands_before_what_replaces_it_and_an_opaque_mark_behind_its_directory() -> (
    None
):
    entries = [
        Entry(b"", Kind.OPAQUE),
        Entry(b"a", Kind.WHITEOUT),
        Entry(b"a", Kind.DIRECTORY),
        Entry(b"a", Kind.OPAQUE),
        Entry(b"a/b", Kind.WHITEOUT),
        Entry(b"a/b", Kind.FILE),
        Entry(b"a-", Kind.FILE),
    ]
    shuffled = [*entries[3:], *entries[:3]]
    assert sorted(shuffled, key=sort_key) == entries


def paths(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


LOWER = (
    header(b"d/", flag=b"5"),
    header(b"d/a"),
    header(b"d/b"),
    header(b"d/e/", flag=b"5"),
    header(b"d/e/f"),
    header(b"g"),
)


@needs_root
@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ([header(b"d/.wh.a")], {"d", "d/b", "d/e", "d/e/f", "g"}),
        ([header(b"d/.wh.e"), header(b".wh.g")], {"d", "d/a", "d/b"}),
        ([header(b"d/.wh..wh..opq")], {"d", "g"}),
        ([header(b"d/x"), header(b"d/.wh..wh..opq")], {"d", "d/x", "g"}),
        ([header(b"d/.wh..wh..opq"), header(b"d/", flag=b"5"), header(b"d/a")], {"d", "d/a", "g"}),
        ([header(b".wh.d"), header(b"d/", flag=b"5")], {"d", "g"}),
        ([header(b"d/", flag=b"5"), header(b"d/x"), header(b".wh.d")], {"d", "d/x", "g"}),
        ([header(b".wh.d"), header(b"d")], {"d", "g"}),
        ([header(b"g"), header(b".wh.g")], {"d", "d/a", "d/b", "d/e", "d/e/f", "g"}),
        ([header(b"d/e/.wh.nothing")], {"d", "d/a", "d/b", "d/e", "d/e/f", "g"}),
        ([header(b"d"), header(b"d/.wh.a")], {"d", "g"}),
        ([header(b"d/.wh.a"), header(b"d")], {"d", "g"}),
        ([header(b"d/.wh.a"), header(b"d", flag=b"2", link=b"/tmp")], {"d", "g"}),
    ],
)
def test_the_kernel_hides_what_a_whiteout_names(
    tmp_path: Path, upper: list[bytes], left: set[str]
) -> None:
    unpack(b"".join(LOWER) + END, tmp_path / "lower")
    unpack(b"".join(upper) + END, tmp_path / "upper")
    with overlay(tmp_path / "merged", tmp_path / "lower", tmp_path / "upper") as merged:
        assert paths(merged) == left


@needs_root
def test_what_the_kernel_whites_out_is_read_from_the_upper_directory(tmp_path: Path) -> None:
    unpack(b"".join(LOWER) + END, tmp_path / "lower")
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    option = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    merged = tmp_path / "merged"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", option, merged], check=True)
    try:
        (merged / "d/a").unlink()
        (merged / "d/e/f").unlink()
        (merged / "d/e").rmdir()
        (merged / "d/e").mkdir()
        (merged / "d/e/new").write_bytes(b"")
        (merged / "g").unlink()
    finally:
        subprocess.run(["umount", merged], check=True)
    assert [(entry.kind, entry.path) for entry, _ in on_disk(tmp_path / "upper")] == [
        (Kind.DIRECTORY, b"d"),
        (Kind.WHITEOUT, b"d/a"),
        (Kind.DIRECTORY, b"d/e"),
        (Kind.OPAQUE, b"d/e"),
        (Kind.FILE, b"d/e/new"),
        (Kind.WHITEOUT, b"g"),
    ]


@needs_root
def test_a_whiteout_on_disk_is_a_device_and_an_opaque_directory_has_an_attribute(
    tmp_path: Path,
) -> None:
    unpack(header(b".wh.a") + header(b"d/.wh..wh..opq") + END, tmp_path / "root")
    found = (tmp_path / "root/a").lstat()
    assert stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
    assert os.getxattr(tmp_path / "root/d", "trusted.overlay.opaque") == b"y"
