"""What COPY and ADD put where: the entries of their layer, computed without touching a disk.

The rules are BuildKit's: a directory's content is copied, not the directory; a destination that
ends in ``/`` or is a directory takes files in; directories that are missing are made; symlinks in
the destination are followed inside the image's root.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence

import msgspec

from oakum.errors import BuildError
from oakum.layer import Entry, Kind
from oakum.layer.write import sort_key
from oakum.tree import Node, Tree

Owner = tuple[int, int]


class Item(msgspec.Struct, frozen=True):
    """One entry of the layer to be and where its content comes from."""

    entry: Entry
    """The entry, its path as it will be in the image."""
    content: object = None
    """Whatever the caller needs to find the bytes again."""


class Source(msgspec.Struct, frozen=True):
    """One thing that is copied: a file, or a directory with everything below it."""

    name: str
    """Base name, used when the destination is a directory."""
    items: tuple[Item, ...]
    """The first is the thing itself (path empty); the others are below it."""
    unpacked: bool = False
    """Whether these are an archive's members, which belong below the destination."""


class Destination(msgspec.Struct, frozen=True):
    """Where a COPY writes to."""

    path: str
    """Absolute path as expanded and joined to the working directory."""
    directory: bool
    """Whether it was written with ``/`` at its end (or is ``.``)."""


def destination_of(text: str, workdir: str) -> Destination:
    """The destination that the last argument of COPY names."""
    directory = text.endswith(("/", "/.", "/..")) or text in (".", "..")
    path = posixpath.normpath(posixpath.join(workdir or "/", text))
    return Destination("/" + path.lstrip("/"), directory)


class CopyPlan:
    """Collects the entries of one COPY or ADD on top of a tree."""

    def __init__(
        self, tree: Tree, owner: Owner | None, mode: int | None, new_owner: Owner = (0, 0)
    ) -> None:
        self._tree = tree
        self._owner = owner
        self._mode = mode
        self._new_owner = owner or new_owner
        self._items: dict[bytes, Item] = {}
        self._ancestors: dict[bytes, Item] = {}

    def add(self, sources: Sequence[Source], destination: Destination) -> None:
        """Plan the copy of all `sources`."""
        for source in sources:
            self._add(source, destination)

    def _add(self, source: Source, destination: Destination) -> None:
        top = source.items[0]
        is_directory = top.entry.kind is Kind.DIRECTORY
        where = self._resolve(os.fsencode(destination.path))
        if is_directory or source.unpacked:
            self._place_directory(source, where)
            return
        if destination.directory or self._is_directory(where):
            where = where + b"/" + os.fsencode(source.name) if where else os.fsencode(source.name)
        self._parents(where)
        if self._is_directory(where):
            raise BuildError(
                f"cannot copy the file {source.name!r} over the directory /{os.fsdecode(where)}",
                "end the destination in '/' to copy into it",
            )
        self._put(top, where)

    def _place_directory(self, source: Source, where: bytes) -> None:
        top = source.items[0]
        existing = self._node(where)
        if existing is not None and existing.entry.kind is not Kind.DIRECTORY:
            raise BuildError(
                f"cannot copy the directory {source.name!r} to /{os.fsdecode(where)}, "
                "which is not a directory",
                "name another destination",
            )
        self._parents(where)
        if where and where not in self._items:
            if existing is None and not source.unpacked:
                self._put(top, where)
            elif existing is None:
                self._make_directory(where)
            else:
                self._ancestor(where, existing)
        for item in source.items[1:]:
            path = where + b"/" + item.entry.path if where else item.entry.path
            if source.unpacked:
                path = self._resolve(path, last=False)
                self._parents(path)
            self._put_below(item, path)

    def _put_below(self, item: Item, path: bytes) -> None:
        there = self._node(path)
        is_directory = item.entry.kind is Kind.DIRECTORY
        if there is not None and (there.entry.kind is Kind.DIRECTORY) != is_directory:
            if is_directory:
                raise BuildError(
                    f"cannot copy a directory to /{os.fsdecode(path)}, which is not a directory",
                    "name another destination",
                )
            raise BuildError(
                f"cannot copy a file over the directory /{os.fsdecode(path)}",
                "name another destination",
            )
        self._put(item, path)

    def _put(self, item: Item, path: bytes) -> None:
        entry = item.entry
        uid, gid = self._owner if self._owner is not None else (entry.uid, entry.gid)
        mode = entry.mode
        if self._mode is not None and entry.kind is not Kind.SYMLINK:
            mode = self._mode
        changed = msgspec.structs.replace(entry, path=path, uid=uid, gid=gid, mode=mode)
        self._items[path] = msgspec.structs.replace(item, entry=changed)

    def _make_directory(self, path: bytes) -> None:
        uid, gid = self._new_owner
        self._items[path] = Item(Entry(path, Kind.DIRECTORY, 0o755, uid, gid))

    def _parents(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        if not parent or parent in self._items or parent in self._ancestors:
            return
        self._parents(parent)
        node = self._node(parent)
        if node is None:
            self._make_directory(parent)
        elif node.entry.kind is Kind.DIRECTORY:
            self._ancestor(parent, node)
        else:
            raise BuildError(
                f"/{os.fsdecode(parent)} is not a directory, so nothing can be copied into it",
                "name another destination",
            )

    def _ancestor(self, path: bytes, node: Node) -> None:
        if path and path not in self._ancestors:
            entry = msgspec.structs.replace(node.entry, path=path)
            self._ancestors[path] = Item(entry)

    def _node(self, path: bytes) -> Node | None:
        return self._tree.get(path) if path else self._tree.root

    def _is_directory(self, path: bytes) -> bool:
        planned = self._items.get(path)
        if planned is not None:
            return planned.entry.kind is Kind.DIRECTORY
        node = self._node(path)
        return node is not None and node.entry.kind is Kind.DIRECTORY

    def _resolve(self, path: bytes, *, last: bool = True) -> bytes:
        """`path` with the symlinks of the image followed; what is missing stays as written."""
        parts = [part for part in path.split(b"/") if part]
        done = b""
        for number, part in enumerate(parts):
            here = done + b"/" + part if done else part
            node = self._tree.get(here)
            link = node is not None and node.entry.kind is Kind.SYMLINK
            if link and (last or number + 1 < len(parts)):
                assert node is not None
                target = self._tree.resolve(here)
                here = target if target is not None else _link_target(done, node.entry.link)
            done = here
        return done

    def entries(self) -> Iterator[Item]:
        """The layer's entries, sorted, with the directories above them."""
        merged = {**self._ancestors, **self._items}
        yield from sorted(merged.values(), key=lambda item: sort_key(item.entry))


def _link_target(directory: bytes, link: bytes) -> bytes:
    joined = posixpath.normpath(posixpath.join(b"/" + directory, link))
    return joined.lstrip(b"/")


def parse_mode(text: str) -> int:
    """Permission bits of ``--chmod`` in octal; `BuildError` otherwise."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise BuildError(
            f"invalid mode {text[:40]!r} in --chmod",
            "write octal digits, such as 0755 (symbolic modes are not built yet)",
        )
    return mode
