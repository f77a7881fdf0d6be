"""Names and values of ENV, LABEL and ARG, and where the values stand."""

from __future__ import annotations

import re

import msgspec

from oakum.dockerfile.instruction import Instruction
from oakum.dockerfile.lines import split_words
from oakum.dockerfile.text import MappedText


class Pair(msgspec.Struct, frozen=True):
    """One name of ENV, LABEL or ARG."""

    name: str
    """As written."""
    value: MappedText | None
    """The value as written, quotes and variables included; None for an ARG without default."""


def pairs(instruction: Instruction) -> tuple[Pair, ...]:
    """The names that an ENV, LABEL or ARG sets, in order.

    ``ENV name some words`` (no ``=`` in the first word) sets one name to the rest of the line.
    """
    body = instruction.body
    words = [body.cut(*place) for place in split_words(body.text, instruction.escape)]
    if not words:
        return ()
    if instruction.keyword != "ARG" and "=" not in words[0].text:
        separator = re.search(r"[\t\v\f\r ]+", body.text)
        if separator is None:
            return ()
        return (Pair(body.text[: separator.start()], body.cut(separator.end())),)
    return tuple(_pair(word) for word in words)


def _pair(word: MappedText) -> Pair:
    name, equals, _ = word.text.partition("=")
    return Pair(name, word.cut(len(name) + 1) if equals else None)


def parse_key_values(instruction: Instruction) -> tuple[tuple[str, str], ...]:
    """Names and unexpanded values of an ENV or LABEL."""
    arguments = instruction.arguments
    return tuple(zip(arguments[::2], arguments[1::2], strict=False))


def parse_args(instruction: Instruction) -> tuple[tuple[str, str | None], ...]:
    """Names and unexpanded defaults of an ARG; None without a default."""
    split = [argument.partition("=") for argument in instruction.arguments]
    return tuple((name, value if equals else None) for name, equals, value in split)
