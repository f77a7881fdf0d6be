"""Text whose characters know where they were written: the file offset and what holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from oakum.dockerfile.text import MappedText, Span, width

UNKNOWN = "\ufdd0"
"""Stands for text that only a run of the build could tell (a Unicode noncharacter)."""


class Source(msgspec.Struct, frozen=True):
    """What holds a piece of text."""

    kind: str
    """``word``, ``ARG``, ``ENV``, ``shell``, ``build-arg``, ``image`` (the base's environment) or
    ``unknown``."""
    name: str = ""
    """The variable; empty for ``word``."""
    line: int = 0
    """Line of the instruction that holds it; 0 outside the file."""


class Traced(msgspec.Struct, frozen=True):
    """Text, and for each character its byte offset (-1: not in the file) and its source."""

    text: str
    offsets: tuple[int, ...]
    sources: tuple[Source, ...]

    def cut(self, start: int, end: int | None = None) -> Traced:
        """The characters from `start` to `end`."""
        return Traced(self.text[start:end], self.offsets[start:end], self.sources[start:end])

    @property
    def known(self) -> bool:
        """Whether no character stands for unknown text."""
        return UNKNOWN not in self.text


class Segment(msgspec.Struct, frozen=True):
    """A run of characters that stand side by side in one place."""

    text: str
    source: Source
    span: Span | None
    """Its bytes; None where it is not in the file."""


EMPTY = Traced("", (), ())
Value = Traced | tuple[Traced, ...]


def traced(text: MappedText, source: Source) -> Traced:
    """Text of the file, held by `source`."""
    return Traced(text.text, text.offsets, (source,) * len(text.text))


def foreign(text: str, source: Source) -> Traced:
    """Text that is not in the file."""
    return Traced(text, (-1,) * len(text), (source,) * len(text))


def unknown(name: str = "") -> Traced:
    """One character that stands for unknown text."""
    return foreign(UNKNOWN, Source("unknown", name))


def joined(pieces: Iterable[Traced]) -> Traced:
    """The pieces, one after the other."""
    parts = [piece for piece in pieces if piece.text]
    if len(parts) == 1:
        return parts[0]
    return Traced(
        "".join(part.text for part in parts),
        tuple(at for part in parts for at in part.offsets),
        tuple(source for part in parts for source in part.sources),
    )


def held(value: Traced, source: Source) -> Traced:
    """The value as `source` holds it: characters written there now belong to it."""
    return Traced(
        value.text,
        value.offsets,
        tuple(source if one.kind == "word" else one for one in value.sources),
    )


def segments(value: Traced) -> Iterator[Segment]:
    """The value as runs of characters that stand side by side and have one source."""
    start = 0
    for index in range(1, len(value.text) + 1):
        if index < len(value.text) and _adjacent(value, index):
            continue
        at = value.offsets[start]
        end = value.offsets[index - 1] + width(value.text[index - 1])
        span = Span(at, end) if at >= 0 else None
        yield Segment(value.text[start:index], value.sources[start], span)
        start = index


def _adjacent(value: Traced, index: int) -> bool:
    if value.sources[index] != value.sources[index - 1]:
        return False
    before = value.offsets[index - 1]
    if before < 0:
        return value.offsets[index] < 0
    return value.offsets[index] == before + width(value.text[index - 1])
