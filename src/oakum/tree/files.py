"""The content of files of an image: out of what was kept beside the indexes, else the layers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from oakum.errors import InvalidImage, NotFound
from oakum.layer import Entry, LayerIndex, known_kept
from oakum.layer.compression import BLOCK, decompressed
from oakum.oci import Descriptor, Digest
from oakum.store import Store
from oakum.tree.tree import Node, Tree

MAX_READ = 256 << 20
"""Largest file that is read into memory, in bytes."""


class ImageTree:
    """A tree together with the means to read its files.

    Follows the protocol of an image's files (`read`, `list`) that package databases and
    repositories ask for; paths are text, with surrogate escapes for bytes that are not UTF-8.
    """

    def __init__(
        self,
        store: Store,
        indexes: Sequence[LayerIndex],
        descriptors: Sequence[Descriptor],
        fetch: Callable[[Descriptor], None] | None = None,
        tree: Tree | None = None,
    ) -> None:
        self.tree = Tree.of(indexes) if tree is None else tree
        self._store = store
        self._diff_ids = [Digest(index.diff_id) for index in indexes]
        self._descriptors = list(descriptors)
        self._kept: dict[int, dict[bytes, bytes]] = {}
        self._fetch = fetch

    def read(self, path: str) -> bytes | None:
        """The content of the file at `path`, symlinks followed; None when there is no file."""
        node = self.tree.file(os.fsencode(path))
        return None if node is None else self.content(node)

    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when it is absent."""
        return [os.fsdecode(name) for name in self.tree.names(os.fsencode(path))]

    def content(self, node: Node) -> bytes:
        """The content of a file's node."""
        entry = node.entry
        if node.layer not in self._kept:
            self._kept[node.layer] = known_kept(self._store, self._diff_ids[node.layer])
        known = self._kept[node.layer].get(entry.path)
        if known is not None:
            return known
        return read_from_blob(self._store, self._descriptors[node.layer], entry, self._fetch)


def read_from_blob(
    store: Store,
    descriptor: Descriptor,
    entry: Entry,
    fetch: Callable[[Descriptor], None] | None = None,
) -> bytes:
    """The content of one file out of its layer's blob, which is fetched if it is not here."""
    if entry.size > MAX_READ:
        raise InvalidImage(
            f"{entry.path[:200]!r} has {entry.size} bytes, too many to read at once",
            "unpack the image to look at it",
        )
    if not store.blobs.has(descriptor.digest):
        if fetch is None:
            raise NotFound(f"layer {descriptor.digest} is not in the store", "pull the image")
        fetch(descriptor)
    with store.blobs.open(descriptor.digest) as file:
        stream = decompressed(file)
        position = 0
        while position < entry.offset:
            piece = stream.read(min(BLOCK, entry.offset - position))
            if not piece:
                raise InvalidImage(f"layer {descriptor.digest} is cut off", "pull it again")
            position += len(piece)
        pieces = []
        left = entry.size
        while left and (piece := stream.read(min(BLOCK, left))):
            pieces.append(piece)
            left -= len(piece)
    if left:
        raise InvalidImage(f"layer {descriptor.digest} is cut off", "pull it again")
    return b"".join(pieces)
