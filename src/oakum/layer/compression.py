"""Compressing and decompressing layer blobs, with bounded memory in both directions.

gzip is written as independent members of at most one mebibyte each: they compress side by side on
all processors, and any reader that follows RFC 1952 (members may be concatenated) reads them.  The
content of a large file begins a member, so that its members depend on the file alone.  The
compressor is libdeflate at a fixed level, so the same bytes always give the same blob.  What does
not get smaller is stored as it is.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any, NamedTuple, Protocol

from oakum.errors import InvalidImage
from oakum.layer.blocks import GZIP_LEVEL, Known, Place, checked
from oakum.layer.frames import ZSTD_MAGIC, ZstdFrames, is_skippable
from oakum.oci import Compression

ZSTD_LEVEL = 3
BLOCK = 1 << 20
"""Bytes in a gzip member, and the unit in which layers are passed on."""
MAX_ZSTD_WINDOW = 1 << 27
_LEAST_PORTION = 512
_SAMPLES = 8
_SAMPLE = 4096
_DENSE = 0.97


class Readable(Protocol):
    """Something with ``read(n)`` that returns at most n bytes, and none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Sink(Protocol):
    """Something that takes bytes."""

    def write(self, data: bytes, /) -> object: ...


class _Gzip:
    """Concatenated gzip members, decompressed in pieces of bounded size.

    A decompressor copies what it was given and did not use, so a blob of a million tiny members
    would cost a copy of the whole input for each: how much is given follows what was used.
    """

    def __init__(self, source: Readable, head: bytes) -> None:
        from isal import igzip_lib

        # This decompressor, unlike isal_zlib's, lets other threads run while it works.
        self._new: Callable[[], Any] = lambda: igzip_lib.IgzipDecompressor(
            flag=igzip_lib.DECOMP_GZIP
        )
        self._error: Any = igzip_lib.error
        self._source = source
        self._input = head
        self._at = 0
        self._portion = len(head)
        self._member = self._new()

    def read(self, size: int, /) -> bytes:
        while True:
            hungry = self._member.eof or self._member.needs_input
            if hungry and self._at == len(self._input):
                self._input, self._at = self._source.read(BLOCK), 0
            if self._member.eof:
                if self._only_padding():
                    return b""
                self._member = self._new()
            if hungry and not self._input:
                raise _cut_off("gzip")
            out = self._decompress(size)
            if out:
                return out

    def _decompress(self, size: int) -> bytes:
        given = b""
        if self._member.needs_input:
            given = self._input[self._at : self._at + self._portion]
        try:
            out = self._member.decompress(given, size)
        except self._error as error:
            raise InvalidImage(
                f"the layer's gzip data is damaged: {error}", "fetch the image again"
            ) from error
        left = len(self._member.unused_data) if self._member.eof else 0
        self._at += len(given) - left
        if self._member.eof or given:
            used = max(len(given), left) - left
            self._portion = min(BLOCK, max(_LEAST_PORTION, 2 * used))
        return bytes(out)

    def _only_padding(self) -> bool:
        """Whether nothing but zero bytes is left, which tapes and some tools append."""
        while self._at < len(self._input):
            if self._input[self._at] or self._input[self._at :].strip(b"\0"):
                return False
            self._input, self._at = self._source.read(BLOCK), 0
        return True


class _Plain:
    def __init__(self, source: Readable, head: bytes) -> None:
        self._source = source
        self._head = head

    def read(self, size: int, /) -> bytes:
        if self._head:
            out, self._head = self._head[:size], self._head[size:]
            return out
        return self._source.read(size)


class _Zstd:
    """Concatenated zstd frames; skippable ones are passed over."""

    def __init__(self, source: Readable, head: bytes) -> None:
        import zstandard

        self._frames = ZstdFrames(_Plain(source, head).read)
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
        self._reader = decompressor.stream_reader(
            self._frames,  # type: ignore[arg-type]
            read_across_frames=True,
        )
        self._error: type[Exception] = zstandard.ZstdError

    def read(self, size: int, /) -> bytes:
        try:
            out = self._reader.read(size)
        except self._error as error:
            raise InvalidImage(
                f"the layer's zstd data is damaged: {error}", "fetch the image again"
            ) from error
        if not out and not self._frames.whole:
            raise _cut_off("zstd")
        return out


def _cut_off(kind: str) -> InvalidImage:
    return InvalidImage(f"the layer's {kind} data is cut off", "fetch the image again")


def detect(head: bytes) -> Compression:
    """The compression that the first bytes of a blob show."""
    if head[:2] == b"\x1f\x8b":
        return Compression.GZIP
    if head[:4] == ZSTD_MAGIC or is_skippable(head[:4]):
        return Compression.ZSTD
    return Compression.NONE


def decompressed(source: Readable) -> Readable:
    """`source` without its compression, which its first bytes tell (media types may lie)."""
    head = source.read(BLOCK)
    kind = detect(head)
    if kind is Compression.GZIP:
        return _Gzip(source, head)
    if kind is Compression.ZSTD:
        return _Zstd(source, head)
    return _Plain(source, head)


class Compressor(Protocol):
    """Takes the uncompressed bytes, writes the compressed ones to its sink."""

    def write(self, data: bytes) -> None: ...

    def cut(self) -> None:
        """What follows begins anew, where the format has independent parts."""

    def block(self, block: bytes, known: Known, places: list[Place]) -> None:
        """A whole block, whose gzip member may be `known`; behind a `cut` or another block.

        `places` gets the place of its member, in the end, where it is worth to be known.
        """

    def finish(self) -> None: ...


