"""Debian version numbers in dpkg's order (Debian policy 5.6.12, deb-version(7))."""

from __future__ import annotations

import re
from functools import lru_cache

Key = tuple[tuple[int, str], tuple[object, ...], tuple[object, ...]]

_RUNS = re.compile(r"([^0-9]*)([0-9]*)")


def _number(digits: str) -> tuple[int, str]:
    """Orders like the number, without limits on its length."""
    digits = digits.lstrip("0")
    return len(digits), digits


@lru_cache(maxsize=4096)
def _weights(text: str) -> tuple[int, ...]:
    """``~`` sorts before the end of the part, letters before everything else."""
    return (*(-1 if c == "~" else ord(c) + (0 if c.isalpha() else 256) for c in text), 0)


def _part(text: str) -> tuple[object, ...]:
    return tuple((_weights(word), _number(digits)) for word, digits in _RUNS.findall(text or "0"))


@lru_cache(maxsize=16384)
def version_key(version: str) -> Key:
    """Sorts as dpkg does; versions that dpkg takes for equal have equal keys."""
    version = version.strip()
    epoch, colon, rest = version.partition(":")
    if not colon or not (epoch.isascii() and epoch.isdigit()):
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return _number(epoch), _part(upstream), _part(revision)


def compare_versions(a: str, b: str) -> int:
    """-1, 0 or 1: whether `a` is older than, the same as or newer than `b`."""
    left, right = version_key(a), version_key(b)
    return (left > right) - (left < right)
