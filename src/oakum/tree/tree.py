"""The merged file system of a stack of layers, in which each path knows its layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oakum.layer import Entry, Kind, LayerIndex

MAX_LINKS = 40
"""Most symbolic links that a lookup follows, as Linux's."""

_MISSING_DIRECTORY = Entry(b"", Kind.DIRECTORY)


class Node:
    """A path of a tree: its entry, the number of the layer that put it there, what is below."""

    __slots__ = ("children", "entry", "layer")

    def __init__(self, entry: Entry, layer: int) -> None:
        self.entry = entry
        self.layer = layer
        self.children: dict[bytes, Node] | None = {} if entry.kind is Kind.DIRECTORY else None


class Tree:
    """``flat(stack)``: what a container that starts from these layers would see."""

    def __init__(self) -> None:
        self.root = Node(_MISSING_DIRECTORY, -1)
        self.layers = 0

    @classmethod
    def of(cls, indexes: Sequence[LayerIndex]) -> Tree:
        """The tree of a stack of layers, the lowest first."""
        tree = cls()
        for index in indexes:
            tree.apply(index.entries)
        return tree

    def apply(self, entries: Sequence[Entry]) -> None:
        """Put one more layer on top (OCI image layer spec, "Applying Changesets").

        Whiteouts take away only what lower layers brought, wherever they stand in the layer.
        """
        number = self.layers
        self.layers += 1
        for entry in entries:
            if entry.kind is Kind.WHITEOUT:
                self._remove(entry.path)
            elif entry.kind is Kind.OPAQUE:
                node = self._find(entry.path)
                if node is not None and node.children:
                    node.children.clear()
        for entry in entries:
            if entry.kind not in (Kind.WHITEOUT, Kind.OPAQUE):
                self._put(entry, number)

    def _remove(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        node = self._find(parent)
        if node is not None and node.children is not None:
            node.children.pop(name, None)

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
        node = self.root
        *parents, name = entry.path.split(b"/")
        for part in parents:
            assert node.children is not None
            child = node.children.get(part)
            if child is None or child.children is None:
                child = Node(_MISSING_DIRECTORY, number)
                node.children[part] = child
            node = child
        assert node.children is not None
        there = node.children.get(name)
        if there is not None and there.children is not None and entry.kind is Kind.DIRECTORY:
            there.entry, there.layer = entry, number
        else:
            node.children[name] = Node(entry, number)

    def get(self, path: bytes) -> Node | None:
        """The node at `path` itself; a symlink in the last place is not followed."""
        parent, _, name = path.strip(b"/").rpartition(b"/")
        if not name:
            return self.root
        resolved = self.resolve(parent)
        if resolved is None:
            return None
        return self._find(resolved + b"/" + name if resolved else name)

    def resolve(self, path: bytes) -> bytes | None:
        """The path that `path` leads to once every symlink is followed inside the root.

        None when it does not exist, or when it follows more than `MAX_LINKS` symlinks.
        """
        todo = [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]
        done: list[bytes] = []
        nodes = [self.root]
        links = 0
        while todo:
            name = todo.pop()
            if name == b"..":
                if done:
                    done.pop()
                    nodes.pop()
                continue
            children = nodes[-1].children
            node = children.get(name) if children is not None else None
            if node is None:
                return None
            if node.entry.kind is Kind.SYMLINK:
                links += 1
                if links > MAX_LINKS:
                    return None
                target = node.entry.link
                if target.startswith(b"/"):
                    done, nodes = [], [self.root]
                todo += [part for part in reversed(target.split(b"/")) if part not in (b"", b".")]
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
        resolved = self.resolve(path)
        if resolved is None:
            return None
        node = self._find(resolved)
        if node is not None and node.entry.kind is Kind.HARDLINK:
            target = self._find(node.entry.link)
            same = target is not None and target.layer == node.layer
            return target if same and target and target.entry.kind is Kind.FILE else node
        return node if node is not None and node.entry.kind is Kind.FILE else None

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
