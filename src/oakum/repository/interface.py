"""What a package repository offers, and what it is read from: values and one protocol.

Nothing here knows a package format; `apt` is the only implementation so far.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class ImageFiles(Protocol):
    """The files of an image: hostile input.

    Paths are relative, with ``/`` and no leading slash; symlinks are followed inside the image.
    """

    def read(self, path: str) -> bytes | None:
        """The content; None when there is nothing there or it is not a regular file."""

    def list(self, path: str) -> list[str]:
        """Sorted names in a directory; empty when there is no such directory."""


class Installed(msgspec.Struct, frozen=True):
    """A package that the image's package database names as installed."""

    package: str
    version: str
    architecture: str
    """dpkg's word, such as ``amd64`` or ``all``."""
    held: bool = False
    """Whether the package is on hold (``apt-mark hold``)."""


class Candidate(msgspec.Struct, frozen=True):
    """One version of a binary package that a repository offers."""

    package: str
    version: str
    architecture: str
    source: str
    """Name of the source package that it was built from."""
    source_version: str
    repository: str
    """For people: ``URI suite/component``, without credentials."""
    suite: str
    """`Suite` of the Release file; empty when it has none."""
    codename: str
    origin: str
    label: str
    component: str
    security: bool
    """Whether a security suite offers this version."""
    updates: bool
    """Whether an ``-updates`` suite offers this version."""
    url: str
    size: int
    """Bytes of the package file, as signed."""
    sha256: str
    """Hex digest of the package file, as signed; empty when the index names none."""
    priority: int
    """apt's pin priority of this version, see apt_preferences(5)."""
    phased: int | None = None
    """`Phased-Update-Percentage`, for a version that is still being phased in.

    It does not change apt's candidate; only an upgrade on a machine with a machine id may wait.
    """


class SourceStatus(msgspec.Struct, frozen=True):
    """One enabled suite of the image's sources, as it was found."""

    uri: str
    """Without credentials."""
    suite: str
    """As it stands in the source entry."""
    components: tuple[str, ...]
    release_suite: str
    codename: str
    label: str
    origin: str
    date: str
    """`Date` of the Release file."""
    security: bool
    file: str
    """Where the entry stands, ``path:number``; empty for one that oakum derived."""
