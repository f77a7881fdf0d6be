"""Layers for tests: drawn by hypothesis, written with oakum, or made block by block."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from oakum.layer import Entry, Kind, Layer, LayerIndex, LayerWriter, read_layer, sort_key
from oakum.layer.disk import DirectoryUnpacker, read_directory
from oakum.oci import Compression
from oakum.store import Store

Member = tuple[Entry, bytes]
"""An entry and its content."""

POOL = ThreadPoolExecutor(2)
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""``cap_net_bind_service=ep`` as the kernel keeps it (capabilities(7), revision 2)."""

ODD_NAMES = [
    b"file",
    b"a b",
    b"new\nline",
    b"\x1b[31mred\x1b[0m",
    b"not-utf8-\xff\xfe",
    "grün-日本".encode(),
    b"back\\slash",
    b"n" * 99,
    b"n" * 255,
    b"-rf",
    b"*",
    b"..x",
    b".w",
    b"a=b",
    b"12 path=x",
    b"\x01",
]


def names() -> st.SearchStrategy[bytes]:
    """One component of a path, as odd as a file system allows; ``.wh.`` is for whiteouts."""
    drawn = st.binary(min_size=1, max_size=6).map(
        lambda name: name.replace(b"/", b"|").replace(b"\0", b"0").replace(b".wh.", b"wh")
    )
    return st.sampled_from(ODD_NAMES) | drawn.filter(lambda name: name not in (b".", b".."))


def times() -> st.SearchStrategy[int]:
    """Seconds that ext4 can hold."""
    return st.sampled_from([0, 1, 1_700_000_000, 8**11, -1]) | st.integers(-(2**31), 15 * 10**9)


def owners() -> st.SearchStrategy[int]:
    """User and group ids."""
    return st.sampled_from([0, 1000, 65534, 8**7 - 1, 8**7, 2**32 - 2])


def xattrs(kind: Kind) -> st.SearchStrategy[dict[str, bytes] | None]:
    """Attributes that an image keeps."""
    name = st.sampled_from(["user.a", "user.a=b", "user.50%", "user.%3D", "user.ü", "user.=\n"])
    some = st.dictionaries(name, st.binary(max_size=20), min_size=1, max_size=2)
    if kind is Kind.FILE:
        return st.none() | some | st.just({"security.capability": CAPABILITY})
    return st.none() | some


@st.composite
def members(draw: st.DrawFn, *, whiteouts: bool = True, most: int = 10) -> list[Member]:
    """A layer's members, sorted, each directory with an entry of its own."""
    directories: list[bytes] = [b""]
    made: dict[bytes, Member] = {}
    kinds = [Kind.FILE] * 4 + [Kind.DIRECTORY] * 3 + [Kind.SYMLINK, Kind.HARDLINK, Kind.FIFO]
    kinds += [Kind.CHARACTER, Kind.BLOCK] + [Kind.WHITEOUT, Kind.OPAQUE] * whiteouts
    for _ in range(draw(st.integers(0, most))):
        path = b"/".join(filter(None, (draw(st.sampled_from(directories)), draw(names()))))
        kind = draw(st.sampled_from(kinds))
        if path in made or len(path) > 3000:
            continue
        if kind is Kind.OPAQUE:
            kind = Kind.DIRECTORY
            made[path + b"/"] = (Entry(path, Kind.OPAQUE, 0o600), b"")
        made[path] = _member(draw, path, kind, [e for e, _ in made.values() if e.kind is Kind.FILE])
        if made[path][0].kind is Kind.DIRECTORY:
            directories.append(path)
    for entry, _ in list(made.values()):
        if entry.kind is Kind.OPAQUE:
            time = made[entry.path][0].mtime
            made[entry.path + b"/"] = (msgspec.structs.replace(entry, mtime=time), b"")
    return sorted(made.values(), key=lambda member: sort_key(member[0]))


