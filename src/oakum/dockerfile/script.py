"""What a RUN gives to its shell, or to execve, each character with its place."""

from __future__ import annotations

import json
import re

import msgspec

from oakum.dockerfile.instruction import Heredoc, Instruction
from oakum.dockerfile.lines import heredoc_marker
from oakum.dockerfile.text import MappedText, join, mapped, unmapped
from oakum.dockerfile.trace import Source, Traced, traced

SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh", "mksh", "yash")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)|[^\\]", re.DOTALL)
_LEADING = re.compile(r"""\s*(<<-?\s*\\?(?:'[^'\s]+'|"[^"\s]+"|[\w.-]+))[ \t]+([^;&|<>()\n]+)""")
_WRITTEN = Source("word")


class Feed(msgspec.Struct, frozen=True):
    """Lines that a heredoc of a RUN gives to a command of the script."""

    start: int
    """Index of the marker's ``<<`` in the script."""
    end: int
    """Index behind the marker."""
    lines: Traced
    expand: bool
    """Whether the shell replaces variables in them."""


class Script(msgspec.Struct, frozen=True):
    """A shell script, or the words of a command that runs without a shell."""

    text: Traced | None
    """The script; None for the exec form."""
    words: tuple[Traced, ...] = ()
    """The exec form's words."""
    feeds: tuple[Feed, ...] = ()
    """The script's heredocs."""


def run_script(instruction: Instruction, raw: bytes, shell: tuple[str, ...]) -> Script | None:
    """What the RUN runs; None where that is not a POSIX-like shell's language."""
    if instruction.json:
        return Script(None, json_words(instruction.body))
    if not any(is_shell(part) for part in shell):
        return None
    if not instruction.heredocs:
        return Script(traced(instruction.body, _WRITTEN))
    if heredoc_marker(instruction.body.text) is None:
        body = _command_first(instruction.body)
        return Script(traced(body, _WRITTEN), feeds=_feeds(instruction, body.text, raw))
    script = heredoc_text(instruction.heredocs[0], raw)
    return Script(traced(script, _WRITTEN)) if _is_shell_script(script.text) else None


def is_shell(path: str) -> bool:
    """Whether the program's name is that of a shell."""
    return path.rsplit("/", 1)[-1] in SHELLS


def _is_shell_script(text: str) -> bool:
    if not text.startswith("#!"):
        return True
    words = text[2:].split("\n", 1)[0].split()
    return any(is_shell(word) for word in words)


def _command_first(body: MappedText) -> MappedText:
    """The script with a heredoc's marker that stands before its command moved behind it.

    To a shell ``<<EOF bash -e`` is ``bash -e <<EOF``.
    """
    match = _LEADING.match(body.text)
    if match is None:
        return body
    marker, command = (body.cut(*match.span(number)) for number in (1, 2))
    return join([command, unmapped(" "), marker, body.cut(match.end(), len(body.text))])


def _feeds(instruction: Instruction, text: str, raw: bytes) -> tuple[Feed, ...]:
    """The heredocs of a line that goes to the shell together with them."""
    found: list[Feed] = []
    at = 0
    for heredoc in instruction.heredocs:
        marker = re.compile(rf"<<-?\s*\\?(['\"]?){re.escape(heredoc.name)}\1")
        match = marker.search(text, at)
        if match is None:
            continue
        at = match.end()
        lines = traced(heredoc_text(heredoc, raw), _WRITTEN)
        found.append(Feed(match.start(), at, lines, heredoc.expand))
    return tuple(found)


def heredoc_text(heredoc: Heredoc, raw: bytes) -> MappedText:
    """A heredoc's lines with their places, leading tabs removed where it says so."""
    text = mapped(raw, heredoc.span.start, heredoc.span.end)
    return without_tabs(text) if heredoc.chomp else text


def without_tabs(text: MappedText) -> MappedText:
    """Each line without its leading tabs."""
    kept = [m.span() for m in re.finditer(r"(?m)^\t*([^\n]*\n?)", text.text) if m[0]]
    return join([text.cut(start + _tabs(text.text[start:end]), end) for start, end in kept])


def _tabs(line: str) -> int:
    return len(line) - len(line.lstrip("\t"))


def json_words(body: MappedText) -> tuple[Traced, ...]:
    """The strings of a JSON array, each character with its place."""
    found = []
    for match in _STRING.finditer(body.text):
        pieces = []
        for part in _ESCAPE.finditer(body.text, match.start(1), match.end(1)):
            if len(part[0]) == 1:
                pieces.append(body.cut(*part.span()))
                continue
            try:
                pieces.append(unmapped(json.loads(f'"{part[0]}"')))
            except ValueError:
                pieces.append(unmapped(part[0]))
        found.append(traced(join(pieces), _WRITTEN))
    return tuple(found)
