"""Places in a Dockerfile: byte spans, and text that knows which byte each character came from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Span(msgspec.Struct, frozen=True, order=True):
    """A range of bytes of the file, `end` excluded."""

    start: int
    """Offset of the first byte."""
    end: int
    """Offset after the last byte."""


class MappedText(msgspec.Struct, frozen=True):
    """Text put together from pieces of a file; each character has its byte offset there."""

    text: str
    """The characters; a byte that is not UTF-8 is a lone surrogate (PEP 383)."""
    offsets: tuple[int, ...]
    """Offset of each character's first byte; -1 for a character that is not in the file."""

    def offset(self, index: int) -> int:
        """Byte offset of the character at `index`; at the text's end, where it would go on."""
        if index < len(self.offsets):
            return self.offsets[index]
        if not self.offsets:
            return -1
        return self.offsets[-1] + width(self.text[-1])

    def span(self, start: int, end: int) -> Span | None:
        """Bytes of the characters from `start` to `end`; None where they are not side by side."""
        if start >= end:
            return Span(self.offset(start), self.offset(start)) if self.offset(start) >= 0 else None
        at = self.offsets[start]
        if at < 0:
            return None
        first = at
        for index in range(start, end):
            if self.offsets[index] != at:
                return None
            at += width(self.text[index])
        return Span(first, at)

    def cut(self, start: int, end: int | None = None) -> MappedText:
        """The characters from `start` to `end`, still mapped."""
        return MappedText(self.text[start:end], self.offsets[start:end])

    def strip(self) -> MappedText:
        """Without white space at both ends."""
        start = skip_spaces(self.text, 0)
        end = len(self.text)
        while end > start and is_space(self.text[end - 1]):
            end -= 1
        return self.cut(start, end)


def join(pieces: Sequence[MappedText]) -> MappedText:
    """The pieces, one after the other."""
    text = "".join(piece.text for piece in pieces)
    return MappedText(text, tuple(at for piece in pieces for at in piece.offsets))


def unmapped(text: str) -> MappedText:
    """Text that stands nowhere in the file."""
    return MappedText(text, (-1,) * len(text))


def mapped(raw: bytes, start: int, end: int) -> MappedText:
    """The bytes from `start` to `end` of the file as text."""
    text = raw[start:end].decode("utf-8", "surrogateescape")
    if len(text) == end - start:
        return MappedText(text, tuple(range(start, end)))
    offsets = []
    for character in text:
        offsets.append(start)
        start += width(character)
    return MappedText(text, tuple(offsets))


def width(character: str) -> int:
    """Bytes that the character takes in the file."""
    if character < "\x80" or "\udc80" <= character <= "\udcff":
        return 1
    return len(character.encode("utf-8", "surrogatepass"))


def is_space(character: str) -> bool:
    """Whether Go's unicode.IsSpace says so (no separators U+001C to U+001F, unlike Python)."""
    return character.isspace() and not "\x1c" <= character <= "\x1f"


def skip_spaces(text: str, index: int) -> int:
    """Index of the first character from `index` on that is no white space."""
    while index < len(text) and is_space(text[index]):
        index += 1
    return index


def printable(text: str, limit: int = 160) -> str:
    """The text on one line without control characters, at most `limit` characters of it."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return shown if len(text) <= limit else f"{shown[:limit]}…"