def _member(draw: st.DrawFn, path: bytes, kind: Kind, files: Sequence[Entry]) -> Member:
    if kind is Kind.WHITEOUT:
        return Entry(path, kind, 0o600), b""
    before = [f for f in files if sort_key(f) < sort_key(Entry(path, Kind.FILE))]
    if kind is Kind.HARDLINK:
        if before:
            of = draw(st.sampled_from(before))
            return Entry(path, kind, of.mode, of.uid, of.gid, 0, of.mtime, of.path), b""
        kind = Kind.FILE
    content = draw(st.binary(max_size=700)) if kind is Kind.FILE else b""
    plain = kind in (Kind.FILE, Kind.DIRECTORY)
    target = draw(names()) if kind is Kind.SYMLINK else b""
    device = draw(st.sampled_from([(1, 3), (7, 0), (240, 300), (4095, 2**20 - 1)]))
    entry = Entry(
        path,
        kind,
        0o777 if kind is Kind.SYMLINK else draw(st.integers(0, 0o7777)),
        draw(owners()),
        draw(owners()),
        len(content),
        draw(times()),
        draw(st.sampled_from([b"", b"/", b"../", b"x/" * 60])) + target if target else b"",
        device if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0),
        draw(xattrs(kind)) if plain else None,
    )
    return entry, content


def write_layer(
    store: Store, layer: Iterable[Member], compression: Compression = Compression.NONE
) -> Layer:
    """The members as a layer in the store."""
    with store.blobs.writing() as blob:
        writer = LayerWriter(store, blob, compression, POOL)
        for entry, content in layer:
            writer.add(entry, [content])
        return writer.finish()


def blob_of(store: Store, layer: Layer) -> bytes:
    """The bytes of a layer's blob."""
    return store.blobs.path(layer.descriptor.digest).read_bytes()


def index_of(raw: bytes) -> LayerIndex:
    """The index of a blob."""
    return read_layer(io.BytesIO(raw))[0]


def unpack(raw: bytes, root: Path) -> None:
    """A blob unpacked into the new directory `root`."""
    root.mkdir(parents=True)
    read_layer(io.BytesIO(raw), DirectoryUnpacker(root, user_namespace=False))


def bare(entries: Iterable[Entry]) -> list[Entry]:
    """Entries without what an archive alone knows."""
    return [msgspec.structs.replace(entry, digest=b"", offset=0) for entry in entries]


def on_disk(root: Path) -> list[Member]:
    """What a directory holds, files with their content."""
    return [
        (item.entry, Path(os.fsdecode(item.source)).read_bytes())
        if item.entry.kind is Kind.FILE
        else (item.entry, b"")
        for item in read_directory(root)
    ]


def header(
    name: bytes = b"file",
    *,
    flag: bytes = b"0",
    size: int | bytes = 0,
    link: bytes = b"",
    prefix: bytes = b"",
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    mtime: bytes = b"00000000000\0",
    device: tuple[bytes, bytes] = (b"", b""),
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """One tar header, field by field, with the right checksum."""
    length = size if isinstance(size, bytes) else b"%011o\0" % size
    fields = (
        (name, 100),
        (mode, 8),
        (uid, 8),
        (b"0000000\0", 8),
        (length, 12),
        (mtime, 12),
        (b" " * 8, 8),
        (flag, 1),
        (link, 100),
        (magic, 8),
        (b"", 64),
        (device[0], 8),
        (device[1], 8),
        (prefix, 155),
        (b"", 12),
    )
    raw = b"".join(value.ljust(width, b"\0")[:width] for value, width in fields)
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


def padded(data: bytes) -> bytes:
    """The data, filled up to whole blocks."""
    return data + bytes(-len(data) % 512)


def pax(records: Iterable[tuple[bytes, bytes]], flag: bytes = b"x") -> bytes:
    """A pax header with these records."""
    body = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        body += b"%d %s=%s\n" % (length, key, value)
    return header(b"pax", flag=flag, size=len(body)) + padded(body)


END = bytes(1024)