class _Made(NamedTuple):
    """A gzip member."""

    member: bytes
    block: bytes
    """SHA-256 of what it holds; empty when it is not to be found again."""
    check: int


class _GzipMembers:
    """gzip members made by a pool of threads and written in order."""

    def __init__(self, sink: Sink, pool: ThreadPoolExecutor) -> None:
        self._sink = sink
        self._pool = pool
        self._buffer = bytearray()
        self._waiting: deque[tuple[Future[_Made], list[Place]]] = deque()
        self._written = 0
        self._any = False

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= BLOCK:
            self._submit(bytes(self._buffer[:BLOCK]))
            del self._buffer[:BLOCK]

    def cut(self) -> None:
        if self._buffer:
            self._submit(bytes(self._buffer))
            self._buffer.clear()

    def block(self, block: bytes, known: Known, places: list[Place]) -> None:
        self._queue(self._pool.submit(_findable, block, known), places)

    def _submit(self, block: bytes) -> None:
        self._queue(self._pool.submit(_unfindable, block), [])

    def _queue(self, member: Future[_Made], places: list[Place]) -> None:
        self._any = True
        self._waiting.append((member, places))
        while len(self._waiting) > 16 or (self._waiting and self._waiting[0][0].done()):
            self._put_next()

    def _put_next(self) -> None:
        future, places = self._waiting.popleft()
        made = future.result()
        self._sink.write(made.member)
        if made.block:
            places.append(Place(made.block, self._written, len(made.member), made.check))
        self._written += len(made.member)

    def finish(self) -> None:
        if self._buffer or not self._any:
            self._submit(bytes(self._buffer))
        while self._waiting:
            self._put_next()


def _unfindable(block: bytes) -> _Made:
    return _Made(gzip_member(block), b"", 0)


def _findable(block: bytes, known: Known) -> _Made:
    if is_dense(block):
        return _Made(_compressed(block, 0), b"", 0)
    digest = hashlib.sha256(block).digest()
    member = known(digest) or _compressed(block, GZIP_LEVEL)
    return _Made(member, digest, checked(member))


def gzip_member(block: bytes) -> bytes:
    """A block as a gzip member of its own."""
    return _compressed(block, 0 if is_dense(block) else GZIP_LEVEL)


def _compressed(block: bytes, level: int) -> bytes:
    import deflate

    return bytes(deflate.gzip_compress(block, level))


def is_dense(block: bytes) -> bool:
    """Whether a block is stored as it is, since samples of it hardly get smaller."""
    if len(block) < 2 * _SAMPLES * _SAMPLE:
        return False
    import deflate

    step = (len(block) - _SAMPLE) // (_SAMPLES - 1)
    samples = b"".join(block[n * step : n * step + _SAMPLE] for n in range(_SAMPLES))
    return len(deflate.deflate_compress(samples, 1)) > _DENSE * len(samples)


class _ZstdFrame:
    def __init__(self, sink: Sink) -> None:
        import zstandard

        self._sink = sink
        self._object = zstandard.ZstdCompressor(level=ZSTD_LEVEL, threads=2).compressobj()

    def write(self, data: bytes) -> None:
        self._sink.write(self._object.compress(data))

    def cut(self) -> None:
        return

    def block(self, block: bytes, known: Known, places: list[Place]) -> None:
        self.write(block)

    def finish(self) -> None:
        self._sink.write(self._object.flush())


class _Uncompressed:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes) -> None:
        self._sink.write(data)

    def cut(self) -> None:
        return

    def block(self, block: bytes, known: Known, places: list[Place]) -> None:
        self.write(block)

    def finish(self) -> None:
        return


def compressor(kind: Compression, sink: Sink, pool: ThreadPoolExecutor) -> Compressor:
    """A compressor of that kind which writes to `sink`; gzip uses the threads of `pool`."""
    if kind is Compression.GZIP:
        return _GzipMembers(sink, pool)
    if kind is Compression.ZSTD:
        return _ZstdFrame(sink)
    return _Uncompressed(sink)


class ChunkReader:
    """``read(n)`` over an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._head = b""

    def read(self, size: int, /) -> bytes:
        while not self._head:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._head = chunk
        if len(self._head) <= size:
            out, self._head = self._head, b""
            return out
        out, self._head = self._head[:size], self._head[size:]
        return out


_AHEAD = 8
"""Blocks that are decompressed before they are asked for."""


@contextmanager
def read_ahead(source: Readable) -> Iterator[Readable]:
    """`source`, read by a thread of its own while what it gave is being looked at."""
    blocks: Queue[bytes | BaseException] = Queue(_AHEAD)
    stopped = Event()

    def read() -> None:
        try:
            block = b"start"
            while block and not stopped.is_set():
                block = source.read(BLOCK)
                blocks.put(block)
        except BaseException as error:
            blocks.put(error)

    thread = Thread(target=read, name="read ahead", daemon=True)
    thread.start()
    try:
        yield ChunkReader(_taken(blocks))
    finally:
        stopped.set()
        while thread.is_alive():
            with suppress(Empty):
                blocks.get(timeout=0.01)
        thread.join()


def _taken(blocks: Queue[bytes | BaseException]) -> Iterator[bytes]:
    while block := blocks.get():
        if isinstance(block, BaseException):
            raise block
        yield block
