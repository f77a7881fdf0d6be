"""``.dockerignore``: which paths of a context a build does not see.

The rules are those of Moby's pattern matcher: a line is a pattern of Go's filepath.Match plus
``**``; ``!`` brings back; the last pattern that matches a path or one of its parents decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from oakum.errors import BuildError, DockerfileError


def parse_patterns(raw: bytes) -> tuple[str, ...]:
    """The patterns of an ignore file, cleaned; comments and blank lines are left out."""
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    patterns = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        if not pattern:
            continue
        negated = pattern.startswith("!")
        if negated:
            pattern = pattern[1:].strip()
        if negated and not pattern:
            raise DockerfileError('illegal exclusion pattern: "!"', "write a pattern behind it")
        if pattern:
            pattern = posixpath.normpath(pattern).lstrip("/")
        patterns.append(("!" if negated else "") + pattern)
    return tuple(patterns)


def pattern_regex(pattern: str, *, tail: bool = False) -> re.Pattern[str]:
    """The regular expression of one pattern; with `tail` it matches everything below as well.

    ``*`` and ``?`` stop at ``/``; ``**`` does not; a backslash takes the next character as it is.
    """
    out = ""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
                out += "(?:.*/)?"
            else:
                out += ".*"
            continue
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            out += re.escape(pattern[at])
        elif char == "[":
            end = _class_end(pattern, at)
            out += _class(pattern[at + 1 : end])
            at = end
        else:
            out += re.escape(char)
        at += 1
    return re.compile(out + ("(?:/.*)?" if tail else ""), re.DOTALL)


def _class_end(pattern: str, at: int) -> int:
    end = at + 1
    if pattern[end : end + 1] == "^":
        end += 1
    first = True
    while end < len(pattern) and (pattern[end] != "]" or first):
        end += 2 if pattern[end] == "\\" else 1
        first = False
    if end >= len(pattern):
        raise DockerfileError(
            f"syntax error in pattern {pattern[:200]!r}: '[' without ']'",
            "write \\[ for the character itself",
        )
    return end


def _class(body: str) -> str:
    negated = body.startswith("^")
    if negated:
        body = body[1:]
    body = body.replace("[", "\\[").replace("&&", "&\\&").replace("~~", "~\\~")
    try:
        re.compile(f"[{body}]")
    except re.error as error:
        raise DockerfileError(
            f"syntax error in pattern class [{body[:80]}]: {error}", "check the brackets"
        ) from error
    return f"[^/{body}]" if negated else f"(?:(?!/)[{body}])"


class Ignore:
    """The patterns of a context."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = [
            (pattern.startswith("!"), pattern_regex(pattern.removeprefix("!"), tail=True))
            for pattern in patterns
            if pattern not in ("!", "")
        ]
        self.has_exceptions = any(negated for negated, _ in self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def ignores(self, path: str) -> bool:
        """Whether the path (relative, with ``/``) is left out."""
        ignored = False
        for negated, regex in self._rules:
            if negated == ignored and regex.fullmatch(path):
                ignored = not negated
        return ignored


def read_ignore_file(path: Path) -> Ignore:
    """The rules of an ignore file; none where there is no such file."""
    try:
        return Ignore(parse_patterns(path.read_bytes()))
    except FileNotFoundError:
        return Ignore(())
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}", "check it") from error
