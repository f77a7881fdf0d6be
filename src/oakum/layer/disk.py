"""Layers as directories that overlayfs can stack, and back.

On disk a whiteout is a character device 0:0 and an opaque directory carries an xattr (kernel
documentation, overlayfs, "whiteouts and opaque directories"); inside a user namespace the xattr
is ``user.overlay.opaque``, else ``trusted.overlay.opaque``.  Directories that are not meant for an
overlay hold whiteouts as files with marked names, as archives do (OCI image spec, layer.md).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from oakum.errors import InvalidImage, OakumError, StoreError
from oakum.layer.compression import BLOCK
from oakum.layer.entry import Entry, Kind
from oakum.layer.paths import MAX_DEPTH, OPAQUE, WHITEOUT, damaged, marked_name
from oakum.layer.tar import Header

_OPAQUE_XATTRS = ("trusted.overlay.opaque", "user.overlay.opaque")
_KEPT_XATTRS = ("security.capability", "user.")
_LAYERS_FAULT = frozenset((errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR))


class DirectoryUnpacker:
    """Unpacks the members of one layer into an empty directory.

    Whiteouts get overlayfs's form, or with `marked` that of archives.
    """

    def __init__(self, root: Path, *, user_namespace: bool, marked: bool = False) -> None:
        self._root = os.fsencode(root)
        self._user_namespace = user_namespace
        self._marked = marked
        self._opaque_xattr = _OPAQUE_XATTRS[1] if user_namespace else _OPAQUE_XATTRS[0]
        self._times: dict[bytes, Header] = {}
        self._made: set[bytes] = {b""}
        self._removed: list[tuple[Kind, bytes]] = []

    def member(self, header: Header, content: Iterator[bytes]) -> None:
        """Unpack one member; a later one of the same path replaces the earlier one."""
        if header.kind in (Kind.WHITEOUT, Kind.OPAQUE):
            self._removed.append((header.kind, header.path))
            return
        path = self._at(header.path)
        try:
            self._parents(header.path)
            self._clear(header, path)
            made = self._make(header, path, content)
            if made and header.kind is not Kind.HARDLINK:
                self._dress(header, path)
        except OSError as error:
            raise _cannot(header.path, error) from error

    def _at(self, path: bytes) -> bytes:
        return self._root + b"/" + path if path else self._root

    def _parents(self, path: bytes) -> None:
        missing = []
        parent = path.rpartition(b"/")[0]
        while parent not in self._made:
            missing.append(parent)
            parent = parent.rpartition(b"/")[0]
        for parent in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._at(parent), 0o755)
                # The caller's umask must not show.
                os.chmod(self._at(parent), 0o755)
            if not _is_directory(self._at(parent)):
                os.unlink(self._at(parent))
                os.mkdir(self._at(parent), 0o755)
            self._made.add(parent)

    def _clear(self, header: Header, path: bytes) -> None:
        try:
            there = os.lstat(path)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(there.st_mode):
            if header.kind is Kind.DIRECTORY:
                return
            raise damaged(f"{header.path[:100]!r} is first a directory and then something else")
        os.unlink(path)

    def _make(self, header: Header, path: bytes, content: Iterator[bytes]) -> bool:
        if header.kind is Kind.FILE:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(path, flags, 0o600)
            try:
                for piece in content:
                    _write_all(handle, piece)
            finally:
                os.close(handle)
        elif header.kind is Kind.DIRECTORY:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o755)
            self._made.add(header.path)
        elif header.kind is Kind.SYMLINK:
            os.symlink(header.link, path)
        elif header.kind is Kind.HARDLINK:
            self._link(header, path)
        elif header.kind is Kind.FIFO:
            os.mkfifo(path)
        else:
            return self._device(header, path)
        return True

    def _device(self, header: Header, path: bytes) -> bool:
        """Make a device; False inside a user namespace, where the kernel lets nobody."""
        kind = stat.S_IFCHR if header.kind is Kind.CHARACTER else stat.S_IFBLK
        try:
            os.mknod(path, kind | 0o600, os.makedev(*header.device))
        except PermissionError:
            if not self._user_namespace:
                raise
            return False
        return True

    def _link(self, header: Header, path: bytes) -> None:
        if header.link in self._made:
            raise damaged(f"{header.path[:100]!r} is a hard link to a directory")
        try:
            os.link(self._at(header.link), path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise damaged(
                f"{header.path[:100]!r} is a hard link to {header.link[:100]!r}, "
                "which the layer does not have"
            ) from error

    def _dress(self, header: Header, path: bytes) -> None:
        os.chown(path, header.uid, header.gid, follow_symlinks=False)
        if header.kind is not Kind.SYMLINK:
            os.chmod(path, header.mode)
        for name, value in (header.xattrs or {}).items():
            if _is_kept(name):
                with _unsupported_xattrs(header.path, name):
                    os.setxattr(path, name, value, follow_symlinks=False)
        if header.kind is Kind.DIRECTORY:
            self._times[header.path] = header
            return
        _set_time(path, header.mtime)

    def finish(self) -> None:
        """Place whiteouts, then the directories' times, which unpacking has disturbed."""
        # A directory that is whited out comes before whiteouts in it, which are then idle.
        for kind, path in sorted(self._removed, key=lambda one: (one[1], one[0] is Kind.OPAQUE)):
            try:
                self._remove(kind, path)
            except OSError as error:
                raise _cannot(path, error) from error
        for path, header in self._times.items():
            _set_time(self._at(path), header.mtime)

    def _below_a_file(self, path: bytes) -> bool:
        """Whether the layer itself has a file where `path` needs a directory: nothing is hidden."""
        at = path.find(b"/")
        while at >= 0:
            parent = path[:at]
            try:
                if parent not in self._made and not _is_directory(self._at(parent)):
                    return True
            except FileNotFoundError:
                return False
            at = path.find(b"/", at + 1)
        return False

    def _remove(self, kind: Kind, path: bytes) -> None:
        inside = path + b"/x" if kind is Kind.OPAQUE and path else path
        if self._below_a_file(inside):
            return
        where = self._at(path)
        self._parents(inside)
        if self._marked:
            opaque = path in self._made
            mark = where + b"/" + OPAQUE if opaque else marked_name(where)
            if opaque or not os.path.lexists(where):
                os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        elif path in self._made:
            os.setxattr(where, self._opaque_xattr, b"y", follow_symlinks=False)
        elif not os.path.lexists(where):
            place_whiteout(where, marked=False)


