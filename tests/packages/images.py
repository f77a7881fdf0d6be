"""Directories and texts as images whose package database is looked at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from oakum.layer import Entry, Kind, read_layer
from oakum.layer.read import remember_layer
from oakum.layer.tar import Header
from oakum.oci import Descriptor
from oakum.oci.media import OCI_LAYER
from oakum.packages import Package, read_dpkg
from oakum.store import Store
from oakum.tree import ImageTree
from support.layers import Member, on_disk, write_layer


class Sums:
    """The md5 of every file of a layer, made as its members go by."""

    def __init__(self) -> None:
        self.found: dict[bytes, str] = {}

    def member(self, header: Header, content: Iterator[bytes]) -> None:
        """The next member."""
        hasher = hashlib.md5()
        for piece in content:
            hasher.update(piece)
        self.found[header.path] = hasher.hexdigest()

    def finish(self) -> None:
        """No member is left."""


class Seen(msgspec.Struct):
    """What oakum sees in a stack of layers."""

    files: ImageTree
    packages: tuple[Package, ...]
    sums: list[Sums]

    def md5(self, path: str) -> str | None:
        """The md5 of the file that `path` leads to."""
        node = self.files.tree.file(os.fsencode(path))
        return self.sums[node.layer].found[node.entry.path] if node is not None else None

    def package(self, name: str) -> Package:
        """The one package of that name."""
        (found,) = [package for package in self.packages if package.name == name]
        return found


def see(store: Store, *layers: Descriptor) -> Seen:
    """The package database of a stack of layers."""
    sums = [Sums() for _ in layers]
    indexes = []
    for layer, one in zip(layers, sums):
        with store.blobs.open(layer.digest) as file:
            index, kept = read_layer(file, one)
        remember_layer(store, index, kept)
        indexes.append(index)
    files = ImageTree(store, indexes, layers)
    return Seen(files, read_dpkg(store, indexes, files), sums)


def layer_of(store: Store, root: Path) -> Descriptor:
    """A directory as a layer."""
    return write_layer(store, on_disk(root)).descriptor


def layer_of_tar(store: Store, path: Path) -> Descriptor:
    """A tar file as a layer."""
    with store.blobs.writing() as writer, path.open("rb") as file:
        while piece := file.read(1 << 20):
            writer.write(piece)
        return Descriptor(OCI_LAYER, writer.commit(), writer.size)


def layer_with(store: Store, files: dict[str, bytes], gone: Sequence[str] = ()) -> Descriptor:
    """A layer with these files and whiteouts."""
    members: list[Member] = [
        (Entry(path.encode(), Kind.FILE, 0o644, size=len(text)), text)
        for path, text in sorted(files.items())
    ]
    members += [(Entry(path.encode(), Kind.WHITEOUT), b"") for path in gone]
    return write_layer(store, members).descriptor
