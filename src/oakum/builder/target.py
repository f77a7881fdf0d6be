"""What a COPY or ADD writes onto: an image's files, and what has been put on top so far.

Nothing is on disk: paths are looked up in the image's tree and among the entries that are planned,
as a kernel would find them once the entries were written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from oakum.errors import BuildError
from oakum.layer import Entry, Kind
from oakum.layer.write import sort_key
from oakum.tree import Tree

Owner = tuple[int, int]
_MAX_LINKS = 255


class Item(msgspec.Struct, frozen=True):
    """One entry of the layer to be and where its content comes from."""

    entry: Entry
    """The entry, its path as it will be in the image."""
    content: Callable[[], Iterator[bytes]] | None = None
    """Opens the content of a file."""
    inode: object = None
    """Equal for files that are one file with several names; None for a file with one name."""


class Target:
    """A tree with planned entries on top."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._planned: dict[bytes, Item] = {}
        self._above: dict[bytes, Item] = {}
        self._hidden: set[bytes] = set()

    def entry(self, path: bytes) -> Entry | None:
        """What is at `path` itself, a symlink not followed; the directories above it are real."""
        planned = self._planned.get(path)
        if planned is not None:
            return planned.entry
        if not path:
            return self._tree.root.entry
        if self._hides(path):
            return None
        node = self._tree.get(path)
        return None if node is None else node.entry

    def planned(self, path: bytes) -> Item | None:
        """The entry that was put at `path`."""
        return self._planned.get(path)

    def _hides(self, path: bytes) -> bool:
        if not self._hidden:
            return False
        while path:
            if path in self._hidden:
                return True
            path = path.rpartition(b"/")[0]
        return False

    def is_directory(self, path: bytes) -> bool:
        """Whether a directory is at `path`."""
        found = self.entry(path)
        return found is not None and found.kind is Kind.DIRECTORY

    def resolve(self, path: bytes, root: bytes = b"") -> bytes:
        """The path below `root` that `path` leads to; what does not exist stays as written.

        Symlinks are followed, in the last place too, and none leads out of `root`.
        """
        todo = [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]
        done: list[bytes] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == b"..":
                done[-1:] = []
                continue
            here = below(root, b"/".join([*done, part]))
            found = self.entry(here)
            if found is None or found.kind is not Kind.SYMLINK:
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise BuildError(f"/{os.fsdecode(path)} has too many symbolic links", "check it")
            if found.link.startswith(b"/"):
                done = []
            todo += [p for p in reversed(found.link.split(b"/")) if p not in (b"", b".")]
        return below(root, b"/".join(done))

    def make_directories(self, path: bytes, mode: int, owner: Owner) -> None:
        """Make the directory at `path` and those above it, where they are missing."""
        if not path:
            return
        found = self.entry(path)
        if found is not None and found.kind is not Kind.DIRECTORY:
            raise BuildError(
                f"/{os.fsdecode(path)} is not a directory, so nothing can be put into it",
                "name another destination",
            )
        self.make_directories(path.rpartition(b"/")[0], mode, owner)
        if found is None:
            self.put(path, Item(Entry(path, Kind.DIRECTORY, mode, *owner)))
        else:
            self.note(path)

    def put(self, path: bytes, item: Item) -> None:
        """Put an entry at `path` in place of what is there; a directory keeps what is in it."""
        there = self.entry(path)
        directory = item.entry.kind is Kind.DIRECTORY
        if there is not None and not (directory and there.kind is Kind.DIRECTORY):
            self.remove(path)
        self._note_above(path)
        entry = msgspec.structs.replace(item.entry, path=path)
        self._planned[path] = msgspec.structs.replace(item, entry=entry)

    def change(self, path: bytes, **fields: object) -> None:
        """Change fields of the entry at `path`, which is there."""
        found = self._planned.get(path)
        if found is None:
            entry = self.entry(path)
            assert entry is not None
            found = Item(entry)
        entry = msgspec.structs.replace(found.entry, path=path, **fields)
        self._note_above(path)
        self._planned[path] = msgspec.structs.replace(found, entry=entry)

    def remove(self, path: bytes) -> None:
        """Take away what is at `path` and below it."""
        below = path + b"/" if self.is_directory(path) else None
        for known in (self._planned, self._above):
            known.pop(path, None)
            for name in [n for n in known if n.startswith(below)] if below else ():
                del known[name]
        self._hidden.add(path)

    def note(self, path: bytes) -> None:
        """Name an existing directory in the layer, as it is."""
        if path and path not in self._above:
            found = self.entry(path)
            assert found is not None
            self._above[path] = Item(msgspec.structs.replace(found, path=path))

    def _note_above(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        if parent and parent not in self._above and parent not in self._planned:
            self._note_above(parent)
            self.note(parent)

    def entries(self) -> Iterator[Item]:
        """The layer's entries, sorted; the first name of a file has its content."""
        merged = [*{**self._above, **self._planned}.values(), *self._emptied()]
        first: dict[object, Item] = {}
        for item in sorted(merged, key=lambda item: sort_key(item.entry)):
            if item.inode is None:
                yield item
                continue
            leader = first.setdefault(item.inode, item)
            yield item if leader is item else _hard_link(item, leader)

    def _emptied(self) -> Iterator[Item]:
        """Opaque marks for directories that stand where another one was taken away."""
        for path in self._hidden:
            planned = self._planned.get(path)
            node = self._tree.get(path)
            if planned is None or planned.entry.kind is not Kind.DIRECTORY:
                continue
            if node is not None and node.entry.kind is Kind.DIRECTORY:
                yield Item(Entry(path, Kind.OPAQUE, 0o600))


def _hard_link(item: Item, leader: Item) -> Item:
    entry = msgspec.structs.replace(
        leader.entry,
        path=item.entry.path,
        kind=Kind.HARDLINK,
        size=0,
        link=leader.entry.path,
        xattrs=None,
        digest=b"",
    )
    return Item(entry)


def below(directory: bytes, path: bytes) -> bytes:
    """The path of what is at `path` in `directory`; each may be empty."""
    return directory + b"/" + path if directory and path else directory or path