def place_whiteout(path: bytes, marked: bool) -> None:
    """Say that `path`, where nothing is, is gone: as overlayfs does, or `marked` as archives do."""
    if marked:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(marked_name(path), flags, 0o600))
    else:
        os.mknod(path, stat.S_IFCHR, 0)


def show_below(path: bytes, marked: bool) -> None:
    """Take the mark off a directory that hides all that lies below."""
    if marked:
        os.unlink(path + b"/" + OPAQUE)
        return
    for name in _OPAQUE_XATTRS:
        if name in os.listxattr(path, follow_symlinks=False):
            os.removexattr(path, name, follow_symlinks=False)


def keep_time(path: bytes, info: os.stat_result) -> None:
    """Give a path the times that it had."""
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _is_directory(path: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _cannot(path: bytes, error: OSError) -> OakumError:
    if error.errno in _LAYERS_FAULT:
        return damaged(f"{path[:200]!r} cannot be made: {error.strerror}")
    hint = "free some space and run the command again"
    if error.errno in (errno.EPERM, errno.EACCES, errno.EINVAL):
        hint = "this needs root, or a user with a range of subordinate ids (/etc/subuid)"
    return StoreError(f"cannot unpack {path[:200]!r}: {error.strerror}", hint)


def _is_kept(name: str) -> bool:
    return (
        name.startswith(_KEPT_XATTRS)
        and not name.startswith("user.overlay.")
        and not any("\ud800" <= character <= "\udfff" for character in name)
    )


@contextlib.contextmanager
def _unsupported_xattrs(path: bytes, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.E2BIG, errno.ERANGE):
            raise damaged(f"{path[:100]!r} cannot have the attribute {name[:100]!r}") from error
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _set_time(path: bytes, seconds: int) -> None:
    # ext4 and others hold fewer seconds than a header does.
    with contextlib.suppress(OverflowError):
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def file_content(path: bytes) -> Iterator[bytes]:
    """The content of a file on disk in pieces; never through a symlink."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while piece := os.read(handle, BLOCK):
            yield piece
    finally:
        os.close(handle)


def kept_xattrs(path: bytes) -> dict[str, bytes] | None:
    """The extended attributes that belong in a layer: file capabilities and the user's own.

    One whose name is not UTF-8 is left out: pax headers cannot name it.
    """
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return None
    kept = {
        name: os.getxattr(path, name, follow_symlinks=False) for name in names if _is_kept(name)
    }
    return kept or None


class DiskEntry:
    """An entry of a directory tree with the place of its content on disk."""

    __slots__ = ("entry", "linked", "source")

    def __init__(self, entry: Entry, source: bytes, linked: bool = False) -> None:
        self.entry = entry
        self.source = source
        self.linked = linked
        """Whether it is a file that has other names."""


def read_directory(
    root: Path, *, clamp: int | None = None, marked: bool = False
) -> Iterator[DiskEntry]:
    """The entries of a layer on disk, sorted, parents first.

    Whiteouts are in overlayfs's form, or with `marked` in that of archives.
    `clamp` is the newest time in seconds that an entry may have; newer ones get it.  Sockets are
    left out, since no archive can hold one.  `InvalidImage` for a tree that is deeper than a layer
    may be.
    """
    inodes: dict[tuple[int, int], bytes] = {}
    top = os.fsencode(root)
    if hides_all(top, marked):
        yield DiskEntry(Entry(b"", Kind.OPAQUE, 0o600), b"")
    todo = _paths_in(top, b"", marked)
    while todo:
        path = todo.pop()
        if path.count(b"/") >= MAX_DEPTH:
            raise InvalidImage(
                f"{path[:40]!r}… is below more than {MAX_DEPTH} directories",
                "no layer can hold it: remove it in the step that makes it",
            )
        source = top + b"/" + path
        parent, _, name = path.rpartition(b"/")
        if marked and name.startswith(WHITEOUT):
            if name != OPAQUE:
                gone = parent + b"/" + _unmarked(name) if parent else _unmarked(name)
                yield DiskEntry(Entry(gone, Kind.WHITEOUT, 0o600), b"")
            continue
        info = os.lstat(source)
        entry = disk_entry(path, source, info, clamp)
        if entry is None:
            continue
        if entry.kind is Kind.FILE and info.st_nlink > 1:
            first = inodes.setdefault((info.st_dev, info.st_ino), path)
            if first != path:
                entry = Entry(
                    path, Kind.HARDLINK, entry.mode, entry.uid, entry.gid, 0, entry.mtime, first
                )
        yield DiskEntry(entry, source, entry.kind is Kind.FILE and info.st_nlink > 1)
        if entry.kind is Kind.DIRECTORY:
            if hides_all(source, marked):
                yield DiskEntry(Entry(path, Kind.OPAQUE, 0o600, mtime=entry.mtime), b"")
            todo += _paths_in(top, path, marked)


def _paths_in(root: bytes, directory: bytes, marked: bool) -> list[bytes]:
    """What the directory holds, the first name last; a marked whiteout stands by its own name."""
    with os.scandir(root + b"/" + directory) as listing:
        names = [item.name for item in listing]
    names.sort(key=_unmarked if marked else None, reverse=True)
    return [directory + b"/" + name if directory else name for name in names]


def _unmarked(name: bytes) -> bytes:
    return name.removeprefix(WHITEOUT)


def hides_all(path: bytes, marked: bool) -> bool:
    """Whether nothing of the layers below shows through the directory at `path`."""
    return os.path.lexists(path + b"/" + OPAQUE) if marked else _is_opaque(path)


def _is_opaque(path: bytes) -> bool:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False
    return any(
        name in names and os.getxattr(path, name, follow_symlinks=False) == b"y"
        for name in _OPAQUE_XATTRS
    )


def disk_entry(
    path: bytes,
    source: bytes,
    info: os.stat_result,
    clamp: int | None,
    *,
    attributes: bool = True,
) -> Entry | None:
    """The entry of a path on disk; None for a socket; a whiteout for a device 0:0.

    Extended attributes are read only where `attributes` are wanted.
    """
    mtime = int(info.st_mtime_ns // 1_000_000_000)
    if clamp is not None and mtime > clamp:
        mtime = clamp
    kind = info.st_mode
    mode = stat.S_IMODE(kind)
    owner = (info.st_uid, info.st_gid)
    if stat.S_ISREG(kind):
        xattrs = kept_xattrs(source) if attributes else None
        return Entry(path, Kind.FILE, mode, *owner, info.st_size, mtime, xattrs=xattrs)
    if stat.S_ISDIR(kind):
        xattrs = kept_xattrs(source) if attributes else None
        return Entry(path, Kind.DIRECTORY, mode, *owner, 0, mtime, xattrs=xattrs)
    if stat.S_ISLNK(kind):
        return Entry(path, Kind.SYMLINK, 0o777, *owner, 0, mtime, os.readlink(source))
    device = (os.major(info.st_rdev), os.minor(info.st_rdev))
    if stat.S_ISCHR(kind) and device == (0, 0):
        return Entry(path, Kind.WHITEOUT, 0o600)
    if stat.S_ISFIFO(kind):
        return Entry(path, Kind.FIFO, mode, *owner, 0, mtime)
    if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        which = Kind.CHARACTER if stat.S_ISCHR(kind) else Kind.BLOCK
        return Entry(path, which, mode, *owner, 0, mtime, device=device)
    return None
