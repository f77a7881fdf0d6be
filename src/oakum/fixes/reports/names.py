"""Which names, versions and identifiers of a report may be used, and how to print the others."""

from __future__ import annotations

import re

_LONGEST = 256
_DEB_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DEB_VERSION = re.compile(r"(?:[0-9]{1,10}:)?[A-Za-z0-9][A-Za-z0-9.+~-]*(?<!-)")
_NAME = re.compile(r"@?[A-Za-z0-9_][A-Za-z0-9_.+:/~@-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+:~^!-]*")
_ADVISORY = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9][A-Za-z0-9._:-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ECOSYSTEM = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_URL = re.compile(r"https?://[!-~]+")


def _fits(pattern: re.Pattern[str], text: str, longest: int = _LONGEST) -> bool:
    return len(text) <= longest and pattern.fullmatch(text) is not None


def is_package(text: str, ecosystem: str) -> bool:
    """Whether it is a package's name: for deb by Debian policy 5.6.1, else free of anything that
    a shell, a path or an option parser could take for something else."""
    if ecosystem == "deb":
        return _fits(_DEB_NAME, text)
    return _fits(_NAME, text) and ".." not in text.split("/")


def is_version(text: str, ecosystem: str) -> bool:
    """Whether it is a version: for deb by Debian policy 5.6.12."""
    return _fits(_DEB_VERSION if ecosystem == "deb" else _VERSION, text)


def is_advisory(text: str) -> bool:
    """Whether it has an advisory identifier's form, such as CVE-2024-2961 or RHSA-2024:3269."""
    return _fits(_ADVISORY, text, 64)


def is_architecture(text: str) -> bool:
    """Whether it has the form of an architecture's name (Debian policy 5.6.8)."""
    return _fits(_ARCHITECTURE, text, 32)


def is_ecosystem(text: str) -> bool:
    """Whether it has a purl type's form."""
    return _fits(_ECOSYSTEM, text, 32)


def digest(text: str) -> str | None:
    """The digest in ``sha256:…`` or ``name@sha256:…``; None if there is none."""
    last = text.rpartition("@")[2]
    return last if _fits(_DIGEST, last) else None


def url(text: str) -> str | None:
    """`text` if it is an http(s) address of printable ASCII, else None."""
    return text if _fits(_URL, text, 2048) else None


def plain(text: str, longest: int = 200) -> str:
    """`text` on one line, safe for a terminal: what steers one is replaced, what is long cut."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    cut = " ".join(cut.splitlines()) if "\n" in cut else cut
    if cut.isprintable():
        return cut
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in cut)
