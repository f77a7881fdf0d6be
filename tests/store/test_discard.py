"""What is half-made is removed, however odd it is, and nothing that is mounted in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from oakum.store.place import discard
from support.disks import small_disk


def test_files_links_and_directories_go(tmp_path: Path) -> None:
    top, kept = tmp_path / "top", tmp_path / "kept"
    (top / "a/b/c").mkdir(parents=True)
    kept.mkdir()
    (kept / "file").write_bytes(b"")
    for directory in (top, top / "a", top / "a/b"):
        (directory / "file").write_bytes(b"")
        os.symlink(kept, directory / "link")
        os.mkfifo(directory / "pipe")
    os.symlink(kept, tmp_path / "link")
    for path in (top, tmp_path / "link", tmp_path / "nothing"):
        discard(path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    discard(kept / "file")
    assert list(kept.iterdir()) == []


def test_a_tree_deeper_than_any_path_goes(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    directory = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    discard(top)
    assert not top.exists()


def test_a_mounted_file_system_is_not_entered(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        (disk / "precious").write_bytes(b"kept")
        for name in ("top/at", "top/a/b/at"):
            (tmp_path / name).mkdir(parents=True)
            subprocess.run(["mount", "--bind", disk, tmp_path / name], check=True)
        (tmp_path / "top/file").write_bytes(b"")
        try:
            discard(tmp_path / "top")
            assert (disk / "precious").read_bytes() == b"kept"
            assert not (tmp_path / "top/file").exists()
        finally:
            for path in _mounts_below(tmp_path / "top"):
                subprocess.run(["umount", path], check=True)
        discard(tmp_path / "top")
        assert not (tmp_path / "top").exists()


def _mounts_below(top: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [path for path in (line.split(" ")[4] for line in lines) if path.startswith(f"{top}/")]


def test_what_is_in_a_file_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Exception, match="cannot remove"):
        discard(tmp_path / "file/below")
