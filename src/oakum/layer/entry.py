"""One entry of a layer, and the index of all entries of one layer.

Paths are bytes, relative to the root, without ``.`` or ``..``, as the kernel has them; the root
itself is ``b""``.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What an entry is."""

    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    HARDLINK = "h"
    """Another name of a file of the same layer; `link` is that file's path."""
    CHARACTER = "c"
    BLOCK = "b"
    FIFO = "p"
    WHITEOUT = "w"
    """`path` is removed from what lies below (OCI image layer spec, "Whiteouts")."""
    OPAQUE = "o"
    """What lies below in the directory `path` is removed ("Opaque Whiteout")."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A path of a layer."""

    path: bytes
    """Relative path; for whiteouts the path that is removed."""
    kind: Kind
    """What it is."""
    mode: int = 0o755
    """Permission bits with setuid, setgid and sticky."""
    uid: int = 0
    """Owner."""
    gid: int = 0
    """Group."""
    size: int = 0
    """Bytes of a file; 0 for everything else."""
    mtime: int = 0
    """Seconds since the epoch."""
    link: bytes = b""
    """Target of a symlink as written, or path of the file that a hard link names."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device."""
    xattrs: dict[str, bytes] | None = None
    """Extended attributes, such as ``security.capability``."""
    digest: bytes = b""
    """sha256 of a file's content, 32 bytes; empty for everything else."""
    offset: int = 0
    """Where a file's content begins in the uncompressed tar, in bytes."""


class LayerIndex(msgspec.Struct, frozen=True, array_like=True):
    """All entries of one layer, made in the one pass that reads it."""

    diff_id: str
    """Digest of the uncompressed tar."""
    size: int
    """Size of the uncompressed tar in bytes."""
    entries: tuple[Entry, ...]
    """The entries in the order of the tar; a later one of the same path wins."""


def content_identity(entry: Entry) -> tuple[object, ...]:
    """What makes two entries the same file for a build, times left out."""
    return (
        entry.path,
        entry.kind.value,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.link,
        entry.device,
        tuple(sorted((entry.xattrs or {}).items())),
        entry.digest,
    )


def encode_index(index: LayerIndex) -> bytes:
    """The index as a store keeps it."""
    return msgspec.msgpack.encode(index)


def decode_index(raw: bytes) -> LayerIndex | None:
    """The index that a store kept, or None when it has another shape (an older oakum's)."""
    try:
        return msgspec.msgpack.decode(raw, type=LayerIndex)
    except msgspec.DecodeError:
        return None
