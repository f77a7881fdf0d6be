"""Heredocs inside scripts: lines that feed a shell are a script of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from oakum.dockerfile.script import is_shell, without_tabs
from oakum.dockerfile.syntax import Field, command_string, reads_words, words_of
from oakum.dockerfile.text import MappedText
from oakum.dockerfile.trace import Traced, joined

if TYPE_CHECKING:
    from tree_sitter import Node

    from oakum.dockerfile.shell import Shell


def feed_heredoc(shell: Shell, script: Traced, redirect: Node, body: Node | None) -> None:
    """Lines that go to a shell are a script; lines that go to xargs are its words."""
    lines = next((c for c in redirect.children if c.type == "heredoc_body"), None)
    marker = next((c for c in redirect.children if c.type == "heredoc_start"), None)
    readers = [n for n in (body, *redirect.named_children) if n is not None]
    commands = [c for reader in readers for c in _commands_in(reader)]
    if lines is None or marker is None:
        return
    text = script.cut(lines.start_byte, lines.end_byte)
    if any(child.type == "<<-" for child in redirect.children):
        text = _unindented(text)
    if not set(script.text[marker.start_byte : marker.end_byte]) & set("'\"\\"):
        text = _unescaped(text)
    for command in commands:
        fields = shell.fields(script, list(words_of(script, command, ("variable_assignment",))))
        if fields and is_shell(fields[0].value.text) and command_string(fields) is None:
            shell.fork().run(text)
        elif reads_words(fields):
            words = [text.cut(*span) for span in _spaced(text.text)]
            shell.fork().command(fields + [Field(word, word) for word in words], {})
    for child in redirect.named_children:
        if child.type in ("pipeline", "list", "command"):
            shell.walk(script, child)


def _commands_in(node: Node) -> Iterator[Node]:
    if node.type == "command":
        yield node
    elif node.type in ("pipeline", "redirected_statement", "list"):
        for child in node.named_children:
            yield from _commands_in(child)


def _spaced(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for word in text.split():
        at = text.index(word, at)
        yield at, at + len(word)
        at += len(word)


def _unindented(text: Traced) -> Traced:
    kept = without_tabs(MappedText(text.text, tuple(range(len(text.text)))))
    return joined(text.cut(at, at + 1) for at in kept.offsets)


def _unescaped(text: Traced) -> Traced:
    r"""An unquoted heredoc: ``\$``, ``\``` and ``\\`` lose their backslash."""
    pieces, start, at = [], 0, 0
    while at < len(text.text):
        if text.text[at] == "\\" and text.text[at + 1 : at + 2] in ("$", "`", "\\"):
            pieces.append(text.cut(start, at))
            start = at + 1
            at += 1
        at += 1
    return joined([*pieces, text.cut(start)])
