"""Package archives that this machine's own apt knows, so that no host stands in tests or demo."""

from __future__ import annotations

import os
import re
from pathlib import Path

SOURCES = Path("/etc/apt")
HINT = "name a Debian mirror in OAKUM_TEST_MIRROR, such as http://mirror.example/debian"
_ENTRY = re.compile(r"\bhttps?://[^\s\]]+")


def addresses() -> list[str]:
    """Every archive address that apt's configuration names, in its order."""
    files = [SOURCES / "sources.list", *sorted(SOURCES.glob("sources.list.d/*"))]
    found = []
    for path in files:
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
            found += _ENTRY.findall("\n".join(lines))
    return [address.rstrip("/") for address in dict.fromkeys(found)]


def debian_mirror() -> str:
    """The archive of Debian's releases; `LookupError` when none is known."""
    named = os.environ.get("OAKUM_TEST_MIRROR", "").rstrip("/")
    known = [named] if named else [a for a in addresses() if a.endswith("/debian")]
    if not known:
        raise LookupError(f"no Debian mirror in apt's configuration: {HINT}")
    return known[0]


def security_mirror() -> str:
    """The archive of Debian's security suites, beside the releases' unless apt names it."""
    known = [a for a in addresses() if a.endswith(("/debian-security", "security.debian.org"))]
    if known and not os.environ.get("OAKUM_TEST_MIRROR"):
        return known[0]
    return f"{debian_mirror().removesuffix('/debian')}/debian-security"
