"""Modes of ``--chmod``: octal digits, or what chmod(1) takes (``u=rwX,go-w``)."""

from __future__ import annotations

import re

import msgspec

from oakum.errors import BuildError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_SPECIAL = {"u": 0o4000, "g": 0o2000}


class Mode(msgspec.Struct, frozen=True):
    """A mode to set, or a way to change one."""

    text: str
    """As written."""
    octal: int | None
    """The bits, when it was written in octal."""

    def apply(self, mode: int, directory: bool) -> int:
        """The permission bits that `mode` becomes."""
        if self.octal is not None:
            return self.octal
        for clause in self.text.split(","):
            match = _CLAUSE.fullmatch(clause)
            assert match is not None
            who = match[1] if match[1].strip("a") and "a" not in match[1] else "ugo"
            for action in _ACTION.finditer(match[2]):
                mode = _acted(mode, directory, who, *action.groups())
        return mode


def parse_mode(text: str) -> Mode:
    """The mode of ``--chmod``; `BuildError` for anything else."""
    if re.fullmatch(r"[0-9]+", text):
        octal = int(text, 8) if not re.search("[89]", text) else -1
        if not 0 <= octal <= 0o7777:
            raise BuildError(
                f"invalid chmod parameter: {text[:40]!r} is not an octal number up to 07777",
                "write it as in 0755",
            )
        return Mode(text, octal)
    if not all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
        raise BuildError(
            f"--chmod={text[:40]} has an invalid syntax", "write 0755, or as in u=rwX,go=rX"
        )
    return Mode(text, None)


def _acted(mode: int, directory: bool, who: str, operator: str, permissions: str) -> int:
    bits = reach = 0
    executable = directory or mode & 0o111
    for one in set(who):
        shift = _SHIFT[one]
        if permissions in _SHIFT:
            value = mode >> _SHIFT[permissions] & 7
        else:
            value = sum(_BITS[p] for p in set(permissions) & _BITS.keys())
            value |= 1 if "X" in permissions and executable else 0
        bits |= value << shift
        reach |= 7 << shift | _SPECIAL.get(one, 0)
        if "s" in permissions:
            bits |= _SPECIAL.get(one, 0)
    if "t" in permissions:
        bits |= 0o1000
    if who == "ugo":
        reach |= 0o1000
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    return mode & ~reach | bits
