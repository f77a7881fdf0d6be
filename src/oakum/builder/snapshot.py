"""Layers unpacked on disk, and stacks of them mounted for a step.

A layer is unpacked once, whatever images share it, into ``snapshots/<diff ID>/fs``.  Only a layer
that leaves out the directories above its files depends on what lies below it; its name then holds
the chain, and those directories get the attributes that they have below.  What is meant for an
overlay and what is meant to be copied has different names, since whiteouts differ.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from oakum.builder.sandbox import Snapshotter, choose_snapshotter, in_user_namespace
from oakum.layer import Kind, Layer, LayerIndex, index_blob, known_index, read_layer
from oakum.layer.disk import DirectoryUnpacker
from oakum.layer.read import Unpacker, check_diff_id
from oakum.oci import Descriptor, Digest, chain_ids
from oakum.store import Store, discard, guarded
from oakum.tree import Tree

_MOST_TREES = 8


class Fetch(Protocol):
    """Brings layers that are not in the store."""

    def __call__(
        self,
        layers: Sequence[Layer],
        unpacker: Callable[[Digest], Unpacker] | None = None,
    ) -> None:
        """With an `unpacker` for a blob's digest, they are unpacked while they come."""


class Snapshots:
    """The unpacked layers of a store."""

    def __init__(
        self,
        store: Store,
        fetch: Fetch,
        told: Callable[[Digest], LayerIndex | None] = lambda _: None,
    ) -> None:
        """`told` is what somebody else says of a layer that was never read here."""
        self._store = store
        self._fetch = fetch
        self._told = told
        self._user_namespace = in_user_namespace()
        self._lock = threading.Lock()
        self._trees: dict[tuple[Digest, ...], Tree] = {}
        """The trees that were of use last, the latest at the end."""
        self._chosen: tuple[Snapshotter, str] | None = None

    @property
    def how(self) -> Snapshotter:
        """How stacks are put together where the store is; tried once."""
        return self._choose()[0]

    @property
    def refusal(self) -> str:
        """Why stacks are copied although nobody asked for it; empty when they are not."""
        return self._choose()[1]

    def _choose(self) -> tuple[Snapshotter, str]:
        with self._lock:
            if self._chosen is None:
                self._chosen = choose_snapshotter(self._store.place.scratch)
            return self._chosen

    @property
    def _suffix(self) -> str:
        if self.how == "copy":
            return "-copy"
        return "-user" if self._user_namespace else ""

    def indexes(self, layers: Sequence[Layer]) -> list[LayerIndex]:
        """The index of every layer; layers that are not in the store are fetched."""
        self._fetch([x for x in layers if known_index(self._store, x.diff_id) is None])
        return [index_blob(self._store, layer.descriptor, layer.diff_id) for layer in layers]

    def tree(self, layers: Sequence[Layer]) -> Tree:
        """The merged view of a stack, whose layers need not be here if others tell of them.

        Others may have the same one: it is not to be changed.
        """
        stack = tuple(layer.diff_id for layer in layers)
        with self._lock:
            below = max(
                (known for known in self._trees if known == stack[: len(known)]),
                key=len,
                default=(),
            )
            tree = self._trees.pop(below, Tree())
            if below:
                self._trees[below] = tree
        if below == stack:
            return tree
        missing = layers[len(below) :]
        known = [known_index(self._store, x.diff_id) for x in missing]
        here = [index or self._told(x.diff_id) for index, x in zip(known, missing)]
        for index in self.indexes(missing) if None in here else here:
            assert index is not None
            tree = tree.plus(index)
        if None in known and None not in here:
            # What others tell counts until the layer itself is read.
            return tree
        with self._lock:
            self._trees[stack] = tree
            while len(self._trees) > _MOST_TREES:
                del self._trees[next(iter(self._trees))]
        return tree

    def directories(self, layers: Sequence[Layer]) -> list[Path]:
        """A directory for every layer of the stack, unpacked side by side where need be."""
        return self._unpacked(layers, {n: self._name(layers, n) for n in range(len(layers))})

    def lowers(self, layers: Sequence[Layer]) -> list[Path]:
        """What an overlay of the stack is mounted from, the lowest first.

        A layer that holds nothing is left out, and so is what lies below one that empties the
        whole root: overlayfs takes no notice of an opaque mark on a lower root.
        """
        self._bring(layers)
        names: dict[int, str] = {}
        for number, index in enumerate(self.indexes(layers)):
            if _empties_root(index):
                names.clear()
            if index.entries:
                names[number] = self._name(layers, number)
        return self._unpacked(layers, names)

    def _unpacked(self, layers: Sequence[Layer], names: dict[int, str]) -> list[Path]:
        missing = [n for n, name in names.items() if not self._path(name).is_dir()]
        if missing:
            self._fetch([layers[number] for number in missing])
            with ThreadPoolExecutor(2) as pool:
                for done in [
                    pool.submit(self._unpack, layers, number, names[number]) for number in missing
                ]:
                    done.result()
        return [self._path(name) / "fs" for name in names.values()]

    def _path(self, name: str) -> Path:
        return self._store.root / "snapshots" / name

    def _name(self, layers: Sequence[Layer], number: int) -> str:
        plain = _plain(layers[number])
        suffix = self._suffix
        if self._path(plain + suffix).is_dir():
            return plain + suffix
        index = self.indexes([layers[number]])[0]
        if not implied_directories(index):
            return plain + suffix
        chain = chain_ids(tuple(layer.diff_id for layer in layers[: number + 1]))[-1]
        return f"{plain[:16]}-{chain.split(':', 1)[1]}{suffix}"

    def _bring(self, layers: Sequence[Layer]) -> None:
        """Fetch the layers that are not here, and unpack them in the same pass."""
        made: dict[Digest, Path] = {}

        def unpacker(digest: Digest) -> Unpacker:
            made[digest], unpacking = self._begin(digest)
            return unpacking

        blobs = self._store.blobs
        missing = [x for x in layers if not blobs.has(x.descriptor.digest, x.descriptor.size)]
        try:
            self._fetch(
                [x for x in missing if not self._path(_plain(x) + self._suffix).is_dir()], unpacker
            )
            for number, layer in enumerate(layers):
                digest = layer.descriptor.digest
                if digest in made and self.indexes([layer])[0].entries:
                    self._finish(layers, number, made.pop(digest), self._name(layers, number))
        finally:
            for place in made.values():
                discard(place)

    def _unpack(self, layers: Sequence[Layer], number: int, name: str) -> None:
        layer = layers[number]
        made, unpacker = self._begin(layer.diff_id)
        with self._store.blobs.open(layer.descriptor.digest) as file:
            index, _ = read_layer(file, unpacker)
        check_diff_id(index, layer.descriptor, layer.diff_id)
        self._finish(layers, number, made, name)

    def _begin(self, what: Digest) -> tuple[Path, DirectoryUnpacker]:
        with guarded(f"unpack layer {what}"):
            made = Path(tempfile.mkdtemp(prefix="unpack-", dir=self._store.place.scratch))
            root = made / "fs"
            root.mkdir()
            root.chmod(0o755)
        unpacker = DirectoryUnpacker(
            root, user_namespace=self._user_namespace, marked=self.how == "copy"
        )
        return made, unpacker

    def _finish(self, layers: Sequence[Layer], number: int, made: Path, name: str) -> None:
        implied = implied_directories(self.indexes([layers[number]])[0])
        if implied and number:
            _dress_implied(made / "fs", implied, self.tree(layers[:number]))
        self._adopt(made, name)

    def _adopt(self, made: Path, name: str) -> None:
        with guarded("keep an unpacked layer"):
            try:
                made.rename(self._path(name))
            except OSError:
                if not self._path(name).is_dir():
                    raise
                discard(made)

    def keep(self, directory: Path, diff_id: Digest) -> None:
        """Take over a step's upper directory (``…/fs`` below `directory`) as the layer's."""
        self._adopt(directory, diff_id.split(":", 1)[1] + self._suffix)


