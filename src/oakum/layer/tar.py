"""Reading tar streams that may be hostile: ustar, GNU and pax headers, strict and bounded.

The rules are POSIX.1-2017's pax format and GNU tar's extensions for long names, base-256 numbers
and sparse files are refused by name, since no image builder writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from oakum.errors import InvalidImage
from oakum.layer.compression import BLOCK, Readable
from oakum.layer.entry import Kind

RECORD = 512
MAX_HEADER = 1 << 20
"""Most bytes of one pax header or long name."""
MAX_ENTRIES = 4_000_000
MAX_PATH = 4096
_PREFIX = b".wh."
_OPAQUE = b".wh..wh..opq"
_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}


class Header(msgspec.Struct):
    """One member of a tar, its path already normalised."""

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    device: tuple[int, int]
    xattrs: dict[str, bytes] | None
    offset: int


def damaged(why: str) -> InvalidImage:
    """The error for a layer that breaks the format or tries to break out."""
    return InvalidImage(
        f"the layer is not a valid archive: {why}",
        "the image is damaged or hostile; fetch it from a source you trust",
    )


class TarStream:
    """The uncompressed bytes of a layer: buffered, counted and hashed as they pass."""

    def __init__(self, source: Readable, limit: int) -> None:
        self._source = source
        self._buffer = b""
        self._at = 0
        self._limit = limit
        self._hasher = hashlib.sha256()
        self.position = 0
        self._taken = 0

    def _fill(self) -> bool:
        data = self._source.read(BLOCK)
        if not data:
            return False
        self._hasher.update(data)
        self._taken += len(data)
        if self._taken > self._limit:
            raise InvalidImage(
                f"the layer unpacks to more than {self._limit} bytes",
                "if the image is really that large, raise OAKUM_MAX_LAYER_BYTES",
            )
        self._buffer, self._at = self._buffer[self._at :] + data, 0
        return True

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes; shorter only at the end of the stream."""
        while len(self._buffer) - self._at < size and self._fill():
            pass
        out = self._buffer[self._at : self._at + size]
        self._at += len(out)
        self.position += len(out)
        return out

    def content(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces."""
        left = size
        while left:
            if self._at == len(self._buffer) and not self._fill():
                raise damaged("it ends within a file")
            piece = self._buffer[self._at : self._at + left]
            self._at += len(piece)
            self.position += len(piece)
            left -= len(piece)
            yield piece

    def finish(self) -> tuple[str, int]:
        """Read to the end; the digest and the size of the whole stream."""
        while self._at < len(self._buffer) or self._fill():
            self.position += len(self._buffer) - self._at
            self._at = len(self._buffer)
        return f"sha256:{self._hasher.hexdigest()}", self._taken


def read_tar(stream: TarStream) -> Iterator[tuple[Header, Iterator[bytes]]]:
    """The members of a tar with their content, in order.

    What a caller does not read of a content is skipped.  Raises `InvalidImage` for anything that
    is not a valid archive, for a path with ``..`` and for more than `MAX_ENTRIES` members.
    """
    links = _Links()
    count = 0
    pax: dict[str, bytes] = {}
    long_name = long_link = None
    while True:
        raw = stream.take(RECORD)
        if not raw or raw == bytes(RECORD):
            return
        if len(raw) < RECORD:
            raise damaged("it ends within a header")
        _verify(raw)
        flag = raw[156:157]
        size = _number(raw[124:136], "size")
        if flag in (b"x", b"g", b"L", b"K"):
            if size > MAX_HEADER:
                raise damaged(f"an extended header of {size} bytes")
            body = stream.take(size)
            stream.take(-size % RECORD)
            if len(body) < size:
                raise damaged("it ends within an extended header")
            if flag == b"x":
                pax.update(_pax(body))
            elif flag == b"L":
                long_name = body.rstrip(b"\0")
            elif flag == b"K":
                long_link = body.rstrip(b"\0")
            continue
        count += 1
        if count > MAX_ENTRIES:
            raise damaged(f"more than {MAX_ENTRIES} members")
        header = _header(raw, size, pax, long_name, long_link, links)
        header.offset = stream.position
        pax, long_name, long_link = {}, None, None
        content = stream.content(header.size)
        yield header, content
        for _ in content:
            pass
        stream.take(-header.size % RECORD)


def _verify(raw: bytes) -> None:
    stored = _number(raw[148:156], "checksum")
    if sum(raw) - sum(raw[148:156]) + 8 * 32 != stored:
        raise damaged("a header's checksum does not match")


def _number(field: bytes, what: str) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise damaged(f"a header's {what} is not a number") from None


def _pax(body: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 8)
        try:
            length = int(body[at:space]) if space > at else 0
        except ValueError:
            length = 0
        record = body[at : at + length]
        if length < 5 or not record.endswith(b"\n") or b"=" not in record:
            raise damaged("a pax record is malformed")
        key, _, value = record[space - at + 1 : -1].partition(b"=")
        found[key.decode("utf-8", "surrogateescape")] = value
        at += length
    return found


def _header(
    raw: bytes,
    size: int,
    pax: dict[str, bytes],
    long_name: bytes | None,
    long_link: bytes | None,
    links: _Links,
) -> Header:
    name = raw[:100].split(b"\0", 1)[0]
    if raw[257:263] == b"ustar\0" and raw[345] and long_name is None:
        name = raw[345:500].split(b"\0", 1)[0] + b"/" + name
    name = pax.get("path", long_name or name)
    link = pax.get("linkpath", long_link or raw[157:257].split(b"\0", 1)[0])
    flag = raw[156:157]
    kind = _KINDS.get(flag)
    if kind is None or any(key.startswith("GNU.sparse") for key in pax):
        raise damaged(f"a member of type {flag!r} that images do not use (sparse or multi-volume)")
    if kind is Kind.FILE and name.endswith(b"/"):
        kind = Kind.DIRECTORY
    path = links.resolve(normalise(name))
    size = _pax_number(pax, "size", size)
    if size < 0:
        raise damaged("a member of negative size")
    if kind is Kind.HARDLINK:
        link = links.resolve(normalise(link))
    if kind is not Kind.FILE:
        size = size if kind in (Kind.SYMLINK, Kind.DIRECTORY) and flag == b"\0" else 0
    kind, path = _whiteout(kind, path)
    if kind is Kind.SYMLINK:
        links.add(path)
    else:
        links.discard(path)
    device = (0, 0)
    if kind in (Kind.CHARACTER, Kind.BLOCK):
        device = (_number(raw[329:337], "device"), _number(raw[337:345], "device"))
    xattrs = {
        key.removeprefix("SCHILY.xattr."): value
        for key, value in pax.items()
        if key.startswith("SCHILY.xattr.")
    }
    return Header(
        path,
        kind,
        _number(raw[100:108], "mode") & 0o7777,
        _pax_number(pax, "uid", _number(raw[108:116], "owner")),
        _pax_number(pax, "gid", _number(raw[116:124], "group")),
        size,
        _pax_number(pax, "mtime", _number(raw[136:148], "time")),
        link,
        device,
        xattrs or None,
        0,
    )


def _pax_number(pax: dict[str, bytes], key: str, otherwise: int) -> int:
    if key not in pax:
        return otherwise
    try:
        return int(pax[key].split(b".", 1)[0])
    except ValueError:
        raise damaged(f"a pax record's {key} is not a number") from None


def normalise(name: bytes) -> bytes:
    """The path as the root sees it; `InvalidImage` for ``..``, NUL or too long a path."""
    if b"\0" in name or len(name) > MAX_PATH:
        raise damaged("a path with a NUL byte or of more than 4096 bytes")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise damaged(f"the path {name[:100]!r} leads out of the root")
    return b"/".join(parts)


def _whiteout(kind: Kind, path: bytes) -> tuple[Kind, bytes]:
    parent, _, base = path.rpartition(b"/")
    if not base.startswith(_PREFIX):
        return kind, path
    if base == _OPAQUE:
        return Kind.OPAQUE, parent
    if base.startswith(b".wh..wh.") or base == _PREFIX:
        return Kind.WHITEOUT, parent + b"/" + base if parent else base
    target = base.removeprefix(_PREFIX)
    if target in (b".", b".."):
        raise damaged(f"a whiteout of {target!r}")
    return Kind.WHITEOUT, parent + b"/" + target if parent else target


class _Links:
    """The symlinks of one layer, so that members below one land where it leads, inside the root."""

    def __init__(self) -> None:
        self._links: set[bytes] = set()
        self._clean = b"\0"

    def add(self, path: bytes) -> None:
        self._links.add(path)
        self._clean = b"\0"

    def discard(self, path: bytes) -> None:
        if path in self._links:
            self._links.discard(path)

    def resolve(self, path: bytes) -> bytes:
        """`path`; `InvalidImage` when one of its parents is a symlink of this layer."""
        parent = path.rpartition(b"/")[0]
        if not self._links or parent == self._clean or not parent:
            return path
        at = len(parent)
        while at > 0:
            if parent[:at] in self._links:
                raise damaged(
                    f"it writes {path[:100]!r} through its own symbolic link {parent[:at]!r}"
                )
            at = parent.rfind(b"/", 0, at)
        self._clean = parent
        return path
