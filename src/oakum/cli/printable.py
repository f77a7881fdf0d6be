"""Text of others, made harmless to terminals."""

from __future__ import annotations


def printable(text: str, *, lines: bool = False) -> str:
    """Text from an image or a registry, with nothing in it that a terminal would obey.

    One line, unless `lines` lets line breaks and tabs through.
    """
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """A character as ``\\n``, ``\\x1b`` or ``\\u202e``; a byte that is not UTF-8 as that byte."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return repr(character)[1:-1]
