"""Where COPY, ADD and bind mounts take files from: a directory that is not part of an image."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from oakum.builder.ignore import Ignore
from oakum.builder.wildcards import matches, split_wildcards
from oakum.dockerfile import LOCK_NAME
from oakum.errors import BuildError
from oakum.layer import Entry, Kind
from oakum.layer.disk import disk_entry, file_content
from oakum.store import Store

_FRESH = 2.0
_MAX_LINKS = 255
_SMALL = 64 << 10
_MOST_HELD = 32 << 20


class SourceEntry(msgspec.Struct, frozen=True):
    """A file that is to be copied: its entry (path relative to the copied root) and its place."""

    entry: Entry
    """What it is; a file's digest is filled in."""
    source: bytes
    """Its place on this machine's disk; empty when there is no content."""
    inode: int = 0
    """Number of a file that has several names; 0 for others."""
    data: bytes | None = None
    """A small file's content, where it was read just now."""


class Directory:
    """A directory that files are taken from, with the digests of its files remembered."""

    def __init__(self, store: Store, root: Path, ignore: Ignore, *, unpacked: bool = False) -> None:
        """With `unpacked` the files' owners count, as an archive's do; else all is root's."""
        self._store = store
        self._unpacked = unpacked
        self.root = root
        self.ignore = ignore
        self._key = hashlib.sha256(os.fsencode(root)).hexdigest()
        self._digests: dict[bytes, tuple[int, int, int, int, bytes]] | None = None
        self._changed = False

    def expand(self, pattern: str) -> list[str]:
        """Relative paths that a COPY source names; several only for wildcards.

        Ignored paths are not there.  Raises `BuildError` when a plain path does not exist, or the
        directory that wildcards are looked for in.
        """
        cleaned = os.path.normpath("/" + pattern).lstrip("/")
        plain, wild = split_wildcards(cleaned)
        if not wild:
            self._require(plain, pattern)
            return [plain]
        directory = self.resolve(plain)
        hidden = directory and not self.sees(directory) and not self._holds(directory)
        if hidden or not (self.root / directory).is_dir():
            raise BuildError(
                f"{pattern!r}: /{plain} is not found in the build context {self.root}",
                "check the directories before the wildcard, and .dockerignore",
            )
        found = matches(directory, wild, self._names)
        seen = [path for path in found if self.sees(path) or self._holds(path)]
        for path in seen:
            self._require(path, path)
        return seen

    def _names(self, directory: str) -> list[str]:
        where = self.root / directory
        try:
            return [] if directory and where.is_symlink() else sorted(os.listdir(where))
        except OSError:
            return []

    def _require(self, path: str, written: str) -> None:
        resolved = self.resolve(path)
        if resolved and not os.path.lexists(self.root / resolved):
            raise BuildError(
                f"{written!r}: not found in the build context {self.root}",
                "check the path, which is relative to the context; 'COPY' cannot reach outside",
            )
        if resolved and not self.sees(resolved) and not self._holds(resolved):
            raise BuildError(
                f"{written!r}: not found, since .dockerignore leaves it out of the build context",
                "take it out of .dockerignore, or do not copy it",
            )

    def sees(self, path: str) -> bool:
        """Whether a path is part of the context."""
        return path != LOCK_NAME and not self.ignore.ignores(path)

    def _holds(self, path: str) -> bool:
        """Whether a path that is itself ignored is a directory with something that is not."""
        if not self.ignore.has_exceptions or not (self.root / path).is_dir():
            return False
        inside = self._below(os.fsencode(self.root / path), path, b"", lambda _: True, _Room(0))
        return any(True for _ in inside)

    def resolve(self, path: str) -> str:
        """The path with symlinks followed inside the context; those that are ignored are not."""
        done: list[str] = []
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done[-1:] = []
                continue
            where = self.root.joinpath(*done, part)
            if where.is_symlink() and self.sees("/".join([*done, part])):
                links += 1
                if links > _MAX_LINKS:
                    raise BuildError(f"{path!r} has too many symbolic links", "check them")
                target = os.readlink(where)
                if target.startswith("/"):
                    done = []
                todo += [p for p in reversed(target.split("/")) if p not in ("", ".")]
                continue
            done.append(part)
        return "/".join(done)

    def entries(
        self, path: str, wanted: Callable[[str], bool] = lambda _: True
    ) -> Iterator[SourceEntry]:
        """The file at `path`, or the directory and everything below it, sorted.

        The paths of the entries are relative to `path`; that of `path` itself is empty.  Files
        below whose paths are not `wanted` are left out, and not read.
        """
        resolved = self.resolve(path)
        where = os.fsencode(self.root / resolved) if resolved else os.fsencode(self.root)
        try:
            info = os.lstat(where)
        except OSError as error:
            raise BuildError(
                f"{path!r} cannot be read in the build context: {error.strerror}",
                "check the path and its permissions",
            ) from error
        room = _Room(_MOST_HELD)
        yield self._entry(b"", where, info, room)
        if stat.S_ISDIR(info.st_mode):
            yield from self._below(where, resolved, b"", wanted, room)

    def _below(
        self, where: bytes, path: str, relative: bytes, wanted: Callable[[str], bool], room: _Room
    ) -> Iterator[SourceEntry]:
        """Everything below a directory, sorted, parents first."""
        try:
            names = sorted(os.listdir(where))
        except OSError as error:
            raise BuildError(
                f"{os.fsdecode(where)} cannot be read: {error.strerror}",
                "check its permissions, or leave it out with .dockerignore",
            ) from error
        for name in names:
            at = where + b"/" + name
            inner = f"{path}/{os.fsdecode(name)}" if path else os.fsdecode(name)
            below = relative + b"/" + name if relative else name
            seen = self.sees(inner)
            if not seen and not self.ignore.has_exceptions:
                continue
            try:
                info = os.lstat(at)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(info.st_mode):
                if seen and not stat.S_ISSOCK(info.st_mode) and wanted(os.fsdecode(below)):
                    yield self._entry(below, at, info, room)
                continue
            if seen:
                yield self._entry(below, at, info, room)
                yield from self._below(at, inner, below, wanted, room)
                continue
            inside = list(self._below(at, inner, below, wanted, room))
            if inside:
                yield self._entry(below, at, info, room)
                yield from inside

    def _entry(
        self, relative: bytes, where: bytes, info: os.stat_result, room: _Room
    ) -> SourceEntry:
        # What a file system hangs on the sources of a build is this machine's affair.
        entry = disk_entry(relative, where, info, None, attributes=False)
        if entry is None:
            raise BuildError(
                f"{os.fsdecode(where)} is a socket or a whiteout, which cannot be copied",
                "leave it out with .dockerignore",
            )
        uid, gid = (entry.uid, entry.gid) if self._unpacked else (0, 0)
        if entry.kind is not Kind.FILE:
            return SourceEntry(msgspec.structs.replace(entry, uid=uid, gid=gid), b"")
        digest, data = self._content(where, info, room)
        inode = info.st_ino if info.st_nlink > 1 else 0
        entry = msgspec.structs.replace(entry, uid=uid, gid=gid, digest=digest)
        return SourceEntry(entry, where, inode, data)

    def _content(
        self, where: bytes, info: os.stat_result, room: _Room
    ) -> tuple[bytes, bytes | None]:
        """A file's digest, and what is in it where that had to be read and is small."""
        if self._digests is None:
            raw = self._store.records.get("filedigests", self._key)
            self._digests = (
                msgspec.msgpack.decode(raw, type=dict[bytes, tuple[int, int, int, int, bytes]])
                if raw
                else {}
            )
        mark = (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
        known = self._digests.get(where)
        if known is not None and known[:4] == mark:
            return known[4], None
        hasher = hashlib.sha256()
        held: list[bytes] | None = [] if room.takes(info.st_size) else None
        try:
            for piece in file_content(where):
                hasher.update(piece)
                if held is not None:
                    held.append(piece)
        except OSError as error:
            raise BuildError(
                f"{os.fsdecode(where)} cannot be read: {error.strerror}", "check its permissions"
            ) from error
        digest = hasher.digest()
        if info.st_ctime_ns < (time.time() - _FRESH) * 1e9:
            # A file that changed just now may change again within the clock's resolution.
            self._digests[where] = (*mark, digest)
            self._changed = True
        return digest, None if held is None else b"".join(held)

    def remember(self) -> None:
        """Keep the digests of the files that were read, for the next build."""
        if self.root.is_relative_to(self._store.root / "tmp"):
            return
        if self._changed and self._digests is not None:
            self._store.records.put("filedigests", self._key, msgspec.msgpack.encode(self._digests))
            self._changed = False


class _Room:
    """How much of small files is held in memory, so that they are read once."""

    def __init__(self, most: int) -> None:
        self._left = most

    def takes(self, size: int) -> bool:
        """Whether a file of that many bytes is held; its room is taken then."""
        if size > min(self._left, _SMALL):
            return False
        self._left -= size
        return True
