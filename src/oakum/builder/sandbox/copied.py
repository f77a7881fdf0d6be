"""Stacks of directories copied into one, for machines that refuse to mount an overlay.

Whiteouts are as the image specification has them in archives (OCI image spec, layer.md), since a
file system that overlays cannot use may not hold overlay's: an empty file ``.wh.NAME`` says that
NAME is gone, ``.wh..wh..opq`` in a directory that nothing below shows through.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from oakum.layer.disk import hides_all
from oakum.layer.paths import OPAQUE, WHITEOUT

_TICK = 0.02
"""Seconds after which the kernel's clock for files has moved on (one tick at 100 Hz, twice)."""

Seen = dict[bytes, dict[bytes, tuple[int, int, bool]]]
"""By directory and name: inode, time of its last change in nanoseconds, whether a directory."""


@contextlib.contextmanager
def copied_root(lowers: Sequence[Path], upper: Path, target: Path) -> Iterator[Path]:
    """`lowers` (the lowest first) merged in the empty directory `target`.

    On leaving, what was changed in `target` is moved to the empty directory `upper`, which is
    then the changeset that an overlay gives.  Two things differ: names of one inode in a
    lower layer stay linked, so a change through one of them is a change of all; and a directory
    that took the place of another one has whiteouts for what is gone, where an overlay makes it
    opaque (inode numbers are used again, so nothing tells the two apart).
    """
    copy_root(lowers, target)
    seen = _look(os.fsencode(target))
    time.sleep(_TICK)
    yield target
    _Changes(os.fsencode(target), os.fsencode(upper), seen).collect(b"")
    shutil.rmtree(target, ignore_errors=True)


def copy_root(lowers: Sequence[Path], target: Path) -> None:
    """The merged `lowers` (the lowest first) copied into the empty directory `target`.

    Their whiteouts are marked names, or as overlay has them (0:0 character devices, opaque
    xattrs).
    """
    for lower in lowers:
        _lay_over(os.fsencode(lower), os.fsencode(target), {})


def _lay_over(source: bytes, target: bytes, linked: dict[tuple[int, int], bytes]) -> None:
    with os.scandir(source) as found:
        entries = sorted(found, key=lambda one: one.name)
    if hides_all(source, marked=True) or hides_all(source, marked=False):
        for name in os.listdir(target):
            _remove(os.path.join(target, name))
    for entry in entries:
        if entry.name == OPAQUE:
            continue
        if entry.name.startswith(WHITEOUT):
            gone = entry.name.removeprefix(WHITEOUT)
            if gone not in (b"", b".", b".."):
                _remove(os.path.join(target, gone))
        else:
            _lay_entry(entry, os.path.join(target, entry.name), linked)
    dress(source, target)


def _lay_entry(
    entry: os.DirEntry[bytes], target: bytes, linked: dict[tuple[int, int], bytes]
) -> None:
    info = entry.stat(follow_symlinks=False)
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        _remove(target)
        return
    if stat.S_ISDIR(info.st_mode):
        if not _is_directory(target):
            _remove(target)
            os.mkdir(target)
        _lay_over(entry.path, target, linked)
        return
    _remove(target)
    first = linked.setdefault((info.st_dev, info.st_ino), target)
    if first != target:
        os.link(first, target, follow_symlinks=False)
        return
    _copy_file(entry.path, target, info)
    dress(entry.path, target)


def _copy_file(source: bytes, target: bytes, info: os.stat_result) -> None:
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(info.st_mode):
        shutil.copyfile(source, target)
    else:
        os.mknod(target, info.st_mode, info.st_rdev)


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _remove(path: bytes) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def dress(source: bytes, target: bytes, info: os.stat_result | None = None) -> None:
    """Give `target` owner, mode, attributes and times of `source` (or those of `info`)."""
    info = info or os.lstat(source)
    os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(target, stat.S_IMODE(info.st_mode))
    for name in os.listxattr(source, follow_symlinks=False):
        if ".overlay." not in name:
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(target, name, value, follow_symlinks=False)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _look(root: bytes) -> Seen:
    seen: Seen = {}
    todo = [b""]
    while todo:
        directory = todo.pop()
        seen[directory] = {}
        with os.scandir(os.path.join(root, directory)) as found:
            for entry in found:
                info = entry.stat(follow_symlinks=False)
                inside = stat.S_ISDIR(info.st_mode)
                seen[directory][entry.name] = (info.st_ino, info.st_ctime_ns, inside)
                if inside:
                    todo.append(os.path.join(directory, entry.name))
    return seen


class _Changes:
    """What differs between a directory tree and what was seen of it before."""

    def __init__(self, root: bytes, upper: bytes, seen: Seen) -> None:
        self._root = root
        self._upper = upper
        self._seen = seen
        self._infos: dict[bytes, os.stat_result] = {}
        self._made: set[bytes] = set()

    def collect(self, directory: bytes) -> None:
        """Move the changes below `directory` to the upper directory."""
        here = os.path.join(self._root, directory)
        self._infos[directory] = os.lstat(here)
        before = self._seen[directory]
        after = sorted(os.listdir(here))
        for name in after:
            self._compare(os.path.join(directory, name), before.get(name))
        for name in before.keys() - set(after):
            self._mark(directory, WHITEOUT + name)
        if directory in self._made or not directory:
            dress(here, os.path.join(self._upper, directory), self._infos[directory])

    def _compare(self, path: bytes, was: tuple[int, int, bool] | None) -> None:
        info = os.lstat(os.path.join(self._root, path))
        same = was is not None and was[:2] == (info.st_ino, info.st_ctime_ns)
        if was is not None and was[2] and stat.S_ISDIR(info.st_mode):
            if not same:
                self._make(path)
            self.collect(path)
        elif not same:
            self._make(os.path.dirname(path))
            os.rename(os.path.join(self._root, path), os.path.join(self._upper, path))
            if was is not None and stat.S_ISDIR(info.st_mode):
                self._replace(path, info)

    def _replace(self, path: bytes, info: os.stat_result) -> None:
        """A directory in the place of something else hides what was below that."""
        where = os.path.join(self._upper, path)
        _touch(os.path.join(where, OPAQUE))
        os.utime(where, ns=(info.st_atime_ns, info.st_mtime_ns))

    def _mark(self, directory: bytes, name: bytes) -> None:
        self._make(directory)
        _touch(os.path.join(self._upper, directory, name))

    def _make(self, directory: bytes) -> None:
        if not directory or directory in self._made:
            return
        self._make(os.path.dirname(directory))
        os.mkdir(os.path.join(self._upper, directory))
        self._made.add(directory)


def _touch(path: bytes) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
