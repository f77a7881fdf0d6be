"""Heredocs inside scripts: lines that feed a shell are a script of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from oakum.dockerfile.script import Feed, without_tabs
from oakum.dockerfile.syntax import Field, reads_script, reads_words, split_fields, words_of
from oakum.dockerfile.text import MappedText
from oakum.dockerfile.trace import Traced, joined

if TYPE_CHECKING:
    from tree_sitter import Node

    from oakum.dockerfile.shell import Shell


def feed_heredoc(shell: Shell, script: Traced, redirect: Node, body: Node | None) -> None:
    """A heredoc that stands in the script itself."""
    lines = next((c for c in redirect.children if c.type == "heredoc_body"), None)
    marker = next((c for c in redirect.children if c.type == "heredoc_start"), None)
    readers = [n for n in (body, *redirect.named_children) if n is not None]
    if lines is not None and marker is not None:
        text = script.cut(lines.start_byte, lines.end_byte)
        if any(child.type == "<<-" for child in redirect.children):
            text = _unindented(text)
        quoted = set(script.text[marker.start_byte : marker.end_byte]) & set("'\"\\")
        feed(shell, script, text if quoted else _unescaped(text), readers)
    for child in redirect.named_children:
        if child.type in ("pipeline", "list", "command"):
            shell.walk(script, child)


def feed_lines(shell: Shell, script: Traced, lines: Feed, body: Node | None, node: Node) -> None:
    """A heredoc of the RUN; `body` reads it, or through a ``cat`` what is next in the pipe."""
    readers = [body] if body is not None else []
    following = node.next_named_sibling
    if node.parent is not None and node.parent.type == "pipeline" and following is not None:
        readers.append(following)
    feed(shell, script, _unescaped(lines.lines) if lines.expand else lines.lines, readers)


def feed(shell: Shell, script: Traced, text: Traced, readers: list[Node]) -> None:
    """Lines that go to a shell are a script; lines that go to xargs are its words."""
    for command in [found for reader in readers for found in _commands_in(reader)]:
        fields = shell.fields(script, list(words_of(script, command, ("variable_assignment",))))
        if reads_script(fields):
            shell.fork().run(text)
        elif reads_words(fields):
            shell.fork().command(fields + split_fields([Field(text, text)]), {})


def _commands_in(node: Node) -> Iterator[Node]:
    """The commands that read what is redirected to the node: of a list, the last one."""
    if node.type == "command":
        yield node
    elif node.type == "list":
        yield from _commands_in(node.named_children[-1])
    elif node.type in ("pipeline", "redirected_statement"):
        for child in node.named_children:
            yield from _commands_in(child)


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
