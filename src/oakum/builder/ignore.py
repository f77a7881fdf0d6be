"""``.dockerignore``: which paths of a context a build does not see.

The rules are those of Moby's pattern matcher: a line is a pattern of Go's filepath.Match plus
``**``; ``!`` brings back; the last pattern that matches a path or one of its parents decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from oakum.builder.wildcards import component_regex
from oakum.errors import BuildError, DockerfileError

_BEFORE_STAR = re.compile(r"\**(?:\\.|\[(?:\\.|[^\]\\])*\]?|[^*\[\\]|\\$)*", re.DOTALL)


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
        if pattern:
            pattern = posixpath.normpath(pattern).lstrip("/")
        if negated and not pattern:
            raise DockerfileError('illegal exclusion pattern: "!"', "write a pattern behind it")
        patterns.append(("!" if negated else "") + pattern)
    return tuple(patterns)


def pattern_regex(pattern: str) -> re.Pattern[str]:
    """The regular expression of one pattern.

    ``*`` and ``?`` stop at ``/``, a class does not, and two stars stand for whole directories; but
    for one pair at the beginning or the end of plain text they stand for anything.  Behind a
    backslash a letter or digit is what it is in a regular expression, as it is for Moby.

    Raises `DockerfileError`.
    """
    text = _plain(pattern)
    try:
        return re.compile(_general(pattern) if text is None else text, re.DOTALL)
    except re.error as error:
        raise DockerfileError(
            f"syntax error in pattern {pattern[:200]!r}: {error}", "check brackets and backslashes"
        ) from error


def _plain(pattern: str) -> str | None:
    """The regular expression of text with two stars before or behind it, at most."""
    first, last = "", ""
    if pattern.startswith("**"):
        first, pattern = ".*", pattern[2:]
    elif pattern.endswith("**"):
        last, pattern = ".*", pattern[:-2]
    if re.search(r"[*?\[\]\\]", pattern):
        return None
    if first and pattern.startswith("/"):
        first, pattern = "(?:.*/)?", pattern[1:]
    return first + re.escape(pattern) + last


def _general(pattern: str) -> str:
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 3 if pattern.startswith("/", at + 2) else 2
            out += "(?:.*/)?" if at < len(pattern) else ".*"
            continue
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            letter = pattern[at].isascii() and pattern[at].isalnum()
            out += f"\\{pattern[at]}" if letter else re.escape(pattern[at])
        elif char == "[":
            end = _class_end(pattern, at)
            body = pattern[at + 1 : end]
            body = body.replace("[", "\\[").replace("&&", "&\\&").replace("~~", "~\\~")
            out += f"[{body}]"
            at = end
        else:
            out += char if char == "^" else re.escape(char)
        at += 1
    return out


def _class_end(pattern: str, at: int) -> int:
    end = at + 1
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    if end >= len(pattern):
        raise DockerfileError(
            f"syntax error in pattern {pattern[:200]!r}: '[' without ']'",
            "write \\[ for the character itself",
        )
    return end


class _Rule:
    """One pattern.

    As with Moby it is read when it is first needed; before, filepath.Match has looked for mistakes,
    which stops behind the first star.
    """

    def __init__(self, pattern: str) -> None:
        self.negated = pattern.startswith("!")
        self._pattern = pattern.removeprefix("!")
        before = _BEFORE_STAR.match(self._pattern)
        component_regex(before[0] if before else "")

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Matches the paths that the pattern names."""
        return pattern_regex(self._pattern)


class Ignore:
    """The patterns of a context."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = [_Rule(pattern) for pattern in patterns if pattern not in ("!", "")]
        self._directories: dict[str, Sequence[bool]] = {}
        self.has_exceptions = any(rule.negated for rule in self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def ignores(self, path: str) -> bool:
        """Whether the path (relative, with ``/``) is left out."""
        return self._match(path, self._above(path))[0] if self._rules else False

    def _above(self, path: str) -> Sequence[bool]:
        """Which patterns have matched one of the directories above."""
        found: Sequence[bool] = [False] * len(self._rules)
        parent = path.rpartition("/")[0]
        if not parent or parent in self._directories:
            return self._directories.get(parent, found)
        for slash in re.finditer("/", path):
            directory = path[: slash.start()]
            known = self._directories.get(directory)
            found = known if known is not None else self._match(directory, found)[1]
            self._directories[directory] = found
        return found

    def _match(self, path: str, above: Sequence[bool]) -> tuple[bool, Sequence[bool]]:
        """Whether the path is left out, and which patterns have matched it or what is above.

        A pattern that could change nothing when its turn came is not looked at, and has not
        matched for what is below either.
        """
        ignored = False
        matched = list(above)
        for number, rule in enumerate(self._rules):
            if not matched[number] and rule.negated == ignored:
                matched[number] = rule.regex.fullmatch(path) is not None
            if matched[number]:
                ignored = not rule.negated
        return ignored, matched


def context_ignore(root: Path, dockerfile: Path | None, *, applies: bool = True) -> Ignore:
    """What the context at `root` leaves out: the ignore file beside `dockerfile` comes first.

    Nothing where it does not apply: to contexts that are no directory of this machine.
    """
    if not applies:
        return Ignore(())
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore") if dockerfile else None
    return read_ignore_file(own if own and own.is_file() else root / ".dockerignore")


def read_ignore_file(path: Path) -> Ignore:
    """The rules of an ignore file; none where there is no such file."""
    try:
        return Ignore(parse_patterns(path.read_bytes()))
    except FileNotFoundError:
        return Ignore(())
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}", "check it") from error
