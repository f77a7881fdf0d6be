"""Pins: which priority apt gives to a version (apt_preferences(5); apt's policy.cc for its edges).

A pin whose package is ``*`` sets the priority of whole indexes; every other pin sets that of
versions.  In both, the first one that fits wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.configuration import Configuration, parts, read_text
from oakum.repository.interface import ImageFiles
from oakum.repository.stanzas import decode, stanzas
from oakum.repository.versions import compare_versions

_MOST = 10_000
NEVER = -32768
"""``Pin-Priority: never``."""


class Shelf(msgspec.Struct, frozen=True):
    """What a pin can ask of an index (a component of a suite for one architecture)."""

    archive: str
    """`Suite` of the Release file; ``now`` for the installed packages."""
    codename: str = ""
    version: str = ""
    origin: str = ""
    label: str = ""
    component: str = ""
    architecture: str = ""
    site: str = ""
    """Host name of the URI."""
    installed: bool = False
    """Whether this is dpkg's status file rather than an index."""
    ordinary: int = 500
    """Priority without any pin: 500, 100 (ButAutomaticUpgrades, installed) or 1 (NotAutomatic)."""


INSTALLED = Shelf("now", installed=True, ordinary=100)


class Pin(msgspec.Struct, frozen=True):
    """One `Package` pattern of a record in a preferences file."""

    package: str
    """A name, a glob or ``/regular expression/``; empty for a record of ``Package: *``."""
    architecture: str
    """After the colon of the pattern; empty for the native one."""
    source: bool
    """Whether the pattern names source packages (``src:``)."""
    kind: str
    """``version``, ``source-version``, ``release`` or ``origin``."""
    data: str
    priority: int


def read_pins(files: ImageFiles, configuration: Configuration) -> tuple[Pin, ...]:
    """The default release and all preferences files, in apt's order.

    `RepositoryError` for records that apt refuses.
    """
    pins = []
    release = configuration.text("APT::Default-Release")
    if release:
        pins.append(Pin("", "", False, "release", release, 990))
    directory = parts(files, "etc/apt/preferences.d", ("", "pref"))
    for path in ["etc/apt/preferences", *directory]:
        for number, fields in stanzas(read_text(files, path)):
            pins += _record(fields, f"{path}:{number} of the image")
    if len(pins) > _MOST:
        raise RepositoryError(
            f"the image has {len(pins)} pins, more than oakum applies", "use patterns in the pins"
        )
    if any(pin.kind == "source-version" for pin in pins) and not _knows_source_version(files):
        pins = [pin for pin in pins if pin.kind != "source-version"]
    return tuple(pins)


def _knows_source_version(files: ImageFiles) -> bool:
    """Whether the image's apt is 2.9.9 or newer; older ones skip ``source-version`` pins."""
    status = files.read("var/lib/dpkg/status") or b""
    found = re.search(rb"(?:^|\n)Package: apt\n(?:[^\n]+\n)*?Version: ([^\n]+)", status)
    return found is None or compare_versions(decode(found[1]), "2.9.9") >= 0


def _record(fields: dict[str, str], where: str) -> list[Pin]:
    names = fields.get("package", "")
    if not names:
        raise RepositoryError(f"{where} has no Package", "apt refuses this too; mend the file")
    if not fields.get("pin"):
        return []
    general = names == "*"
    kind, _, data = fields["pin"].replace("\t", " ").partition(" ")
    kind = kind.lower()
    allowed = (
        ("release", "origin") if general else ("release", "origin", "version", "source-version")
    )
    if kind not in allowed:
        return []
    priority = _priority(fields.get("pin-priority", ""), general, where)
    if general:
        return [Pin("", "", False, kind, data.strip(), priority)]
    return [_pin(name, kind, data.strip(), priority) for name in names.split()]


def _pin(name: str, kind: str, data: str, priority: int) -> Pin:
    source = name.startswith("src:")
    name = name.removeprefix("src:")
    plain, colon, architecture = name.rpartition(":")
    if not colon:
        plain, architecture = name, ""
    return Pin(plain, architecture, source, kind, data, priority)


def _priority(text: str, general: bool, where: str) -> int:
    if text == "never" and general:
        return NEVER
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text.strip()) or int(text) == 0:
        raise RepositoryError(
            f"{where} has no usable Pin-Priority: {text[:40]!r}",
            "apt refuses this too; give a whole number that is not 0",
        )
    if not NEVER <= int(text) <= 32767:
        raise RepositoryError(
            f"{where} has a Pin-Priority out of range: {text}",
            f"apt refuses this too; give a number from {NEVER} to 32767",
        )
    return max(int(text), NEVER + 1)


