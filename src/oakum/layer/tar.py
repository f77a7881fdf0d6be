"""Reading tar streams that may be hostile: ustar, GNU and pax headers, strict and bounded.

The rules are POSIX.1-2017's pax format and GNU tar's extensions for long names, base-256 numbers
and sparse files are refused by name, since no image builder writes them.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator

import msgspec

from oakum.errors import InvalidImage
from oakum.layer.compression import BLOCK, Readable
from oakum.layer.entry import Entry, Kind
from oakum.layer.paths import MAX_PATH, Links, damaged, normalise, whiteout

RECORD = 512
MAX_HEADER = 1 << 20
"""Most bytes of one pax header or long name."""
MAX_ENTRIES = 4_000_000
MAX_NAMES = 512 << 20
"""Most bytes of paths, links and attributes of all members, since an index holds them all."""
_MAX_NUMBER = (1 << 63) - 1
_MAX_ID = (1 << 32) - 2
_MAX_MAJOR = (1 << 12) - 1
_MAX_MINOR = (1 << 20) - 1
_XATTR = "SCHILY.xattr."
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

    def entry(self, digest: bytes = b"") -> Entry:
        """The member as an index has it, with the `digest` of a file's content."""
        return Entry(
            self.path,
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.size,
            self.mtime,
            self.link,
            self.device,
            self.xattrs,
            digest,
            self.offset,
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


def read_tar(stream: TarStream, *, layer: bool = True) -> Iterator[tuple[Header, Iterator[bytes]]]:
    """The members of a tar with their content, in order.

    What a caller does not read of a content is skipped.  Raises `InvalidImage` for anything that
    is not a valid archive and for more than `MAX_ENTRIES` members.

    A `layer` must have no path with ``..`` and write through no link of its own.  Any other archive
    may, as long as ``..`` does not lead out of its root; what a path through a link leads to is the
    caller's affair.
    """
    links = Links() if layer else None
    count = names = 0
    pax: dict[str, bytes] = {}
    long_name = long_link = None
    while raw := _next_header(stream):
        flag = raw[156:157]
        size = _number(raw[124:136], "size")
        if flag in (b"x", b"g", b"L", b"K"):
            body = _extension(stream, size)
            if flag == b"x":
                pax = _pax(body)
            elif flag == b"L":
                long_name = body.rstrip(b"\0")
            elif flag == b"K":
                long_link = body.rstrip(b"\0")
            continue
        header, size = _header(raw, size, pax, long_name, long_link, links)
        count += 1
        names += _weight(header)
        if count > MAX_ENTRIES or names > MAX_NAMES:
            raise damaged(f"more than {MAX_ENTRIES} members, or {MAX_NAMES} bytes of names")
        header.offset = stream.position
        pax, long_name, long_link = {}, None, None
        content = stream.content(size)
        yield header, content
        for _ in content:
            pass
        stream.take(-size % RECORD)


def _next_header(stream: TarStream) -> bytes:
    """The next header block; empty at the end: two blocks of zeros, or the end of the stream."""
    raw = stream.take(RECORD)
    if raw == bytes(RECORD):
        if stream.take(RECORD).strip(b"\0"):
            raise damaged("members follow after its end")
        return b""
    if raw and len(raw) < RECORD:
        raise damaged("it ends within a header")
    if raw:
        _verify(raw)
    return raw


def _extension(stream: TarStream, size: int) -> bytes:
    """The body of a pax header or of a long name."""
    if not 0 <= size <= MAX_HEADER:
        raise damaged(f"an extended header of {size} bytes")
    body = stream.take(size)
    stream.take(-size % RECORD)
    if len(body) < size:
        raise damaged("it ends within an extended header")
    return body


def _weight(header: Header) -> int:
    xattrs = sum(len(key) + len(value) for key, value in (header.xattrs or {}).items())
    return len(header.path) + len(header.link) + xattrs


def _verify(raw: bytes) -> None:
    stored = _number(raw[148:156], "checksum")
    total = sum(raw) - sum(raw[148:156]) + 8 * 32
    if total == stored:
        return
    # Some old tars summed signed bytes.
    if total - 256 * sum(byte > 127 for byte in raw[:148] + raw[156:]) != stored:
        raise damaged("a header's checksum does not match")


def _number(field: bytes, what: str) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value
    text = field.strip(b" \0").split(b"\0", 1)[0]
    try:
        return int(_digits(text), 8) if text else 0
    except ValueError:
        raise damaged(f"a header's {what} is not a number") from None


def _digits(text: bytes) -> bytes:
    """`text`; `ValueError` for the signs, blanks and underscores that Python's numbers may have."""
    if not text.isdigit():
        raise ValueError(text)
    return text


def _pax(body: bytes) -> dict[str, bytes]:
    """The records of a pax header; an empty value stands for the plain header's own."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 8)
        try:
            length = int(_digits(body[at:space])) if space > at else 0
        except ValueError:
            length = 0
        record = body[at : at + length]
        if length < 5 or not record.endswith(b"\n") or b"=" not in record:
            raise damaged("a pax record is malformed")
        key, _, value = record[space - at + 1 : -1].partition(b"=")
        name = _key(key)
        if value or name.startswith(_XATTR):
            found[name] = value
        at += length
    return found


def _key(raw: bytes) -> str:
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        raise damaged(f"the pax keyword {raw[:100]!r} is not UTF-8") from None
    if "\0" in key:
        raise damaged(f"the pax keyword {raw[:100]!r} has a NUL byte")
    return key


def _header(
    raw: bytes,
    size: int,
    pax: dict[str, bytes],
    long_name: bytes | None,
    long_link: bytes | None,
    links: Links | None,
) -> tuple[Header, int]:
    """The member that a header and its extensions describe, and how many bytes follow it."""
    name = raw[:100].split(b"\0", 1)[0]
    if raw[257:263] == b"ustar\0" and raw[345] and long_name is None:
        name = raw[345:500].split(b"\0", 1)[0] + b"/" + name
    name = pax.get("path", long_name or name)
    link = pax.get("linkpath", long_link or raw[157:257].split(b"\0", 1)[0])
    flag = raw[156:157]
    kind = _KINDS.get(flag)
    if kind is None or any(key.startswith("GNU.sparse") for key in pax):
        raise damaged(f"a member of type {flag!r} that images do not use (sparse or multi-volume)")
    path = _path(name, links)
    size = _within(_pax_number(pax, "size", size), 0, _MAX_NUMBER, "size")
    if kind is not Kind.FILE:
        size = 0
    elif flag == b"\0" and name.endswith(b"/"):
        kind = Kind.DIRECTORY
    if kind is Kind.HARDLINK:
        link = _path(link, links)
    elif kind is Kind.SYMLINK and (not link or b"\0" in link or len(link) >= MAX_PATH):
        raise damaged(f"the symbolic link {path[:100]!r} has no possible target")
    elif not path and kind is not Kind.DIRECTORY:
        raise damaged("its root is not a directory")
    kind, path = whiteout(kind, path)
    if links is not None:
        links.note(path, symlink=kind is Kind.SYMLINK)
    device = (0, 0)
    if kind in (Kind.CHARACTER, Kind.BLOCK):
        device = (
            _within(_number(raw[329:337], "device"), 0, _MAX_MAJOR, "device"),
            _within(_number(raw[337:345], "device"), 0, _MAX_MINOR, "device"),
        )
        if kind is Kind.CHARACTER and device == (0, 0):
            # Overlayfs's own whiteout, which some tools archive as they find it.
            kind = Kind.WHITEOUT
    xattrs = {
        key.removeprefix(_XATTR).replace("%3D", "=").replace("%25", "%"): value
        for key, value in pax.items()
        if key.startswith(_XATTR)
    }
    header = Header(
        path,
        kind,
        _number(raw[100:108], "mode") & 0o7777,
        _within(_pax_number(pax, "uid", _number(raw[108:116], "owner")), 0, _MAX_ID, "owner"),
        _within(_pax_number(pax, "gid", _number(raw[116:124], "group")), 0, _MAX_ID, "group"),
        size if kind is Kind.FILE else 0,
        _within(
            _pax_number(pax, "mtime", _number(raw[136:148], "time")),
            -_MAX_NUMBER,
            _MAX_NUMBER,
            "time",
        ),
        link if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
        device,
        xattrs or None,
        0,
    )
    return header, size


def _path(name: bytes, links: Links | None) -> bytes:
    """The path of a member, or of what it links to."""
    if links is not None:
        return links.resolve(normalise(name))
    return normalise(posixpath.normpath(name.lstrip(b"/")))


def _within(value: int, least: int, most: int, what: str) -> int:
    if not least <= value <= most:
        raise damaged(f"a member's {what} is out of range")
    return value


def _pax_number(pax: dict[str, bytes], key: str, otherwise: int) -> int:
    if key not in pax:
        return otherwise
    text, point, fraction = pax[key].partition(b".")
    try:
        whole = int(_digits(text.removeprefix(b"-")))
    except ValueError:
        raise damaged(f"a pax record's {key} is not a number") from None
    if text.startswith(b"-"):
        return -whole - bool(point and fraction.strip(b"0"))
    return whole
