"""Writing layers so that the same entries always give the same bytes.

Members are ustar; a pax header precedes one only where ustar cannot hold it (long or non-ASCII
paths, large numbers, xattrs).  Owners are numeric, names of users are left out, times are whole
seconds.  The order is the caller's: sorted, parents first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from oakum.errors import InvalidImage
from oakum.layer.blocks import EarlierBlocks, Known, Place, remember_blocks
from oakum.layer.compression import BLOCK, compressor
from oakum.layer.entry import Entry, Kind, LayerIndex
from oakum.layer.paths import OPAQUE, WHITEOUT, marked_name
from oakum.layer.read import is_kept, max_layer_bytes, remember_layer
from oakum.layer.tar import RECORD
from oakum.oci import Compression, Descriptor, Digest
from oakum.oci.media import layer_media_type
from oakum.store import BlobWriter, Store

_FLAGS = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
    Kind.WHITEOUT: b"0",
    Kind.OPAQUE: b"0",
}
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777


class Layer(msgspec.Struct, frozen=True):
    """A layer that is in the store: what a manifest and a config need to name it."""

    descriptor: Descriptor
    """The blob."""
    diff_id: Digest
    """Digest of the uncompressed tar."""
    size: int
    """Size of the uncompressed tar in bytes."""


_NO_NAMES = (WHITEOUT + b".", WHITEOUT + b"..")


def member_name(entry: Entry) -> bytes:
    """The path under which a tar lists the entry (whiteouts are files with marked names)."""
    if entry.kind is Kind.WHITEOUT:
        return marked_name(entry.path)
    if entry.kind is Kind.OPAQUE:
        return (entry.path + b"/" if entry.path else b"") + OPAQUE
    if entry.kind is Kind.DIRECTORY:
        return entry.path + b"/" if entry.path else b"./"
    return entry.path


def encode_header(entry: Entry) -> bytes:
    """The tar header of an entry, preceded by a pax header where ustar is not enough."""
    name = member_name(entry)
    link = entry.link if entry.kind in (Kind.SYMLINK, Kind.HARDLINK) else b""
    size = entry.size if entry.kind is Kind.FILE else 0
    pax: dict[bytes, bytes] = {}
    prefix = b""
    if not name.isascii():
        pax[b"path"] = name
    elif len(name) > 100:
        prefix, short = _split(name)
        if prefix:
            name = short
        else:
            pax[b"path"] = name
    if len(link) > 100 or not link.isascii():
        pax[b"linkpath"] = link
    for key, value, largest in (
        (b"uid", entry.uid, _MAX_OCTAL_7),
        (b"gid", entry.gid, _MAX_OCTAL_7),
        (b"size", size, _MAX_OCTAL_11),
        (b"mtime", entry.mtime, _MAX_OCTAL_11),
    ):
        if not 0 <= value <= largest:
            pax[key] = str(value).encode()
    for attribute, content in (entry.xattrs or {}).items():
        pax[b"SCHILY.xattr." + _attribute(attribute)] = content
    header = _ustar(entry, name, prefix, link, size)
    return _pax_member(pax, name) + header if pax else header


def _attribute(name: str) -> bytes:
    """The name as a pax keyword, which ends at the first ``=``; escaped as GNU tar does."""
    return name.replace("%", "%25").replace("=", "%3D").encode()


def _split(name: bytes) -> tuple[bytes, bytes]:
    at = name.rfind(b"/", 0, 156)
    if at <= 0 or not 0 < len(name) - at - 1 <= 100:
        return b"", name
    return name[:at], name[at + 1 :]


def _octal(value: int, digits: int) -> bytes:
    largest = 8**digits - 1
    return b"%0*o\0" % (digits, value if 0 <= value <= largest else 0)


def _ustar(entry: Entry, name: bytes, prefix: bytes, link: bytes, size: int) -> bytes:
    raw = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            _octal(entry.mode, 7),
            _octal(entry.uid, 7),
            _octal(entry.gid, 7),
            _octal(size, 11),
            _octal(entry.mtime, 11),
            b" " * 8,
            _FLAGS[entry.kind],
            link[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            _octal(entry.device[0], 7),
            _octal(entry.device[1], 7),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


def _pax_member(pax: dict[bytes, bytes], name: bytes) -> bytes:
    body = b"".join(_pax_record(key, value) for key, value in sorted(pax.items()))
    label = b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2]
    safe = bytes(c if 32 <= c < 127 else 95 for c in label)[:100]
    entry = Entry(safe, Kind.FILE, 0o644)
    header = _ustar(entry, safe, b"", b"", len(body))
    header = header[:148] + b" " * 8 + b"x" + header[157:]
    header = header[:148] + b"%06o\0 " % sum(header) + header[156:]
    return header + body + bytes(-len(body) % RECORD)


def _pax_record(key: bytes, value: bytes) -> bytes:
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length = bare + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _exactly(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """`size` bytes of the content, in blocks when it is large.

    A file that shrank while it was read is filled up: tar needs the size that its header promised.
    """
    waiting = bytearray()
    left = size
    for piece in content:
        data = piece[:left]
        left -= len(data)
        if len(data) == BLOCK and not waiting:
            yield data
        else:
            waiting += data
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
        if not left:
            break
    while left:
        filler = bytes(min(left, BLOCK - len(waiting)))
        left -= len(filler)
        yield bytes(waiting) + filler
        waiting.clear()
    if waiting:
        yield bytes(waiting)


class LayerWriter:
    """Writes one layer into the store: tar, diff ID, compression and blob digest in one pass."""

    def __init__(
        self, store: Store, writer: BlobWriter, compression: Compression, pool: ThreadPoolExecutor
    ) -> None:
        self._store = store
        self._writer = writer
        self._compression = compression
        self._compressor = compressor(compression, writer, pool)
        self._pool = pool
        self._hasher = hashlib.sha256()
        self._pending = bytearray()
        self._size = 0
        self._most = max_layer_bytes()
        self._entries: list[Entry] = []
        self._kept: dict[bytes, bytes] = {}
        self._places: dict[bytes, list[Place]] = {}
        self.index: LayerIndex | None = None
        """The layer's index, once it is finished."""

    def add(self, entry: Entry, content: Iterable[bytes] = (), known: Known | None = None) -> Entry:
        """Append an entry; a file's size must be its content's.  Returns it as it was indexed.

        `known` has blocks of the content that were compressed before, besides those of earlier
        layers.  `InvalidImage` for a name that archives take for the removal of a directory or of
        the one above it, and for a layer that nobody would unpack again (`max_layer_bytes`).
        """
        if self._size + entry.size > self._most:
            raise InvalidImage(
                f"the layer is larger than {self._most} bytes with "
                f"{os.fsdecode(entry.path)[:100]!r} ({entry.size} bytes)",
                "make it smaller (holes of a sparse file count), or raise OAKUM_MAX_LAYER_BYTES",
            )
        name = member_name(entry).rstrip(b"/").rpartition(b"/")[2]
        if name in _NO_NAMES:
            raise InvalidImage(
                f"no layer can hold the name {name.decode()!r}",
                "rename it, or remove it in the step that makes it",
            )
        header = encode_header(entry)
        self._put(header)
        offset = self._size
        digest = b""
        if entry.kind is Kind.FILE:
            digest = self._put_content(entry, content, known)
        made = msgspec.structs.replace(entry, digest=digest, offset=offset)
        self._entries.append(made)
        return made

    def _put_content(self, entry: Entry, content: Iterable[bytes], known: Known | None) -> bytes:
        large = entry.size >= BLOCK
        places: list[Place] = []
        if large:
            # A large file's members depend on nothing but the file.
            self._flush()
            self._compressor.cut()
            known = self._known(entry.path, known)
            self._places[entry.path] = places
        hasher = hashlib.sha256()
        hashed: Future[None] | None = None
        kept: list[bytes] | None = [] if is_kept(entry.path) and entry.size < 32 << 20 else None
        for data in _exactly(content, entry.size):
            if hashed is not None:
                hashed.result()
            if large:
                hashed = self._pool.submit(hasher.update, data)
            else:
                hasher.update(data)
            if known is not None and len(data) == BLOCK:
                self._size += len(data)
                self._compressor.block(data, known, places)
                self._hasher.update(data)
            else:
                self._put(data)
            if kept is not None:
                kept.append(data)
        if hashed is not None:
            hashed.result()
        self._put(bytes(-entry.size % RECORD))
        if kept is not None:
            self._kept[entry.path] = b"".join(kept)
        return hasher.digest()

    def _known(self, path: bytes, known: Known | None) -> Known:
        earlier = EarlierBlocks(self._store, path).member
        if known is None:
            return earlier
        first = known
        return lambda block: first(block) or earlier(block)

    def _put(self, data: bytes) -> None:
        self._size += len(data)
        self._pending += data
        if len(self._pending) >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        block = bytes(self._pending)
        self._pending.clear()
        self._hasher.update(block)
        self._compressor.write(block)

    def finish(self) -> Layer:
        """Close the archive, commit the blob, remember its index."""
        self._put(bytes(2 * RECORD))
        self._flush()
        self._compressor.finish()
        size = self._writer.size
        digest = self._writer.commit()
        diff_id = Digest(f"sha256:{self._hasher.hexdigest()}")
        index = LayerIndex(diff_id, self._size, tuple(self._entries))
        remember_layer(self._store, index, self._kept)
        remember_blocks(self._store, digest, self._places)
        self.index = index
        self._store.remember_diff_id(digest, diff_id)
        kind = layer_media_type(self._compression)
        return Layer(Descriptor(kind, digest, size), diff_id, self._size)


def sort_key(entry: Entry) -> tuple[list[bytes], bool]:
    """Order of entries in a layer: by path component, a whiteout before what replaces it.

    An opaque whiteout stands behind its directory and before what is in it.
    """
    path = entry.path.split(b"/") if entry.path else []
    if entry.kind is Kind.OPAQUE:
        path.append(b"")
    return path, entry.kind is not Kind.WHITEOUT
