"""Reading a layer once: index its entries, keep the small files that questions are asked about,
and, where wanted, unpack it, all in the same pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Protocol

import msgspec

from oakum.errors import DigestMismatch
from oakum.layer.compression import ChunkReader, Readable, decompressed, read_ahead
from oakum.layer.entry import Entry, Kind, LayerIndex, decode_index, encode_index
from oakum.layer.tar import Header, TarStream, read_tar
from oakum.oci import Descriptor, Digest, short
from oakum.store import Store

INDEX_VERSION = "1"
_KEPT_PREFIXES = (
    b"var/lib/dpkg/",
    b"etc/apt/",
    b"usr/share/keyrings/",
    b"etc/os-release",
    b"usr/lib/os-release",
    b"etc/passwd",
    b"etc/group",
    b"etc/debian_version",
    b"etc/dpkg/",
    b"var/lib/apt/extended_states",
)
_KEPT_FILE = 32 << 20
_KEPT_LAYER = 128 << 20


class Unpacker(Protocol):
    """Receives the members of a layer as they are read."""

    def member(self, header: Header, content: Iterator[bytes]) -> None: ...

    def finish(self) -> None: ...


def max_layer_bytes() -> int:
    """Most bytes that a layer may unpack to: ``OAKUM_MAX_LAYER_BYTES`` or 64 GiB."""
    try:
        return int(os.environ.get("OAKUM_MAX_LAYER_BYTES", ""))
    except ValueError:
        return 64 << 30


def is_kept(path: bytes) -> bool:
    """Whether the content of this path is kept beside a layer's index."""
    return path.startswith(_KEPT_PREFIXES)


def read_layer(
    source: Readable, unpacker: Unpacker | None = None
) -> tuple[LayerIndex, dict[bytes, bytes]]:
    """Read a layer blob from its first byte to its last.

    Returns the index and the content of the files that are kept.  The diff ID in the index is
    computed, not promised: the caller compares it.
    """
    with read_ahead(decompressed(source)) as plain:
        return _read(TarStream(plain, max_layer_bytes()), unpacker)


def _read(stream: TarStream, unpacker: Unpacker | None) -> tuple[LayerIndex, dict[bytes, bytes]]:
    entries: list[Entry] = []
    kept: dict[bytes, bytes] = {}
    total = 0
    for header, content in read_tar(stream):
        digest = b""
        if header.kind is Kind.FILE:
            keep = is_kept(header.path) and header.size <= _KEPT_FILE
            tap = _Tap(content, keep and total + header.size <= _KEPT_LAYER)
            if unpacker:
                unpacker.member(header, iter(tap))
            for _ in tap:
                pass
            digest = tap.hasher.digest()
            if tap.keep:
                kept[header.path] = b"".join(tap.pieces)
                total += header.size
        elif unpacker:
            unpacker.member(header, content)
        entries.append(header.entry(digest))
    if unpacker:
        unpacker.finish()
    diff_id, size = stream.finish()
    return LayerIndex(diff_id, size, tuple(entries)), kept


class _Tap:
    """A content that is hashed, and kept where wanted, while somebody else reads it."""

    def __init__(self, content: Iterator[bytes], keep: bool) -> None:
        self._content = content
        self.keep = keep
        self.pieces: list[bytes] = []
        self.hasher = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self.hasher.update(piece)
            if self.keep:
                self.pieces.append(piece)
            yield piece


def layer_members(store: Store, blob: Digest) -> Iterator[tuple[Header, Iterator[bytes]]]:
    """The members of a layer that is in the store, with their content, in order."""
    with store.blobs.open(blob) as file:
        yield from read_tar(TarStream(decompressed(file), max_layer_bytes()))


def remember_layer(store: Store, index: LayerIndex, kept: dict[bytes, bytes]) -> None:
    """Keep a layer's index and its kept files in the store, by diff ID."""
    store.records.put(f"kept-{INDEX_VERSION}", index.diff_id, msgspec.msgpack.encode(kept))
    store.records.put(f"index-{INDEX_VERSION}", index.diff_id, encode_index(index))


def known_index(store: Store, diff_id: Digest) -> LayerIndex | None:
    """The index of a layer that was read before, or None."""
    return store.records.decoded(f"index-{INDEX_VERSION}", diff_id, decode_index, growth=4)


def known_kept(store: Store, diff_id: Digest) -> dict[bytes, bytes]:
    """The kept files of a layer that was read before; empty when there are none."""
    return store.records.decoded(f"kept-{INDEX_VERSION}", diff_id, _decode_kept) or {}


def _decode_kept(raw: bytes) -> dict[bytes, bytes]:
    return msgspec.msgpack.decode(raw, type=dict[bytes, bytes])


def index_blob(store: Store, descriptor: Descriptor, expected: Digest | None) -> LayerIndex:
    """The index of a layer whose blob is in the store; read it now if it was not yet read.

    Raises `DigestMismatch` when the layer is not the one that the config promises.
    """
    if expected and (known := known_index(store, expected)):
        return known
    with store.blobs.open(descriptor.digest) as file:
        index, kept = read_layer(file)
    check_diff_id(index, descriptor, expected)
    remember_layer(store, index, kept)
    store.remember_diff_id(descriptor.digest, Digest(index.diff_id))
    return index


def check_diff_id(index: LayerIndex, descriptor: Descriptor, expected: Digest | None) -> None:
    """`DigestMismatch` unless the layer's diff ID is the one that the config promises."""
    if expected and index.diff_id != expected:
        raise DigestMismatch(
            f"layer {short(descriptor.digest)} unpacks to {index.diff_id}, "
            f"the image's config promises {expected}",
            "the image is damaged or was tampered with; fetch it from a source you trust",
        )


class IndexingTee:
    """Indexes a layer in a thread of its own while its chunks are being downloaded."""

    def __init__(
        self,
        store: Store,
        descriptor: Descriptor,
        expected: Digest | None,
        pool: ThreadPoolExecutor,
        unpacker: Callable[[], Unpacker] | None = None,
    ) -> None:
        self._store = store
        self._descriptor = descriptor
        self._expected = expected
        self._queue: Queue[bytes | None] = Queue(maxsize=16)
        self._unpacker = unpacker
        self._future = pool.submit(self._work)

    def _chunks(self) -> Iterator[bytes]:
        while (chunk := self._queue.get()) is not None:
            yield chunk

    def _work(self) -> LayerIndex | None:
        chunks = self._chunks()
        try:
            unpacker = self._unpacker() if self._unpacker else None
            index, kept = read_layer(ChunkReader(chunks), unpacker)
            check_diff_id(index, self._descriptor, self._expected)
        except BaseException:
            for _ in chunks:
                pass
            raise
        for _ in chunks:
            pass
        remember_layer(self._store, index, kept)
        self._store.remember_diff_id(self._descriptor.digest, Digest(index.diff_id))
        return index

    def write(self, chunk: bytes) -> None:
        """The next bytes of the blob; raises what the reading raised."""
        if self._future.done():
            self._future.result()
        self._queue.put(chunk)

    def finish(self) -> None:
        """All bytes were passed; raises what the reading raised."""
        self._queue.put(None)
        self._future.result()

    def abort(self) -> None:
        """The download failed, and that is the error to speak of: forget this one's."""
        self._queue.put(None)
        self._future.exception()
