"""A Dockerfile's bytes as instructions; Moby's parser judges the grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from oakum.dockerfile.check import KEYWORDS, check_instruction
from oakum.dockerfile.instruction import Dockerfile, Instruction, mistake
from oakum.dockerfile.lines import (
    BOM,
    Logical,
    directives,
    logical_lines,
    split_instruction,
    split_words,
)
from oakum.dockerfile.text import MappedText
from oakum.errors import DockerfileError

_LOOSE_HEREDOC = re.compile(r"<<-?[ \t]")
LONGEST_LINE = 65535
_STAND_IN = 0x10FE00
"""Bytes that are not UTF-8, and NUL, go through Moby's parser as private characters."""


class _Command(Protocol):
    json: bool
    original: str
    start_line: int
    value: Sequence[str]


def parse_dockerfile(raw: bytes, name: str = "Dockerfile") -> Dockerfile:
    """The file's instructions, each checked as BuildKit checks it.

    Raises `DockerfileError` with file, line, the line itself and a hint.
    """
    if not raw:
        raise DockerfileError(f"{name}: empty, no instructions in it", "start it with FROM")
    given = directives(raw, name)
    escape = given.get("escape", "\\")
    _check_lines(raw, name)
    logical = logical_lines(raw, escape, name)
    if not logical:
        raise DockerfileError(f"{name}: no instructions in the file", "start it with FROM")
    commands = _commands(raw, escape, name, logical)
    found = tuple(
        _instruction(raw, name, escape, line, command)
        for line, command in zip(logical, commands, strict=True)
    )
    _check_order(raw, name, found)
    return Dockerfile(raw, name, found, given, escape)


def _check_lines(raw: bytes, name: str) -> None:
    for number, line in enumerate(raw.split(b"\n"), 1):
        if len(line) > LONGEST_LINE:
            why = f"line longer than {LONGEST_LINE} bytes"
            raise mistake(name, raw, number, why, "break it with the escape character")


def _check_order(raw: bytes, name: str, instructions: tuple[Instruction, ...]) -> None:
    for instruction in instructions:
        if instruction.keyword == "FROM":
            return
        if instruction.keyword != "ARG":
            why = f"no build stage in current context for {instruction.keyword}"
            raise mistake(name, raw, instruction.first_line, why, "only ARG may stand before FROM")
    raise DockerfileError(f"{name}: no stage in the file: FROM is missing", "add a FROM line")


def _commands(raw: bytes, escape: str, name: str, logical: list[Logical]) -> list[_Command]:
    """What Moby's parser makes of each logical line."""
    text = _tight_heredocs(raw.removeprefix(BOM), logical).decode("utf-8", "surrogateescape")
    try:
        commands = _moby(text)
    except ValueError as error:
        raise _located(raw, escape, name, logical, error) from error
    starts = [command.start_line for command in commands]
    if starts != [line.first for line in logical]:
        moby, own = set(starts), {line.first for line in logical}
        number = min(moby ^ own) if moby ^ own else logical[0].first
        raise mistake(name, raw, number, "cannot tell where the instruction ends", "")
    return commands


def _tight_heredocs(raw: bytes, logical: list[Logical]) -> bytes:
    """The file without the white space that may stand in ``<< NAME``.

    The parser that judges the grammar does not know it yet.  Lines stay where they are.
    """
    if not any(_LOOSE_HEREDOC.search(line.line.text) for line in logical if line.heredocs):
        return raw
    lines = raw.split(b"\n")
    for line in logical:
        if line.heredocs:
            bodies = sum(here.content.count("\n") + 1 for here in line.heredocs)
            for number in range(line.first - 1, line.last - bodies):
                lines[number] = re.sub(rb"<<(-?)[ \t]+", rb"<<\1", lines[number])
    return b"\n".join(lines)


def _moby(text: str) -> list[_Command]:
    import dockerfile

    commands: list[_Command] = list(dockerfile.parse_string(_stand_in(text)))
    return commands


