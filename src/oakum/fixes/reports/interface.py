"""What a scanner said, as values: a report, its findings, and what of it cannot be used."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Severity(IntEnum):
    """How bad a scanner holds a finding to be; comparable, ``str()`` gives the lower-case word."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity of a word in any case; `UNKNOWN` for a word that is none."""
        word = text.strip().upper()
        return cls.__members__.get(_SYNONYMS.get(word, word), cls.UNKNOWN)

    def __str__(self) -> str:
        return self.name.lower()


_SYNONYMS = {"MODERATE": "MEDIUM", "IMPORTANT": "HIGH", "MINOR": "LOW", "UNIMPORTANT": "NEGLIGIBLE"}

STATUSES = frozenset(
    {"fixed", "affected", "will_not_fix", "fix_deferred", "end_of_life", "unknown"}
)
"""What `Finding.status` can be."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """An installed package that an advisory speaks of."""

    package: str
    """Name of the installed (binary) package; for deb as Debian policy 5.6.1 has it."""
    ecosystem: str
    """The purl type where there is one: deb, apk, rpm, pypi, npm, golang, gem …; else unknown."""
    installed: str
    """Installed version, with its epoch."""
    fixed: str | None = None
    """Version that closes the advisory, None when there is none yet.

    For deb and rpm a scanner compares *source* packages: this is a version of `source`, which the
    binary package may not share (libdevmapper1.02.1 2:1.02.185-2 is built from lvm2 2.03.16-2).
    """
    advisory: str
    """CVE-…, or the identifier of the feed that knows it: GHSA-…, DSA-… …"""
    aliases: tuple[str, ...] = ()
    """Other identifiers of the same flaw, sorted."""
    severity: Severity = Severity.UNKNOWN
    """As the scanner rates it."""
    architecture: str | None = None
    """The distribution's name of the package's architecture, when the report tells."""
    source: str | None = None
    """Name of the source package, when the report tells and, in Grype's case, when it differs."""
    source_version: str | None = None
    """Version of the source package, when the report tells."""
    layer: str | None = None
    """Digest: Trivy's is the diff ID (or blob digest) of the layer that brought the package;
    Grype's the diff ID of the last layer that wrote the package database."""
    title: str = ""
    """One line, free of control characters."""
    url: str | None = None
    """An http(s) address about the advisory."""
    scanner: str
    """trivy, grype, or both (``grype, trivy``) after `merge`."""
    status: str = "unknown"
    """One of `STATUSES`."""


class Unusable(msgspec.Struct, frozen=True):
    """A finding that is left out since something in it cannot be what it claims to be."""

    path: str
    """Where in the report, such as ``$.Results[0].Vulnerabilities[7]``."""
    why: str
    """What is wrong, in a form that is safe to print."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One scanner's report on one image."""

    name: str
    """The file it was read from."""
    scanner: str
    """trivy or grype."""
    scanner_version: str | None = None
    """The scanner's own version, when the report tells."""
    schema: str
    """Trivy: SchemaVersion, 2 or 1 (the plain list). Grype numbers none: fix, or fixedInVersion
    (before 0.13)."""
    image: str | None = None
    """The name that the scanner was given, when it scanned an image."""
    image_digests: tuple[str, ...] = ()
    """Digests of the image: of its index, manifest or config, whichever the report tells."""
    distribution: tuple[str, str] | None = None
    """ID and version, such as debian and 12.5."""
    created: str | None = None
    """When it was made, as the report has it."""
    findings: tuple[Finding, ...] = ()
    """In the report's order."""
    unusable: tuple[Unusable, ...] = ()
    """Findings that were left out, in the report's order."""
