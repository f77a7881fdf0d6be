"""What scanning, changing and proving speak of: values that can be printed, stored, compared."""

from __future__ import annotations

from typing import Literal

import msgspec

from oakum.verbs.selection import Selection
from oakum.verbs.tags import BumpTags

SCHEMA = 1
"""Version of every JSON document that the verbs write."""

Outcome = Literal["done", "nothing-to-do", "partly-done", "not-possible", "failed"]


class InstalledPackage(msgspec.Struct, frozen=True):
    """A package of an image, with where it came from."""

    package: str
    """Name."""
    version: str
    """Installed version."""
    architecture: str
    """dpkg's architecture."""
    source: str
    """Source package."""
    layer: str | None
    """Diff ID of the layer that brought this version."""
    created_by: str
    """History line of that layer."""
    line: int | None
    """Line of the Dockerfile that made that layer, where it is known."""
    state: str
    """Error flag and state, as dpkg has them."""


class Fix(msgspec.Struct, frozen=True):
    """A package that has a newer version, and what that version closes."""

    package: str
    """Name of the binary package."""
    architecture: str
    """dpkg's architecture."""
    installed: str
    """Version that is in the image."""
    fixed: str
    """Version that replaces it."""
    advisories: tuple[str, ...]
    """CVE numbers (or other advisories) that the new version closes."""
    severity: str
    """The highest severity that a scanner report gives; ``unknown`` without one."""
    security: bool
    """Whether a security suite offers it."""
    repository: str
    """Where it is: address, suite and component."""
    source: str
    """Source package."""
    source_version: str
    """Version of the source package that fixes it."""
    layer: str | None
    """Diff ID of the layer that brought the installed version."""
    created_by: str
    """History line of that layer."""
    line: int | None
    """Line of the Dockerfile that brought it, where it is known."""
    stage: str | None = None
    """Stage of the Dockerfile that needs it."""


class Unfixed(msgspec.Struct, frozen=True):
    """Something that was not fixed, and why."""

    package: str
    """Name of the binary package."""
    architecture: str
    """dpkg's architecture."""
    installed: str
    """Version that is in the image."""
    advisories: tuple[str, ...]
    """What stays open."""
    reason: Literal[
        "no-fix-yet",
        "held",
        "ceiling",
        "ignored",
        "not-in-archive",
        "not-editable",
        "not-installed",
        "other-ecosystem",
    ]
    """Why, as a word for programs."""
    detail: str
    """Why, for people."""
    severity: str = "unknown"
    """The highest severity that a scanner report gives."""


SETTLED = ("ignored", "not-installed")
"""Reasons of what is not fixed that leave nothing to do."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed in an image, and what of it has a fix."""

    fixes: tuple[Fix, ...]
    """What has a fix and may be applied."""
    schema: int = SCHEMA
    """Version of this document's shape."""
    image: str
    """What was scanned."""
    digest: str
    """Digest of the manifest that was scanned."""
    platform: str
    """Its platform."""
    unfixed: tuple[Unfixed, ...]
    """What was found and is not fixed, with reasons."""
    packages: tuple[InstalledPackage, ...]
    """Everything that is installed."""
    sources: tuple[str, ...]
    """Package sources that were asked."""
    notes: tuple[str, ...]
    """What a reader should know, such as a missing security suite."""


class Change(msgspec.Struct, frozen=True):
    """One change of the sources."""

    kind: Literal["pin", "base", "block", "lock", "upgrade"]
    """A version in the Dockerfile, a base image, the block of fixes, or the lock."""
    package: str
    """Package, or name of the base image."""
    old: str
    """Version or digest before; empty for a line that is new."""
    new: str
    """Version or digest after; empty for one that is removed."""
    stage: str
    """Stage of the Dockerfile."""
    line: int | None
    """Line of the Dockerfile before the change."""
    why: str
    """Reason, for people."""
    advisories: tuple[str, ...] = ()
    """What it closes."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What `rebuild` is going to do, before it does it."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    dockerfile: str
    """Name of the Dockerfile."""
    dockerfile_digest: str
    """Digest of the Dockerfile that the plan was made for."""
    new_digest: str
    """Digest of the Dockerfile that the plan leads to."""
    lock_digest: str
    """Digest of the lock that the plan leads to; empty without one."""
    target: str | None
    """Stage that is built."""
    platforms: tuple[str, ...]
    """Platforms that it must hold for."""
    changes: tuple[Change, ...]
    """Every change."""
    fixes: tuple[Fix, ...]
    """What the changes fix."""
    unfixed: tuple[Unfixed, ...]
    """What they do not fix, with reasons."""
    diff: str
    """Unified diff of the Dockerfile and the lock."""
    notes: tuple[str, ...] = ()
    """What a reader should know."""
    selection: Selection = Selection()
    """Which fixes it was made for."""
    bump_tags: BumpTags = "none"
    """How far the tags of base images were to be raised."""
    upgrade_at: Literal["base", "end"] = "base"
    """Where a new block of fixes was to go."""


class Problem(msgspec.Struct, frozen=True):
    """Something that a proof found wrong."""

    check: Literal["fix", "database", "files", "paths", "command"]
    """Which check."""
    subject: str
    """Package or path."""
    detail: str
    """What is wrong."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    image: str
    """What was verified."""
    digest: str
    """Digest of the manifest."""
    passed: bool
    """Whether nothing is wrong."""
    problems: tuple[Problem, ...]
    """What is wrong."""
    packages_checked: int
    """Packages whose state was checked."""
    files_checked: int
    """Files whose md5 was compared with what their package shipped."""
    paths_changed: int
    """Paths that differ from the old image."""
    explained: dict[str, int]
    """Why paths differ: counts by ``package``, ``step`` and ``derived``."""
    notes: tuple[str, ...] = ()
    """What a reader should know."""
