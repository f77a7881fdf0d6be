"""Commands that install packages: apt-get, apt, aptitude, read from their fields."""

from __future__ import annotations

import re

import msgspec

from oakum.dockerfile.trace import Traced

TOOLS = ("apt-get", "apt", "aptitude", "apt-fast", "nala", "apt-mark")
_UPGRADES = ("upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade")
_WITH_VALUE = {
    "--target-release",
    "--default-release",
    "--option",
    "--config-file",
    "--host-architecture",
    "--build-profiles",
}
_SHORT_WITH_VALUE = "tocaP"
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+", re.IGNORECASE)
_SPEC = re.compile(r"([^=/:]+)(?::([A-Za-z0-9-]+))?(?:=(.*)|/(.*))?", re.DOTALL)


class Named(msgspec.Struct, frozen=True):
    """A package as an install command names it."""

    package: str
    architecture: str | None
    version: Traced | None
    """What follows ``=``; None without."""
    release: str | None
    """What follows ``/``."""


class AptCommand(msgspec.Struct, frozen=True):
    """One call of apt."""

    operation: str
    """``install``, ``upgrade``, ``hold``… as written."""
    operands: tuple[int, ...]
    """Indexes of the fields that are no options, after the operation."""
    default_release: str | None
    """Value of ``-t``."""

    @property
    def installs(self) -> bool:
        """Whether its operands are packages that it installs."""
        return self.operation in ("install", "reinstall")

    @property
    def upgrades(self) -> bool:
        """Whether it upgrades whatever there is."""
        return self.operation in _UPGRADES


def is_tool(name: str) -> bool:
    """Whether the program is one of apt's."""
    return name.rsplit("/", 1)[-1] in TOOLS


def read_command(fields: list[Traced]) -> AptCommand | None:
    """What the fields, of which the first is the tool, ask for; None without an operation."""
    operands: list[int] = []
    release: str | None = None
    options = True
    at = 1
    while at < len(fields):
        text = fields[at].text
        if not options or not text.startswith("-") or text == "-":
            operands.append(at)
        elif text == "--":
            options = False
        elif text.startswith("--"):
            name, equals, value = text.partition("=")
            if name in _WITH_VALUE and not equals:
                at += 1
                value = fields[at].text if at < len(fields) else ""
            if name in ("--target-release", "--default-release"):
                release = value
        else:
            letter, value, taken = _short(text, fields[at + 1 : at + 2])
            at += taken
            release = value if letter == "t" else release
        at += 1
    if not operands:
        return None
    return AptCommand(fields[operands[0]].text, tuple(operands[1:]), release)


def _short(text: str, following: list[Traced]) -> tuple[str, str, int]:
    """Of a cluster of short options: the letter that has a value, the value, fields it takes."""
    for index, letter in enumerate(text[1:], 1):
        if letter == "=":
            break
        if letter not in _SHORT_WITH_VALUE:
            continue
        attached = text[index + 1 :].removeprefix("=")
        if attached:
            return letter, attached, 0
        return letter, following[0].text if following else "", 1
    return "", "", 0


def read_package(field: Traced) -> Named | None:
    """The package that an operand names; None for files, patterns, removals and the unknown."""
    text = field.text
    if text.startswith((".", "/", "~", "?")) or text.endswith(".deb"):
        return None
    match = _SPEC.fullmatch(text)
    if match is None or not _NAME.fullmatch(match[1]):
        return None
    if match[1].endswith("-") and match[3] is None:
        return None
    version = field.cut(match.start(3), match.end(3)) if match[3] is not None else None
    return Named(match[1], match[2], version, match[4])
