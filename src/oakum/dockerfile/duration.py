"""Durations as Go writes them: ``1m30s``, ``1.5h``, ``300ms``."""

from __future__ import annotations

import re
from decimal import Decimal

from oakum.errors import DockerfileError

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LIMIT = 2**63


def parse_duration(text: str) -> int:
    """Nanoseconds; a sign may lead, ``0`` needs no unit, fractions below one are dropped.

    Raises `DockerfileError` for anything that Go's time.ParseDuration refuses.
    """
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total, at = 0, 0
    while match := _PART.match(rest, at):
        total += int(Decimal(match[1]) * _UNITS[match[2]])
        at = match.end()
    if at != len(rest) or not rest or total >= _LIMIT:
        raise DockerfileError(f"not a duration: {text[:80]!r}", "write it as in 30s, 1m30s or 1.5h")
    return -total if text.startswith("-") else total
