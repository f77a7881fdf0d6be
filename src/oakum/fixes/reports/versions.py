"""Which of the fixed versions that a scanner names is the one to go to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from oakum.fixes.reports.names import is_version

_CLASSES = {
    "apk": "AlpineLinuxVersion",
    "rpm": "RpmVersion",
    "pypi": "PypiVersion",
    "npm": "SemverVersion",
    "gem": "RubygemsVersion",
    "golang": "GolangVersion",
    "maven": "MavenVersion",
    "nuget": "NugetVersion",
    "composer": "ComposerVersion",
    "cargo": "SemverVersion",
}
_SPACED = re.compile(r"([<>=~^!]+)\s+")
_SEPARATORS = re.compile(r"[,|\s]+")
_OPERATOR = re.compile(r"(?:>=|~>|==|=|\^|~)(?=[A-Za-z0-9])")


def listed(text: str, ecosystem: str) -> list[str] | None:
    """The fixed versions in `text`, ``1.2, 1.3`` or ``>= 5.0.6, ~> 4.1.16``; None if one is none.

    Of a range the lower end is the fixed version; an upper end (``< 2``) is none.
    """
    found: list[str] = []
    for word in _SEPARATORS.split(_SPACED.sub(r"\1", text.strip())):
        if not word or word.startswith("<"):
            continue
        version = word if ecosystem == "deb" else _OPERATOR.sub("", word, count=1)
        if not is_version(version, ecosystem):
            return None
        found.append(version)
    return list(dict.fromkeys(found))


def lowest_above(installed: str, fixes: Sequence[str], ecosystem: str) -> str | None:
    """The lowest of `fixes` that is greater than `installed` by the ecosystem's order.

    With only one fix, with none that is greater, or with versions that have no order, the first:
    the scanner named it, and a binary package's version need not compare with its source's.
    """
    if len(fixes) < 2:
        return fixes[0] if fixes else None
    try:
        here = _ordered(installed, ecosystem)
        above = [(key, text) for text in fixes if (key := _ordered(text, ecosystem)) > here]
        return min(above)[1] if above else fixes[0]
    except Exception:  # univers raises whatever its parsers happen to meet
        return fixes[0]


def highest(versions: Iterable[str], ecosystem: str) -> str | None:
    """The greatest of `versions`; the last in code point order where they have no order."""
    texts = sorted(set(versions))
    if len(texts) < 2:
        return texts[0] if texts else None
    try:
        return max((_ordered(text, ecosystem), text) for text in texts)[1]
    except Exception:  # univers raises whatever its parsers happen to meet
        return texts[-1]


@cache
def _class(ecosystem: str) -> Any:
    if ecosystem == "deb":
        from univers.debian import Version

        return Version.from_string
    from univers import versions

    return getattr(versions, _CLASSES.get(ecosystem, "GenericVersion"))


def _ordered(text: str, ecosystem: str) -> Any:
    return _class(ecosystem)(text)
