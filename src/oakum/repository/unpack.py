"""Decompression of what repositories serve, in pieces and within bounds."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import IO, Any

from oakum.errors import RepositoryError

SUFFIXES = (".zst", ".gz", ".xz", ".bz2", "")
"""Compressions of an index, the preferred one first.

gzip comes before xz: it is a third larger and unpacked four times as fast, by isa-l.
"""
_CHUNK = 1024 * 1024
_MEMORY = 256 * 1024 * 1024


def unpacked(file: IO[bytes], suffix: str, limit: int, what: str) -> Iterator[bytes]:
    """The uncompressed bytes of `file`, in pieces of at most 1 MiB or so.

    `RepositoryError` for damaged data, and as soon as there are more than `limit` bytes.
    """
    done = 0
    try:
        for chunk in _opened(file, suffix):
            done += len(chunk)
            if done > limit:
                raise RepositoryError(
                    f"{what} unpacks to more than the {limit} bytes that it may have",
                    "the repository is damaged or hostile; use another mirror",
                )
            yield chunk
    except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
        raise _damaged(what, error) from error


def _damaged(what: str, error: Exception) -> RepositoryError:
    return RepositoryError(
        f"{what} cannot be unpacked: {error}",
        "the repository is damaged; try again, or use another mirror",
    )


def _opened(file: IO[bytes], suffix: str) -> Iterator[bytes]:
    if suffix == ".zst":
        return _zstd(file)
    if suffix == ".xz":
        return _pieces(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY))
    if suffix == ".lzma":
        return _pieces(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY))
    if suffix == ".bz2":
        return _pieces(file, bz2.BZ2Decompressor)
    if suffix == ".gz":
        return _gzip(file)
    return iter(lambda: file.read(_CHUNK), b"")


def _pieces(file: IO[bytes], make: Any) -> Iterator[bytes]:
    """Streams that follow one another, each at most `_CHUNK` bytes at a time."""
    decompressor = make()
    data = file.read(_CHUNK)
    while data:
        piece = decompressor.decompress(data, _CHUNK)
        data = b""
        while True:
            if piece:
                yield piece
            if decompressor.eof or decompressor.needs_input:
                break
            piece = decompressor.decompress(b"", _CHUNK)
        if decompressor.eof:
            data = decompressor.unused_data.lstrip(b"\0") or file.read(_CHUNK)
            if data:
                decompressor = make()
            else:
                return
        else:
            data = file.read(_CHUNK)
    raise EOFError("the stream ends too early")


def _gzip(file: IO[bytes]) -> Iterator[bytes]:
    from isal import igzip

    with igzip.IGzipFile(fileobj=file) as stream:  # type: ignore[no-untyped-call]
        yield from iter(lambda: stream.read(_CHUNK), b"")


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=128 * 1024 * 1024)
    try:
        with decompressor.stream_reader(file, read_across_frames=True, closefd=False) as stream:
            yield from iter(lambda: stream.read(_CHUNK), b"")
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
