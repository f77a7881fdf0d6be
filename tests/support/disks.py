"""Small file systems of a test's own: to be filled up, or to be read only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes mounted on `place`."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        while os.path.ismount(place):
            subprocess.run(["umount", "--lazy", place], check=True)


def make_read_only(place: Path) -> None:
    """Let nobody write to the file system mounted on `place`."""
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)


def cover_read_only(place: Path) -> None:
    """The same while files are open for writing, by a read-only mount over the old one."""
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)


def fill(place: Path) -> None:
    """Write until nothing fits any more."""
    with (place / "filler").open("ab", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


@contextmanager
def overlay(place: Path, *lowers: Path) -> Iterator[Path]:
    """Directories in overlayfs's form, the lowest first, as the kernel merges them."""
    place.mkdir()
    option = "lowerdir=" + ":".join(map(str, reversed(lowers)))
    command = ["mount", "-t", "overlay", "overlay", "-o", f"ro,{option}", place]
    subprocess.run(command, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
