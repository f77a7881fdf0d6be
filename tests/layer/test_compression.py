"""Compressed layers: written the same way always, read whatever tool wrote them, or refused."""

from __future__ import annotations

import gzip
import io
import subprocess
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from oakum.errors import InvalidImage
from oakum.layer.compression import BLOCK, compressor, decompressed, detect
from oakum.oci import Compression
from support.layers import POOL

SKIPPABLE = b"\x5a\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"\0\xff\x28"


def compress(kind: Compression, *pieces: bytes) -> bytes:
    sink = io.BytesIO()
    one = compressor(kind, sink, POOL)
    for piece in pieces:
        one.write(piece)
    one.finish()
    return sink.getvalue()


def decompress(raw: bytes, size: int = BLOCK) -> bytes:
    reader = decompressed(io.BytesIO(raw))
    pieces = []
    while piece := reader.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    assert reader.read(size) == b""
    return b"".join(pieces)


def zstd(data: bytes, **more: bool) -> bytes:
    return zstandard.ZstdCompressor(**more).compress(data)


bodies = st.binary(max_size=200) | st.builds(
    lambda seed, times: seed * times, st.binary(max_size=50), st.integers(0, 60_000)
)


@settings(max_examples=60)
@given(bodies, st.sampled_from(Compression), st.integers(1, 3 * BLOCK))
def test_what_is_compressed_comes_back(data: bytes, kind: Compression, size: int) -> None:
    raw = compress(kind, data)
    if kind is not Compression.NONE:
        assert detect(raw) is kind
        assert decompress(raw, size) == data


@settings(max_examples=30)
@given(bodies, st.sampled_from([Compression.GZIP, Compression.ZSTD]), st.data())
def test_the_bytes_do_not_depend_on_the_pieces(
    data: bytes, kind: Compression, draw: st.DataObject
) -> None:
    at = draw.draw(st.integers(0, len(data)))
    if kind is Compression.GZIP:
        assert compress(kind, data[:at], data[at:]) == compress(kind, data)
    assert decompress(compress(kind, data[:at], data[at:])) == data


@pytest.mark.parametrize("kind", [Compression.GZIP, Compression.ZSTD])
def test_other_tools_read_what_is_written(kind: Compression) -> None:
    data = bytes(range(256)) * 9000 + b"end"
    raw = compress(kind, data)
    if kind is Compression.GZIP:
        command = ["gzip", "-dc"]
        assert gzip.decompress(raw) == data
        assert subprocess.run(command, input=raw, check=True, capture_output=True).stdout == data
    else:
        assert zstandard.ZstdDecompressor().decompressobj().decompress(raw) == data


@pytest.mark.parametrize(
    ("name", "raw", "data"),
    [
        ("one member", gzip.compress(b"a", mtime=0), b"a"),
        (
            "several members",
            gzip.compress(b"a", mtime=0)
            + gzip.compress(b"", mtime=0)
            + gzip.compress(b"b", mtime=0),
            b"ab",
        ),
        ("stored blocks", gzip.compress(b"a" * 100_000, 0), b"a" * 100_000),
        ("zero padding", gzip.compress(b"a", mtime=0) + bytes(3 * BLOCK), b"a"),
        ("one frame", zstd(b"a"), b"a"),
        ("several frames", zstd(b"a") + zstd(b"") + zstd(b"b"), b"ab"),
        ("a checksum", zstd(b"a" * 300_000, write_checksum=True), b"a" * 300_000),
        ("no size", zstd(b"a" * 300_000, write_content_size=False), b"a" * 300_000),
        ("skippable frames", SKIPPABLE + zstd(b"a") + SKIPPABLE + zstd(b"b") + SKIPPABLE, b"ab"),
        ("nothing", b"", b""),
        ("no compression", b"plain", b"plain"),
    ],
)
def test_what_other_tools_write_is_read(name: str, raw: bytes, data: bytes) -> None:
    for size in (1, 7, BLOCK):
        assert decompress(raw, max(size, len(data) // 100)) == data, name


def test_gzip_with_a_name_a_comment_and_an_extra_field_is_read() -> None:
    plain = gzip.compress(b"data", mtime=0)
    flags = plain[:3] + b"\x1c" + plain[4:10] + b"\x02\x00xx" + b"name\0" + b"comment\0"
    assert decompress(flags + plain[10:]) == b"data"


@settings(max_examples=60)
@given(st.sampled_from([Compression.GZIP, Compression.ZSTD]), st.data())
def test_a_layer_cut_off_anywhere_is_refused(kind: Compression, data: st.DataObject) -> None:
    raw = compress(kind, bytes(range(256)) * data.draw(st.sampled_from([0, 1, 5000])))
    at = data.draw(st.integers(4, len(raw) - 1))
    with pytest.raises(InvalidImage, match=r"cut off|damaged"):
        decompress(raw[:at])


@settings(max_examples=200)
@given(st.sampled_from([Compression.GZIP, Compression.ZSTD]), st.data())
def test_a_damaged_layer_is_refused_or_read(kind: Compression, data: st.DataObject) -> None:
    raw = bytearray(compress(kind, b"some text " * 50))
    at = data.draw(st.integers(4, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        decompress(bytes(raw))
    except InvalidImage as error:
        assert error.todo


def test_gzips_checksum_is_checked() -> None:
    raw = gzip.compress(b"data", mtime=0)
    for wrong in (raw[:-8] + zlib.crc32(b"x").to_bytes(4, "little") + raw[-4:], raw[:-4] + b"1234"):
        with pytest.raises(InvalidImage, match="gzip data is damaged"):
            decompress(wrong)


@pytest.mark.parametrize(
    "raw", [gzip.compress(b"a", mtime=0) + b"junk" * 10, zstd(b"a") + b"junk" * 10]
)
def test_what_follows_the_data_is_not_ignored(raw: bytes) -> None:
    with pytest.raises(InvalidImage):
        decompress(raw)


def test_a_bomb_comes_out_in_pieces() -> None:
    for raw in (gzip.compress(bytes(64 << 20)), zstd(bytes(64 << 20))):
        reader = decompressed(io.BytesIO(raw))
        assert all(len(reader.read(BLOCK)) <= BLOCK for _ in range(10))


def test_a_window_larger_than_memory_is_refused() -> None:
    descriptor = b"\x28\xb5\x2f\xfd\x00" + bytes([0xF8])
    with pytest.raises(InvalidImage, match="zstd data is damaged"):
        decompress(descriptor + b"\x01\x00\x00")


class _Counted(bytes):
    """Bytes that count what is copied out of them."""

    copied = 0

    def __getitem__(self, at: object) -> bytes:  # type: ignore[override]
        found = bytes.__getitem__(self, at)  # type: ignore[call-overload]
        if isinstance(found, bytes):
            _Counted.copied += len(found)
        return found


def test_a_million_tiny_members_are_not_copied_a_million_times() -> None:
    member = gzip.compress(b"", mtime=0)
    raw = _Counted(member * (BLOCK // len(member)))
    assert decompressed(_Whole(raw)).read(BLOCK) == b""
    assert _Counted.copied < 40 * len(raw)


class _Whole:
    """Hands out its bytes at once, as they are."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data

    def read(self, size: int, /) -> bytes:
        data, self._data = self._data, None
        return data or b""
