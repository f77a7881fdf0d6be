"""The frames of a zstd stream (RFC 8878, section 3.1), walked without decompressing.

The decompressor ends quietly where its input ends.  Whether that was at the end of a frame is
known here, from the sizes that frames and blocks announce.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_RLE = 1
_NO_END = 1 << 62


def is_skippable(magic: bytes) -> bool:
    """Whether four bytes begin a skippable frame, which holds no data (section 3.1.2)."""
    return len(magic) == 4 and magic[0] & 0xF0 == 0x50 and magic[1:] == b"\x2a\x4d\x18"


class ZstdFrames:
    """Passes a zstd stream on; `whole` tells whether it stands between two frames."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.whole = True
        self._walk = self._frames()
        self._wanted = next(self._walk)
        self._head = b""

    def read(self, size: int, /) -> bytes:
        """The next bytes as they are."""
        data = self._read(size)
        at = 0
        while at < len(data):
            piece = data[at : at + abs(self._wanted)]
            at += len(piece)
            self._take(piece)
        return data

    def _take(self, piece: bytes) -> None:
        if self._wanted < 0:
            self._wanted += len(piece)
        else:
            self.whole = False
            self._wanted -= len(piece)
            self._head += piece
        while not self._wanted:
            head, self._head = self._head, b""
            self._wanted = self._walk.send(head)

    def _frames(self) -> Generator[int, bytes, None]:
        """Says how many bytes come next: a number to be given them, minus a number to skip them."""
        while True:
            magic = yield 4
            if is_skippable(magic):
                yield -int.from_bytes((yield 4), "little")
            elif magic == ZSTD_MAGIC:
                yield from _frame()
            else:
                yield -_NO_END
            self.whole = True


def _frame() -> Generator[int, bytes, None]:
    descriptor = (yield 1)[0]
    single, content = descriptor & 0x20, descriptor >> 6
    window, dictionary = (0 if single else 1), (0, 1, 2, 4)[descriptor & 3]
    yield -(window + dictionary + (1 if single else 0, 2, 4, 8)[content])
    last = 0
    while not last:
        block = int.from_bytes((yield 3), "little")
        last, kind, size = block & 1, block >> 1 & 3, block >> 3
        yield -(1 if kind == _RLE else size)
    if descriptor & 4:
        yield -4
