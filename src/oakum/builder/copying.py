"""What COPY and ADD put where: the entries of their layer, computed without touching a disk.

The rules are BuildKit's: a directory's content is copied, not the directory; a destination that
ends in ``/`` or is a directory takes files in; directories that are missing are made; symlinks in
the destination are followed inside the image's root; what is copied replaces links and files, but
neither a directory with a file nor a file with a directory.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Sequence

import msgspec

from oakum.builder.ignore import Ignore
from oakum.builder.modes import Mode
from oakum.builder.target import Item, Owner, Target, below
from oakum.errors import BuildError
from oakum.layer import Kind
from oakum.tree import Tree

_NEW_DIRECTORY = 0o755


class Source(msgspec.Struct, frozen=True):
    """One thing that is copied: a file, or a directory with everything below it."""

    name: str
    """Base name, used when the destination is a directory."""
    items: tuple[Item, ...]
    """The first is the thing itself (path empty); the others are below it."""
    unpacked: bool = False
    """Whether these are an archive's members, in the archive's order, as they are unpacked."""
    include: Ignore | None = None
    """What of it is copied, with the directories above that; None for everything."""


class Destination(msgspec.Struct, frozen=True):
    """Where a COPY writes to."""

    path: str
    """Absolute path as expanded and joined to the working directory."""
    directory: bool
    """Whether it was written with ``/`` at its end (or is ``.``)."""


def destination_of(text: str, workdir: str) -> Destination:
    """The destination that the last argument of COPY names."""
    directory = text.endswith(("/", "/.")) or text in (".", "")
    path = posixpath.normpath(posixpath.join(workdir or "/", text))
    return Destination("/" + path.lstrip("/"), directory)


class Change(msgspec.Struct, frozen=True):
    """What the flags of a COPY change about what is copied."""

    owner: Owner | None = None
    """``--chown``."""
    mode: Mode | None = None
    """``--chmod``."""
    exclude: Ignore = Ignore(())
    """``--exclude``."""


class CopyPlan:
    """Collects the entries of one COPY or ADD on top of a tree."""

    def __init__(
        self,
        tree: Tree,
        change: Change,
        existing: Callable[[bytes], Item | None] = lambda _: None,
    ) -> None:
        self._target = Target(tree)
        self._change = change
        self._existing = existing
        self._owner = change.owner or (0, 0)
        octal = change.mode.octal if change.mode is not None else None
        self._new_mode = _NEW_DIRECTORY if octal is None else octal & _NEW_DIRECTORY

    def add(self, sources: Sequence[Source], destination: Destination) -> None:
        """Plan the copy of all `sources`."""
        path = os.fsencode(destination.path).lstrip(b"/")
        for source in sources:
            if source.unpacked:
                self._unpack(source, self._target.resolve(path))
            else:
                self._copy(source, path, destination.directory)

    def entries(self) -> Iterator[Item]:
        """The layer's entries, sorted, with the directories above them."""
        return self._target.entries()

    def _copy(self, source: Source, path: bytes, into: bool) -> None:
        target, top = self._target, source.items[0]
        above = target.resolve(path if into else path.rpartition(b"/")[0])
        target.make_directories(above, self._new_mode, self._owner)
        where = target.resolve(path)
        if top.entry.kind is not Kind.DIRECTORY:
            if target.is_directory(where):
                where = below(where, os.fsencode(source.name))
            target.make_directories(where.rpartition(b"/")[0], self._new_mode, self._owner)
            self._put_file(source, top, where)
            return
        if target.entry(where) is None:
            target.make_directories(where, self._new_mode, self._owner)
        self._require_directory(where)
        if where:
            target.change(where, mtime=top.entry.mtime)
        self._put_content(source, where)

    def _put_content(self, source: Source, where: bytes) -> None:
        left_out: dict[bytes, Item] = {}
        for item in source.items[1:]:
            relative = item.entry.path
            if self._leaves_out(source, os.fsdecode(relative)):
                if item.entry.kind is Kind.DIRECTORY:
                    left_out[relative] = item
                continue
            for name in _parents(relative) if left_out else ():
                if name in left_out:
                    self._put_directory(left_out.pop(name), below(where, name))
            if item.entry.kind is Kind.DIRECTORY:
                self._put_directory(item, below(where, relative))
            else:
                self._put_file(source, item, below(where, relative))

    def _leaves_out(self, source: Source, path: str) -> bool:
        if source.include is not None and not source.include.ignores(path):
            return True
        return self._change.exclude.ignores(path)

    def _put_directory(self, item: Item, path: bytes) -> None:
        if self._target.entry(path) is not None:
            self._require_directory(path)
        self._target.put(path, self._changed(item))

    def _put_file(self, source: Source, item: Item, path: bytes) -> None:
        if self._target.is_directory(path):
            raise BuildError(
                f"cannot replace the directory /{os.fsdecode(path)} with a file",
                "end the destination in '/' to copy into it, or name another one",
            )
        inode = None if item.inode is None else (id(source), item.inode)
        self._target.put(path, msgspec.structs.replace(self._changed(item), inode=inode))

    def _require_directory(self, path: bytes) -> None:
        if not self._target.is_directory(path):
            raise BuildError(
                f"cannot copy to non-directory: /{os.fsdecode(path)}", "name another destination"
            )

    def _changed(self, item: Item) -> Item:
        entry, change = item.entry, self._change
        uid, gid = change.owner if change.owner is not None else (entry.uid, entry.gid)
        mode = entry.mode
        if change.mode is not None and entry.kind is not Kind.SYMLINK:
            mode = change.mode.apply(mode, entry.kind is Kind.DIRECTORY)
        changed = msgspec.structs.replace(entry, uid=uid, gid=gid, mode=mode)
        return msgspec.structs.replace(item, entry=changed)

    def _unpack(self, source: Source, where: bytes) -> None:
        """Unpack an archive as docker does: in order, everything in place of what is there."""
        self._target.make_directories(where, _NEW_DIRECTORY, self._owner)
        for item in source.items[1:]:
            parent, _, name = item.entry.path.rpartition(b"/")
            above = self._target.resolve(parent, where)
            self._target.make_directories(above, _NEW_DIRECTORY, (0, 0))
            path = below(above, name)
            if item.entry.kind is Kind.HARDLINK:
                self._link(item, path, where)
            else:
                self._target.put(path, self._owned(item, (id(source), path)))

    def _owned(self, item: Item, inode: object) -> Item:
        owner = self._change.owner
        uid, gid = owner if owner is not None else (item.entry.uid, item.entry.gid)
        entry = msgspec.structs.replace(item.entry, uid=uid, gid=gid)
        return Item(entry, item.content, inode if entry.kind is Kind.FILE else None)

    def _link(self, item: Item, path: bytes, where: bytes) -> None:
        """A second name of a file of the archive or of the image."""
        parent, _, name = item.entry.link.rpartition(b"/")
        place = below(self._target.resolve(parent, where), name)
        file = self._target.planned(place) or self._existing_file(place)
        if file is None:
            raise BuildError(
                f"the archive links {os.fsdecode(item.entry.path)!r} to "
                f"{os.fsdecode(item.entry.link)!r}, which is not there",
                "check the archive",
            )
        link = self._owned(item, None).entry
        entry = msgspec.structs.replace(
            file.entry, mode=link.mode, uid=link.uid, gid=link.gid, mtime=link.mtime
        )
        joined = msgspec.structs.replace(file, entry=entry)
        self._target.put(place, joined)
        self._target.put(path, joined)

    def _existing_file(self, place: bytes) -> Item | None:
        entry = self._target.entry(place)
        found = self._existing(place) if entry is not None else None
        return None if found is None else msgspec.structs.replace(found, inode=("image", place))


def _parents(path: bytes) -> list[bytes]:
    """The directories above a path, the highest first."""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: number + 1]) for number in range(len(parts))]