def shelf_priorities(pins: Sequence[Pin], shelves: Sequence[Shelf]) -> list[int]:
    """The priority of each index."""
    priorities = [shelf.ordinary for shelf in shelves]
    fixed = [False] * len(shelves)
    for pin in pins:
        if pin.package:
            continue
        for at, shelf in enumerate(shelves):
            open_to = not fixed[at] or pin.priority == NEVER
            if open_to and priorities[at] != NEVER and on_shelf(pin, shelf):
                priorities[at] = pin.priority
                fixed[at] = True
    return priorities


def covers(pin: Pin, package: str, source: str, architecture: str, native: str) -> bool:
    """Whether the pin's pattern names the package; `architecture` is never ``all`` here."""
    if not pin.package:
        return False
    wanted = pin.architecture or native
    if wanted not in ("any", "*", architecture) and not (
        wanted == "native" and architecture == native
    ):
        return False
    name = source if pin.source else package
    is_pattern = (pin.package[0] == "/" and pin.package[-1] == "/") or any(
        c in pin.package for c in "*[?"
    )
    return matches(pin.package, name) if is_pattern else pin.package == name


def fits(pin: Pin, version: str, source_version: str, shelves: Sequence[Shelf]) -> bool:
    """Whether the pin's condition holds for a version that these indexes offer."""
    if pin.kind == "version":
        return _version_matches(pin.data, version)
    if pin.kind == "source-version":
        return _version_matches(pin.data, source_version)
    return any(on_shelf(pin, shelf) for shelf in shelves)


def _version_matches(pattern: str, version: str) -> bool:
    prefix = pattern.endswith("*")
    plain = (pattern[:-1] if prefix else pattern).lower()
    lower = version.lower()
    if lower.startswith(plain) if prefix else lower == plain:
        return True
    return matches(plain, version)


def on_shelf(pin: Pin, shelf: Shelf) -> bool:
    """Whether a ``release`` or ``origin`` condition holds for an index."""
    if pin.kind == "origin":
        site = pin.data
        if len(site) >= 2 and site[0] == site[-1] == '"':
            site = site[1:-1]
        return not shelf.installed and matches(site, shelf.site)
    if pin.kind != "release":
        return False
    return pin.data == "*" or _released(pin.data, shelf)


def _released(data: str, shelf: Shelf) -> bool:
    if "=" not in data:
        if data[:1].isdigit():
            return _release_version(data, shelf)
        return matches(data, shelf.archive) or matches(data, shelf.codename)
    fields = {
        "o": shelf.origin,
        "a": shelf.archive,
        "n": shelf.codename,
        "l": shelf.label,
        "c": shelf.component,
        "b": shelf.architecture,
    }
    asked = 0
    for part in data.split(","):
        name, _, pattern = part.strip().partition("=")
        name = name.lower()
        if not pattern or (name not in fields and name != "v"):
            continue
        asked += 1
        if shelf.installed and name in "bc":
            continue
        if name == "v":
            if not _release_version(pattern, shelf):
                return False
        elif not matches(pattern, fields[name]):
            return False
    return asked > 0


def _release_version(pattern: str, shelf: Shelf) -> bool:
    return bool(shelf.version) and _version_matches(pattern, shelf.version)


def matches(pattern: str, text: str) -> bool:
    """apt's ExpressionMatches: ``/extended regular expression/`` or a glob, without case."""
    return bool(text) and _compiled(pattern)(text[:_LONGEST]) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Callable[[str], re.Match[str] | None]:
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return _bounded(pattern[1:-1]).search
    return re.compile(translate(pattern.replace("[^", "[!")), re.I).match


_LONGEST = 128
_NESTED = re.compile(r"[*+}][^()]*\)[*+{]|\\[1-9]")


def _bounded(expression: str) -> re.Pattern[str]:
    """The expression, unless it could take for ever; an image's files are hostile input."""
    loops = sum(expression.count(c) for c in "*+{")
    if len(expression) > 500 or loops > 5 or _NESTED.search(expression):
        raise RepositoryError(
            f"a pin of the image has an expression that is too involved: /{expression[:80]}/",
            "write it without repetitions inside repetitions, or as several globs",
        )
    try:
        return re.compile(_classes(expression), re.I)
    except re.error as error:
        raise RepositoryError(
            f"a pin of the image has an invalid expression: /{expression[:80]}/ ({error})",
            "mend the preferences file in the image",
        ) from error


def _classes(expression: str) -> str:
    """POSIX character classes in Python's words."""
    for name, members in (("alpha", "a-zA-Z"), ("digit", "0-9"), ("alnum", "a-zA-Z0-9")):
        expression = expression.replace(f"[:{name}:]", members)
    return expression
