"""Debian changelogs (deb-changelog(5)): which CVE numbers the entries between two versions name."""

from __future__ import annotations

import re

from oakum.repository.versions import version_key

_HEADING = re.compile(r"^[A-Za-z0-9][A-Za-z0-9+.-]{0,200} \(([^\s()]{1,200})\)[^;\n]{0,500};", re.M)
_CVE = re.compile(r"\bCVE-[0-9]{4}-[0-9]{4,7}\b", re.I)

LONGEST = 16 * 1024 * 1024
"""Characters of a changelog that are looked at; the newest entries come first."""


def is_changelog(text: str) -> bool:
    """Whether the text opens with a Debian changelog entry."""
    return _HEADING.match(text.lstrip("\ufeff\n\r ")[:2000]) is not None


def closed_cves(changelog: str, after: str, upto: str) -> tuple[str, ...]:
    """CVE numbers in the entries newer than `after` and not newer than `upto`, sorted.

    Only the first `LONGEST` characters are looked at.
    """
    text = changelog[:LONGEST]
    low, high = version_key(after), version_key(upto)
    found: set[str] = set()
    headings = [(m.start(), m.group(1)) for m in _HEADING.finditer(text)]
    ends = [start for start, _ in headings[1:]] + [len(text)]
    for (start, version), end in zip(headings, ends):
        if low < version_key(version) <= high:
            found.update(cve.upper() for cve in _CVE.findall(text, start, end))
    return tuple(sorted(found, key=lambda cve: (cve[:8], int(cve[9:]))))
