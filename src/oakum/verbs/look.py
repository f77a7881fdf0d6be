"""Looking into an image: its documents, its files, the content of one file."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any

import msgspec

from oakum.builder import Image, Images
from oakum.errors import NotFound, UsageError
from oakum.layer import Kind, index_blob
from oakum.layer.read import layer_members
from oakum.oci import Platform, host_platform
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.tree import Tree
from oakum.verbs.interface import SCHEMA
from oakum.verbs.pending import known_lines

_LETTERS = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}


class File(msgspec.Struct, frozen=True):
    """A path of an image."""

    path: str
    """Absolute path; bytes that are not UTF-8 as surrogate escapes, as Python has them."""
    type: str
    """file, directory, symlink, character, block or fifo."""
    mode: str
    """As ls shows it."""
    uid: int
    """Owner."""
    gid: int
    """Group."""
    size: int
    """Bytes."""
    mtime: float
    """Seconds since 1970."""
    link: str | None
    """Where a symbolic link points."""
    layer: str
    """Diff ID of the layer that it is in."""


def inspect(
    store: Store,
    name: str,
    *,
    platform: Platform | None = None,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> dict[str, Any]:
    """An image's manifest, config and layers, as one document; no layer is fetched."""
    images = Images(store, options, progress)
    image = images.find(name, platform or host_platform())
    lines = known_lines(store, image.manifest.digest)
    created = image.config.created_by()
    return {
        "schema": SCHEMA,
        "name": name,
        "digest": image.root.digest,
        "manifest_digest": image.manifest.digest,
        "media_type": image.manifest.media_type,
        "platform": str(image.config.platform),
        "image_id": image.manifest.config.digest,
        "size": image.manifest.layer_bytes,
        "annotations": image.manifest.annotations,
        "layers": [
            {
                "digest": layer.descriptor.digest,
                "diff_id": layer.diff_id,
                "media_type": layer.descriptor.media_type,
                "size": layer.descriptor.size,
                "created_by": created[number] if number < len(created) else "",
                "line": lines[number] if number < len(lines) else None,
            }
            for number, layer in enumerate(image.layers)
        ],
        "config": image.config.document,
    }


def _tree(
    store: Store, name: str, platform: Platform | None, options: RegistryOptions, progress: Progress
) -> tuple[Image, Tree]:
    images = Images(store, options, progress)
    image = images.find(name, platform or host_platform())
    images.fetch(image.layers)
    layers = image.layers
    return image, Tree.of([index_blob(store, x.descriptor, x.diff_id) for x in layers])


def list_files(
    store: Store,
    name: str,
    path: str = "/",
    *,
    recursive: bool = False,
    platform: Platform | None = None,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Iterator[File]:
    """The files below `path` of an image's merged tree, each with its layer, sorted."""
    image, tree = _tree(store, name, platform, options, progress)
    wanted = path.strip("/").encode("utf-8", "surrogateescape")
    node = tree.lookup(wanted)
    if node is None:
        raise NotFound(f"{name} has no {path}", "'oakum ls IMAGE /' shows what it has")
    top = tree.resolve(wanted) or b""
    if node.entry.kind is not Kind.DIRECTORY and top:
        found = [(top, node)]
    elif recursive:
        found = list(tree.walk(top))
    else:
        found = [(p, n) for p, n in tree.walk(top) if _parent(p) == top and p != top]
    layers = image.layers
    for where, one in sorted(found, key=lambda pair: pair[0]):
        if not where:
            continue
        entry = one.entry
        yield File(
            "/" + where.decode("utf-8", "surrogateescape"),
            entry.kind.name.lower(),
            stat.filemode(_LETTERS.get(entry.kind, stat.S_IFREG) | entry.mode),
            entry.uid,
            entry.gid,
            entry.size,
            entry.mtime,
            entry.link.decode("utf-8", "surrogateescape") if entry.kind is Kind.SYMLINK else None,
            layers[one.layer].diff_id if 0 <= one.layer < len(layers) else "",
        )


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def read_file(
    store: Store,
    name: str,
    path: str,
    *,
    platform: Platform | None = None,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Iterator[bytes]:
    """The content of a file of an image, in pieces; links are followed within the image."""
    image, tree = _tree(store, name, platform, options, progress)
    wanted = path.strip("/").encode("utf-8", "surrogateescape")
    node = tree.lookup(wanted)
    if node is None:
        raise NotFound(f"{name} has no {path}", "'oakum ls IMAGE' shows what it has")
    node = tree.file(wanted)
    if node is None:
        raise UsageError(f"{path} in {name} is not a file", "'oakum ls IMAGE PATH' looks into it")
    return _content(store, image, node.layer, node.entry.path)


def _content(store: Store, image: Image, layer: int, path: bytes) -> Iterator[bytes]:
    for header, content in layer_members(store, image.layers[layer].descriptor.digest):
        if header.path == path and header.kind is Kind.FILE:
            yield from content
            return