def _plain(layer: Layer) -> str:
    return layer.diff_id.split(":", 1)[1]


def _empties_root(index: LayerIndex) -> bool:
    return any(not entry.path and entry.kind is Kind.OPAQUE for entry in index.entries)


def implied_directories(index: LayerIndex) -> set[bytes]:
    """Directories that a layer has files in without having an entry for them."""
    named = {entry.path for entry in index.entries if entry.kind is Kind.DIRECTORY}
    named.add(b"")
    implied: set[bytes] = set()
    for entry in index.entries:
        parent = entry.path.rpartition(b"/")[0]
        while parent not in named and parent not in implied:
            implied.add(parent)
            parent = parent.rpartition(b"/")[0]
    return implied


def _dress_implied(root: Path, implied: set[bytes], below: Tree) -> None:
    for path in sorted(implied, reverse=True):
        node = below.get(path)
        where = os.fsencode(root) + b"/" + path
        if node is None or node.entry.kind is not Kind.DIRECTORY or not os.path.isdir(where):
            continue
        entry = node.entry
        os.chown(where, entry.uid, entry.gid)
        os.chmod(where, entry.mode)
        os.utime(where, (entry.mtime, entry.mtime))


def layer_of(descriptor: Descriptor, diff_id: Digest) -> Layer:
    """The layer of a base image, whose uncompressed size is not known yet."""
    return Layer(descriptor, diff_id, 0)
