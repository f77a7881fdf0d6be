"""Logical lines: continued lines joined and comments left out, as Moby's parser does it."""

from __future__ import annotations

import re

import msgspec

from oakum.dockerfile.expand import ExpandError, expand_words, heredoc_words
from oakum.dockerfile.instruction import Flag, Heredoc, mistake
from oakum.dockerfile.text import MappedText, Span, is_space, join, mapped, skip_spaces

BOM = b"\xef\xbb\xbf"
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_DIRECTIVES = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)")
_WITH_HEREDOC = ("ADD", "COPY", "RUN")


class Logical(msgspec.Struct, frozen=True):
    """A logical line and the heredocs that follow it."""

    line: MappedText
    """Joined text, keyword first."""
    first: int
    """Number of its first line, from 1."""
    last: int
    """Number of its last line, heredocs included."""
    heredocs: tuple[Heredoc, ...]
    """Those that its markers name."""


def line_starts(raw: bytes) -> list[int]:
    """Offset of each line's first byte, and after them the length of the file."""
    starts = [0]
    while (newline := raw.find(b"\n", starts[-1])) >= 0:
        starts.append(newline + 1)
    if starts[-1] != len(raw):
        starts.append(len(raw))
    return starts


def directives(raw: bytes, name: str) -> dict[str, str]:
    """Parser directives: comments ``# name=value`` before everything else.

    Raises `DockerfileError` for one given twice and for an unknown escape character.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(raw.removeprefix(BOM).split(b"\n"), 1):
        match = _DIRECTIVE.match(line.decode("utf-8", "replace").strip())
        key = match[1].lower() if match else ""
        if match is None or key not in _DIRECTIVES:
            break
        if key in found:
            raise mistake(name, raw, number, f"directive {key} given twice", "keep one of them")
        if key == "escape" and match[2] not in ("\\", "`"):
            raise mistake(name, raw, number, "unknown escape character", "use \\ or `")
        found[key] = match[2]
    return found


def logical_lines(raw: bytes, escape: str, name: str) -> list[Logical]:
    """Every logical line of the file.

    Raises `DockerfileError` for a heredoc that does not end.
    """
    starts = line_starts(raw)
    continued = re.compile(rf"(?:(?<=[^{re.escape(escape)}])|^){re.escape(escape)}[ \t]*$")
    found: list[Logical] = []
    index = 0
    while index + 1 < len(starts):
        first = index
        pieces: list[MappedText] = []
        going = True
        while going and index + 1 < len(starts):
            line = _physical(raw, starts[index], starts[index + 1], index == 0)
            index += 1
            shown = skip_spaces(line.text, 0)
            if shown < len(line.text) and line.text[shown] == "#":
                going = bool(pieces)
                continue
            if shown == len(line.text):
                going = bool(pieces)
                continue
            if not pieces:
                line = line.cut(shown)
            match = continued.search(line.text)
            going = match is not None
            pieces.append(line.cut(0, match.start()) if match else line)
        if not pieces:
            continue
        joined = join(pieces)
        heredocs, index = _heredocs(raw, starts, joined.text, first, index, name)
        found.append(Logical(joined, first + 1, index, heredocs))
    return found


def _physical(raw: bytes, start: int, end: int, at_top: bool) -> MappedText:
    if at_top and raw.startswith(BOM):
        start += len(BOM)
    while end > start and raw[end - 1] in b"\r\n":
        end -= 1
    return mapped(raw, start, end)


def _heredocs(
    raw: bytes, starts: list[int], line: str, first: int, index: int, name: str
) -> tuple[tuple[Heredoc, ...], int]:
    """The heredocs of a logical line whose next line is `index`; and the line after them."""
    found: list[Heredoc] = []
    if "<<" not in line or not _may_hold_heredoc(line):
        return (), index
    for marker in heredoc_markers(line):
        begin = index
        while index + 1 < len(starts):
            text = raw[starts[index] : starts[index + 1]].rstrip(b"\r\n")
            if (text.lstrip(b"\t") if marker.chomp else text) == marker.name.encode(
                "utf-8", "surrogateescape"
            ):
                break
            index += 1
        else:
            hint = f"end it with a line that holds only {marker.name}"
            raise mistake(name, raw, first + 1, "unterminated heredoc", hint)
        span = Span(starts[begin], starts[index])
        content = raw[span.start : span.end].decode("utf-8", "surrogateescape")
        found.append(msgspec.structs.replace(marker, content=content, span=span))
        index += 1
    return tuple(found), index


def _may_hold_heredoc(line: str) -> bool:
    words = [word.upper() for word in line.split(None, 2)[:2]]
    return words[words[0] == "ONBUILD" and len(words) > 1] in _WITH_HEREDOC


def heredoc_markers(line: str) -> list[Heredoc]:
    """The heredocs that a line announces, still without their lines."""
    found = []
    for word in heredoc_words(line):
        marker = heredoc_marker(word)
        if marker is not None:
            found.append(marker)
    return found


def heredoc_marker(word: str) -> Heredoc | None:
    """The heredoc that the word announces, still without its lines; None where it is none."""
    match = _HEREDOC.fullmatch(word)
    if not match or not match[3]:
        return None
    try:
        names = expand_words(match[3], {})
    except ExpandError:
        return None
    raw_names = heredoc_words(match[3])
    if len(names) != 1 or len(raw_names) != 1:
        return None
    quotes = [sum(text.count(quote) for quote in "'\"") for text in (names[0], raw_names[0])]
    expands = quotes[0] == quotes[1]
    return Heredoc(names[0], "", expands, match[2] == "-", int(match[1] or 0), Span(0, 0))


def split_instruction(line: MappedText, escape: str) -> tuple[str, tuple[Flag, ...], MappedText]:
    """Keyword as written, flags, and the rest of a logical line."""
    line = line.strip()
    keyword = re.split(r"[\t\v\f\r ]", line.text, maxsplit=1)[0]
    flags: list[Flag] = []
    at = len(keyword)
    while True:
        start = skip_spaces(line.text, at)
        if not line.text.startswith("--", start):
            return keyword, tuple(flags), line.cut(start).strip()
        word, at = _flag_word(line.text, start, escape)
        if word == "--":
            return keyword, tuple(flags), line.cut(at).strip()
        name, equals, value = word[2:].partition("=")
        flags.append(Flag(name, value if equals else None))


def _flag_word(text: str, at: int, escape: str) -> tuple[str, int]:
    """The word at `at` with its quotes and escapes removed, and where it ends."""
    word: list[str] = []
    quote = ""
    while at < len(text):
        character = text[at]
        if not quote and is_space(character):
            break
        at += 1
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == escape:
            word.append(text[at : at + 1])
            at += 1
        else:
            word.append(character)
    return "".join(word), at


def split_words(text: str, escape: str) -> list[tuple[int, int]]:
    """Start and end of each white-space separated word; quotes and escapes stay in the words."""
    found: list[tuple[int, int]] = []
    at = skip_spaces(text, 0)
    while at < len(text):
        start = at
        quote = ""
        while at < len(text) and (quote or not is_space(text[at])):
            character = text[at]
            if character == escape and quote != "'":
                at += 1
            elif character == quote:
                quote = ""
            elif not quote and character in "'\"":
                quote = character
            at += 1
        at = min(at, len(text))
        found.append((start, at))
        at = skip_spaces(text, at)
    return found
