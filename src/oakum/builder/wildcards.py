"""Wildcards in the sources of COPY and ADD: Go's filepath.Match.

``*`` and ``?`` stop at ``/``, two stars are no more than one, and directories that are symlinks
are not entered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from oakum.errors import DockerfileError

Names = Callable[[str], Iterable[str]]
"""Names in a directory that is no symlink, sorted; nothing for anything else."""


def has_wildcard(text: str) -> bool:
    """Whether the text has a wildcard that is not escaped."""
    return re.search(r"(?<!\\)(?:\\\\)*[*?\[]", text) is not None


def split_wildcards(path: str) -> tuple[str, str]:
    """The directories before the first one with a wildcard, and the rest."""
    parts = path.split("/")
    first = next((n for n, part in enumerate(parts) if has_wildcard(part)), len(parts))
    return "/".join(parts[:first]), "/".join(parts[first:])


def matches(directory: str, pattern: str, names: Names) -> Iterator[str]:
    """Paths below `directory` that the pattern names, in the order of a walk."""
    head, _, rest = pattern.partition("/")
    regex = component_regex(head)
    for name in names(directory):
        if not regex.fullmatch(name):
            continue
        path = f"{directory}/{name}" if directory else name
        if rest:
            yield from matches(path, rest, names)
        else:
            yield path


def component_regex(pattern: str) -> re.Pattern[str]:
    """One component of a pattern as a regular expression.

    Raises `DockerfileError` for a class without an end, or without anything in it.
    """
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            out += ".*"
        elif char == "?":
            out += "."
        elif char == "\\":
            if at == len(pattern):
                raise _syntax(pattern)
            out += re.escape(pattern[at])
            at += 1
        elif char == "[":
            text, at = _class(pattern, at)
            out += text
        else:
            out += re.escape(char)
    return re.compile(out, re.DOTALL)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """The class that begins behind its bracket at `at`, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    while not (pattern.startswith("]", at) and ranges):
        low, at = _member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _member(pattern, at + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    body = "".join(ranges)
    if not body:
        return ("." if negated else "(?!)"), at + 1
    return f"[{'^' * negated}{body}]", at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise _syntax(pattern)
    if pattern[at] == "\\":
        at += 1
    if at + 1 >= len(pattern):
        raise _syntax(pattern)
    return pattern[at], at + 1


def _syntax(pattern: str) -> DockerfileError:
    return DockerfileError(
        f"syntax error in pattern {pattern[:200]!r}", "close the brackets, or write \\[ for one"
    )