def _located(
    raw: bytes, escape: str, name: str, logical: list[Logical], error: ValueError
) -> DockerfileError:
    """The parser's error, which names no line, with the first line that brings it about."""
    for line in logical:
        try:
            _moby(_alone(line.line.text, line, escape))
        except ValueError as found:
            return mistake(name, raw, line.first, str(found), _hint(str(found)))
    return DockerfileError(f"{name}: {error}", "")


def _hint(why: str) -> str:
    if "must have two arguments" in why or "can't find =" in why:
        return "write name=value, with quotes around a value that has spaces"
    if "comprised of strings" in why:
        return 'put every element in double quotes: ["a", "b"]'
    return "see the Dockerfile reference"


def _alone(text: str, line: Logical, escape: str) -> str:
    """The logical line as a file of its own."""
    parts = [f"# escape={escape}\n", text, "\n"]
    for heredoc in line.heredocs:
        parts += [heredoc.content, heredoc.name, "\n"]
    return "".join(parts)


def _stand_in(text: str) -> str:
    if "\0" not in text and text.isascii():
        return text
    return "".join(
        chr(_STAND_IN + ord(c) % 256) if c == "\0" or "\udc80" <= c <= "\udcff" else c for c in text
    )


def _original(text: str) -> str:
    if text.isascii():
        return text
    return "".join(
        _restored(ord(c) - _STAND_IN) if _STAND_IN <= ord(c) < _STAND_IN + 256 else c for c in text
    )


def _restored(byte: int) -> str:
    return chr(0xDC00 + byte) if byte >= 128 else chr(byte)


def _instruction(
    raw: bytes, name: str, escape: str, line: Logical, command: _Command
) -> Instruction:
    written, flags, body = split_instruction(line.line, escape)
    keyword = written.upper()
    trigger = (
        _trigger(raw, name, escape, line, body) if keyword == "ONBUILD" and body.text else None
    )
    arguments = tuple(_original(argument) for argument in command.value)
    in_json = command.json
    if keyword == "RUN" and line.heredocs and not in_json:
        arguments = (body.text,)
    elif in_json and not _is_json(body.text):
        # Moby's parser of old reads an array and forgets what stands behind it.
        in_json, arguments = False, _unquoted(keyword, body, escape)
    instruction = Instruction(
        keyword=keyword,
        arguments=arguments,
        flags=flags,
        json=in_json,
        heredocs=line.heredocs,
        original=line.line.text.strip(),
        first_line=line.first,
        last_line=line.last,
        body=body,
        escape=escape,
        onbuild=trigger,
    )
    try:
        check_instruction(instruction)
    except DockerfileError as error:
        raise mistake(name, raw, line.first, error.what, error.todo) from error
    return instruction


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text[text.index("[") :]), list)
    except ValueError:
        return False


def _unquoted(keyword: str, body: MappedText, escape: str) -> tuple[str, ...]:
    """The arguments of an instruction that only looks like one in JSON form."""
    if keyword in ("RUN", "CMD", "ENTRYPOINT"):
        return (body.text,)
    words = tuple(body.text[start:end] for start, end in split_words(body.text, escape))
    if keyword == "HEALTHCHECK":
        return (words[0], body.text[len(words[0]) :].strip())
    return words


def _trigger(
    raw: bytes, name: str, escape: str, line: Logical, body: MappedText
) -> Instruction | None:
    """The instruction behind ONBUILD, with the heredocs of the whole line."""
    inner = msgspec.structs.replace(line, line=body)
    word = body.text.split(None, 1)[0].upper()
    if word not in KEYWORDS:
        return None
    if word in ("ONBUILD", "FROM", "MAINTAINER"):
        why = f"{word} is not allowed as an ONBUILD trigger"
        raise mistake(name, raw, line.first, why, "write an instruction of a stage")
    try:
        commands = _moby(_alone(body.text, inner, escape))
    except ValueError as error:
        raise mistake(name, raw, line.first, str(error), _hint(str(error))) from error
    return _instruction(raw, name, escape, inner, commands[0]) if commands else None
