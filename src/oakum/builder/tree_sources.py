"""COPY ``--from`` a stage or an image: entries out of its tree, contents from its layers."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from oakum.builder.copying import Source
from oakum.builder.state import StageState
from oakum.builder.steps import Workshop
from oakum.builder.target import Item
from oakum.builder.wildcards import matches, split_wildcards
from oakum.errors import BuildError
from oakum.layer import Entry, Kind
from oakum.layer.disk import file_content
from oakum.tree import Node, Tree


def tree_sources(shop: Workshop, state: StageState, pattern: str) -> list[Source]:
    """What a COPY source names in a finished stage.

    Symlinks on the way are followed inside the stage's root; those inside a copied directory are
    copied as they are.
    """
    tree = shop.snapshots.tree(state.stack.layers)
    contents = _Contents(shop, state)
    return [_source(tree, contents, path) for path in expand_in_tree(tree, pattern)]


def expand_in_tree(tree: Tree, pattern: str) -> list[bytes]:
    """Paths of a tree that a pattern names; `BuildError` when a plain path is not there."""
    cleaned = posixpath.normpath("/" + pattern).lstrip("/")
    plain, wild = split_wildcards(cleaned)
    resolved = tree.resolve(os.fsencode(plain))
    if resolved is None:
        raise BuildError(
            f"{pattern!r}: not found in the stage or image that it is copied from",
            "check the path; it is relative to that file system's root",
        )
    if not wild:
        return [os.fsencode(plain)]

    def names(directory: str) -> list[str]:
        node = tree.get(os.fsencode(directory))
        return [os.fsdecode(name) for name in sorted(node.children or ())] if node else []

    return [os.fsencode(path) for path in matches(os.fsdecode(resolved), wild, names)]


def file_item(shop: Workshop, state: StageState, tree: Tree, path: bytes) -> Item | None:
    """The regular file at `path` of a finished stage."""
    node = tree.get(path)
    if node is None or node.entry.kind not in (Kind.FILE, Kind.HARDLINK):
        return None
    return _item(_Contents(shop, state), node, path)


def _source(tree: Tree, contents: _Contents, path: bytes) -> Source:
    resolved = tree.resolve(path)
    if resolved is None:
        raise BuildError(f"{os.fsdecode(path)!r} is a symbolic link to nothing", "check the link")
    items = []
    for at, node in tree.walk(resolved) if resolved else _root(tree):
        relative = at[len(resolved) :].lstrip(b"/")
        items.append(_item(contents, node, relative))
    return Source(os.fsdecode(path.rpartition(b"/")[2]), tuple(items))


def _root(tree: Tree) -> Iterator[tuple[bytes, Node]]:
    yield b"", tree.root
    yield from tree.walk(b"")


def _item(contents: _Contents, node: Node, relative: bytes) -> Item:
    if node.entry.kind not in (Kind.FILE, Kind.HARDLINK):
        return Item(msgspec.structs.replace(node.entry, path=relative))
    file = node.file
    if file is None:
        raise BuildError(
            f"the hard link {os.fsdecode(node.entry.path)!r} names a file that is gone",
            "the image is damaged",
        )
    entry = msgspec.structs.replace(file, path=relative)
    # Names of one file stand in one layer, where all but one link to it.
    return Item(entry, contents.opener(file, node.layer), (node.layer, file.path))


class _Contents:
    """Opens files of a stage on disk, in the layer that each belongs to."""

    def __init__(self, shop: Workshop, state: StageState) -> None:
        self._shop = shop
        self._layers = state.stack.layers
        self._directories: list[Path] | None = None

    def opener(self, file: Entry, layer: int) -> Callable[[], Iterator[bytes]]:
        """Opens the content of a file of a layer when it is called."""
        return lambda: file_content(self._place(file, layer))

    def _place(self, entry: Entry, layer: int) -> bytes:
        if self._directories is None:
            self._directories = self._shop.snapshots.directories(self._layers)
        return os.fsencode(self._directories[layer]) + b"/" + entry.path
