"""The merged file system of a stack of layers, in which each path knows its layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from oakum.layer import Entry, Kind, LayerIndex

MAX_LINKS = 40
"""Most symbolic links that a lookup follows, as Linux's."""

_MISSING_DIRECTORY = Entry(b"", Kind.DIRECTORY)


class Node:
    """A path of a tree: its entry, the number of the layer that put it there, what is below."""

    __slots__ = ("children", "entry", "file", "layer", "owner")

    def __init__(
        self, entry: Entry, layer: int, file: Entry | None = None, owner: object = None
    ) -> None:
        self.entry = entry
        self.layer = layer
        self.owner = owner
        """What tells the tree that made the node, and may change it, from those that share it."""
        self.file = entry if entry.kind is Kind.FILE else file
        """The entry that has the content: a hard link's is that of the file which it named when
        its layer was made, whatever became of that path in later layers."""
        self.children: dict[bytes, Node] | None = {} if entry.kind is Kind.DIRECTORY else None

    def copied(self, owner: object) -> Node:
        """A directory's node with the same below it, for another tree."""
        assert self.children is not None
        node = Node(self.entry, self.layer, owner=owner)
        node.children = self.children.copy()
        return node


class Tree:
    """``flat(stack)``: what a container that starts from these layers would see."""

    def __init__(self) -> None:
        self._owner = object()
        self.root = Node(_MISSING_DIRECTORY, -1, owner=self._owner)
        self.layers = 0

    @classmethod
    def of(cls, indexes: Sequence[LayerIndex]) -> Tree:
        """The tree of a stack of layers, the lowest first."""
        tree = cls()
        for index in indexes:
            tree.apply(index.entries)
        return tree

    def plus(self, index: LayerIndex) -> Tree:
        """The tree with one more layer on top; shares what that layer leaves alone."""
        tree = Tree()
        tree.root = self.root.copied(tree._owner)
        tree.layers = self.layers
        tree.apply(index.entries)
        return tree

    def apply(self, entries: Sequence[Entry]) -> None:
        """Put one more layer on top (OCI image layer spec, "Applying Changesets").

        Whiteouts take away only what lower layers brought, wherever they stand in the layer.
        Like every member, they imply the directories that they stand in, as on a disk, unless
        one of these is whited out itself.
        """
        number = self.layers
        self.layers += 1
        emptied = sorted(entry.path for entry in entries if entry.kind is Kind.OPAQUE)
        for path in emptied:
            self._directory(path, number).clear()
        removed = [entry.path for entry in entries if entry.kind is Kind.WHITEOUT]
        for path in removed:
            self._directory(path.rpartition(b"/")[0], number)
        for path in removed:
            self._remove(path)
        for entry in entries:
            if entry.kind not in (Kind.WHITEOUT, Kind.OPAQUE):
                self._put(entry, number)

    def _remove(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        node = self._find(parent)
        if node is not None and node.children is not None:
            node.children.pop(name, None)

    def _directory(self, path: bytes, number: int) -> dict[bytes, Node]:
        """What is in the directory at `path`, which is made where there is none.

        This tree's own afterwards, as is the way to it.
        """
        node = self.root
        for part in path.split(b"/") if path else ():
            assert node.children is not None
            child = node.children.get(part)
            if child is None or child.children is None:
                child = Node(_MISSING_DIRECTORY, number, owner=self._owner)
                node.children[part] = child
            elif child.owner is not self._owner:
                child = child.copied(self._owner)
                node.children[part] = child
            node = child
        assert node.children is not None
        return node.children

    def _find(self, path: bytes) -> Node | None:
        node = self.root
        if not path:
            return node
        for name in path.split(b"/"):
            if node.children is None:
                return None
            child = node.children.get(name)
            if child is None:
                return None
            node = child
        return node

    def _put(self, entry: Entry, number: int) -> None:
        if not entry.path:
            self.root.entry, self.root.layer = entry, number
            return
        parent, _, name = entry.path.rpartition(b"/")
        children = self._directory(parent, number)
        there = children.get(name)
        if there is not None and there.children is not None and entry.kind is Kind.DIRECTORY:
            if there.owner is not self._owner:
                there = children[name] = there.copied(self._owner)
            there.entry, there.layer = entry, number
        else:
            children[name] = self._made(entry, number)

    def _made(self, entry: Entry, number: int) -> Node:
        target = self._find(entry.link) if entry.kind is Kind.HARDLINK else None
        if target is None or target.layer != number or target.children is not None:
            return Node(entry, number, owner=self._owner)
        if target.file is None:
            # GNU tar links symlinks and devices too.
            return Node(msgspec.structs.replace(target.entry, path=entry.path), number)
        return Node(entry, number, target.file)

    def at(self, path: bytes) -> Node | None:
        """The node at `path`, no symlink followed."""
        return self._find(path)

    def get(self, path: bytes) -> Node | None:
        """The node at `path` itself; a symlink in the last place is not followed."""
        parent, _, name = path.strip(b"/").rpartition(b"/")
        if name in (b"", b".", b".."):
            return self.lookup(path)
        resolved = self.resolve(parent)
        if resolved is None:
            return None
        return self._find(resolved + b"/" + name if resolved else name)

    def resolve(self, path: bytes) -> bytes | None:
        """The path that `path` leads to once every symlink is followed inside the root.

        None when it does not exist, or when it follows more than `MAX_LINKS` symlinks.
        """
        todo = path.split(b"/")[::-1]
        done: list[bytes] = []
        nodes = [self.root]
        links = 0
        while todo:
            name = todo.pop()
            children = nodes[-1].children
            if children is None:
                return None
            if name in (b"", b"."):
                continue
            if name == b"..":
                if done:
                    done.pop()
                    nodes.pop()
                continue
            node = children.get(name)
            if node is None:
                return None
            if node.entry.kind is Kind.SYMLINK:
                links += 1
                if links > MAX_LINKS:
                    return None
                target = node.entry.link
                if target.startswith(b"/"):
                    done, nodes = [], [self.root]
                todo += target.split(b"/")[::-1]
                continue
            done.append(name)
            nodes.append(node)
        return b"/".join(done)

    def lookup(self, path: bytes) -> Node | None:
        """The node that `path` leads to, symlinks followed inside the root."""
        resolved = self.resolve(path)
        return None if resolved is None else self._find(resolved)

    def file(self, path: bytes) -> Node | None:
        """The regular file that `path` leads to; a hard link gives the file that it names."""
        node = self.lookup(path)
        if node is None or node.file is None or node.file is node.entry:
            return node if node is not None and node.file is not None else None
        return Node(node.file, node.layer)

    def names(self, path: bytes) -> list[bytes]:
        """Names in the directory that `path` leads to, sorted; empty when there is none."""
        node = self.lookup(path)
        return sorted(node.children) if node is not None and node.children is not None else []

    def walk(self, path: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """Every path at and below `path` (itself not followed), sorted, parents first."""
        node = self._find(path)
        if node is not None:
            yield from _walk(path, node)


def _walk(path: bytes, top: Node) -> Iterator[tuple[bytes, Node]]:
    stack = [(path, top)]
    while stack:
        at, node = stack.pop()
        if at:
            yield at, node
        if node.children:
            for name in sorted(node.children, reverse=True):
                stack.append((at + b"/" + name if at else name, node.children[name]))
