"""What tree-sitter makes of a shell script: its tree, and the words in it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from oakum.dockerfile.script import is_shell
from oakum.dockerfile.trace import Traced

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

REDIRECTS = ("file_redirect", "heredoc_redirect", "herestring_redirect")


class Field(msgspec.Struct, frozen=True):
    """One argument of a command."""

    value: Traced
    written: Traced
    """The word that it came from, before expansion."""


def words_of(script: Traced, node: Node, skip: tuple[str, ...] = ()) -> Iterator[Traced]:
    """The node's words; neighbours without a gap between them are one."""
    start = end = -1
    for child in node.children:
        if child.type in skip or child.type in ("(", ")", "comment", "\n"):
            continue
        if child.start_byte != end and end >= 0:
            yield script.cut(start, end)
            start = -1
        start = child.start_byte if start < 0 or child.start_byte != end else start
        end = child.end_byte
    if end >= 0:
        yield script.cut(start, end)


def command_string(fields: list[Field]) -> Traced | None:
    """The script of ``sh -c 'script'``; None where there is none."""
    at = 1
    while at < len(fields):
        text = fields[at].value.text
        if not text.startswith(("-", "+")) and fields[0].value.text != "su":
            return None
        if not text.startswith("--") and "c" in text:
            return fields[at + 1].value if at + 1 < len(fields) else None
        at += 2 if text in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file") else 1
        if text.startswith("-") and text.endswith("o") and len(text) > 2 and "c" not in text:
            at += 1
    return None


def echoed(script: Traced, node: Node) -> list[Traced]:
    """The words that ``echo`` or ``printf '%s '`` writes."""
    if node.type != "command":
        return []
    words = list(words_of(script, node, ("variable_assignment", *REDIRECTS)))
    if words and words[0].text == "echo":
        return [word for word in words[1:] if not word.text.startswith("-")]
    return words[2:] if words and words[0].text == "printf" else []


def split_fields(fields: list[Field]) -> list[Field]:
    """The fields as xargs reads them from its input: split at white space."""
    return [
        Field(field.value.cut(*match.span()), field.written)
        for field in fields
        for match in re.finditer(r"\S+", field.value.text)
    ]


def reads_words(fields: list[Field]) -> bool:
    return bool(fields) and fields[0].value.text.rsplit("/", 1)[-1] == "xargs"


def plain(text: str) -> bytes:
    """One byte a character, so that the tree's offsets are indexes."""
    if text.isascii() and "\0" not in text:
        return text.encode("ascii")
    return "".join(c if "\0" < c < "\x80" else "X" for c in text).encode("ascii")


@functools.cache
def parser() -> Parser:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def reads_script(fields: list[Field]) -> bool:
    """Whether the command is a shell that takes its script from standard input."""
    if not fields or not is_shell(fields[0].value.text) or command_string(fields) is not None:
        return False
    texts = [field.value.text for field in fields[1:]]
    return "-s" in texts or all(text.startswith(("-", "+")) for text in texts if text != "pipefail")
