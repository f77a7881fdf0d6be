"""Blocks of large files that were compressed before, found by what they hold.

The blocks of a file that is packed into a layer stand in the layer's blob as gzip members of their
own.  Where they stand is remembered by the file's path, for the last few layers that had it, so
that a later build takes over the members of what did not change: package lists and the caches
that apt makes of them, say.  A blob is the same with and without.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

import msgspec

from oakum.errors import OakumError
from oakum.oci import Digest
from oakum.store import Store

GZIP_LEVEL = 3
KIND = "blocks"
"""Kind of the records, by the SHA-256 of a path."""
_MOST_LAYERS = 3

Known = Callable[[bytes], bytes]
"""The gzip member of a block of that SHA-256; empty when there is none."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where the member of a block is."""

    block: bytes
    """SHA-256 of the block."""
    offset: int
    """Where the member begins, in bytes."""
    size: int
    """Its size in bytes."""
    check: int
    """CRC-32 of the member itself."""


def checked(member: bytes) -> int:
    """What tells whether a member is still as it was."""
    from isal import isal_zlib

    return int(isal_zlib.crc32(member))


class Blocks:
    """Members in one file."""

    def __init__(self, read: Callable[[int, int], bytes], places: Sequence[Place] = ()) -> None:
        """`read` gives what the file has at an offset, so many bytes."""
        self._read = read
        self._places = {place.block: place for place in places}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, block: bytes) -> bool:
        return block in self._places

    def add(self, place: Place) -> None:
        """One more."""
        self._places[place.block] = place

    def member(self, block: bytes) -> bytes:
        """The member of a block; empty when it is not here or damaged."""
        place = self._places.get(block)
        if place is None:
            return b""
        try:
            member = self._read(place.offset, place.size)
        except (OSError, OakumError):
            return b""
        return member if checked(member) == place.check else b""


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """The blocks of a file as a blob has them."""

    blob: Digest
    places: list[Place]


class EarlierBlocks:
    """The blocks that layers of a store have of a file."""

    def __init__(self, store: Store, path: bytes) -> None:
        self._blocks = [
            Blocks(_reader(store, packed.blob), packed.places) for packed in _packed(store, path)
        ]

    def __contains__(self, block: bytes) -> bool:
        return any(block in blocks for blocks in self._blocks)

    def member(self, block: bytes) -> bytes:
        """The member of a block; empty when no layer that is here has it."""
        return next(filter(None, (blocks.member(block) for blocks in self._blocks)), b"")


def remember_blocks(store: Store, blob: Digest, files: Mapping[bytes, Sequence[Place]]) -> None:
    """Keep where a layer's blob has the blocks of its large files, by their paths."""
    for path, places in files.items():
        if places:
            others = [packed for packed in _packed(store, path) if packed.blob != blob]
            kept = [_Packed(blob, [*places]), *others[: _MOST_LAYERS - 1]]
            store.records.put(KIND, _key(path), msgspec.msgpack.encode((_form(), kept)))


def forget_blocks(store: Store) -> None:
    """Forget what only blobs had that are not here any more."""
    for key, path in list(store.records.keys(KIND)):
        found = store.records.decoded(KIND, key, _decode) or []
        if not any(store.blobs.has(packed.blob) for packed in found):
            path.unlink(missing_ok=True)


def _form() -> str:
    """What the members depend on: another compressor makes others."""
    import deflate

    return f"{GZIP_LEVEL} {deflate.__version__}"


def _key(path: bytes) -> str:
    return hashlib.sha256(path).hexdigest()


def _packed(store: Store, path: bytes) -> list[_Packed]:
    return store.records.decoded(KIND, _key(path), _decode) or []


def _decode(raw: bytes) -> list[_Packed] | None:
    try:
        form, packed = msgspec.msgpack.decode(raw, type=tuple[str, list[_Packed]])
    except msgspec.DecodeError:
        return None
    return packed if form == _form() else None


def _reader(store: Store, blob: Digest) -> Callable[[int, int], bytes]:
    def read(offset: int, size: int) -> bytes:
        with store.blobs.open(blob) as file:
            return os.pread(file.fileno(), size, offset)

    return read
