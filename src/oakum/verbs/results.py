"""The JSON documents of verbs whose answer is not a value of its own elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oakum.builder import Built, EngineReport, StepReport
from oakum.dockerfile import Checked, CheckWarning, Outline, Target
from oakum.oci import Digest
from oakum.transport import Copied
from oakum.verbs.catalogue import ListedImage
from oakum.verbs.interface import SCHEMA, Outcome, Plan, Proof
from oakum.verbs.look import File
from oakum.verbs.publish import Published
from oakum.verbs.reproducibility import Reproducibility


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``build`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """How it ended."""
    digest: Digest
    """Digest of the image's manifest, or of the index of several images."""
    image_id: Digest
    """Digest of its config, which docker shows as the image's ID."""
    platform: str
    """Its platform."""
    tags: tuple[str, ...]
    """Names that it has now."""
    size: int
    """Bytes of its layers, compressed."""
    ran: int
    """Steps that were carried out."""
    cached: int
    """Steps that were taken from the cache."""
    steps: tuple[StepReport, ...]
    """What became of every instruction."""
    published: tuple[Published, ...]
    """What was pushed."""
    seconds: float
    """How long the build took, without pushing."""
    engine: EngineReport
    """What built it, and what it could not do."""
    platforms: tuple[PlatformImage, ...] = ()
    """Every image, when several platforms were asked for; the fields above speak of the first."""
    warnings: tuple[CheckWarning, ...] = ()
    """What the build checks found."""
    reproducibility: tuple[Reproducibility, ...] = ()
    """With ``--verify-reproducible``, what building again gave, for each platform."""


class PlatformImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image of several that were built for more than one platform."""

    platform: str
    """Its platform."""
    digest: Digest
    """Digest of its manifest."""
    image_id: Digest
    """Digest of its config."""
    size: int
    """Bytes of its layers, compressed."""
    steps: tuple[StepReport, ...]
    """What became of every instruction."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``build --check`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """``done`` without a warning, else ``failed``."""
    warnings: tuple[CheckWarning, ...]
    """What the checks found, by line."""
    error: str = ""
    """Why a build would stop, where a check ran into it; what stands behind is not checked."""
    hint: str = ""
    """What to do about the error."""


class OutlineResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``build --call outline`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outline: Outline
    """What the target can be given."""


class TargetList(msgspec.Struct, frozen=True, kw_only=True):
    """What ``build --call targets`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    targets: tuple[Target, ...]
    """The stages of the Dockerfile, in order."""


class BumpResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``bump`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """How it ended, or would end with ``--write``."""
    applied: bool
    """Whether the files were changed."""
    plan: Plan
    """The changes."""


class CopyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``copy`` and ``push`` answer."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """Whether anything had to be sent."""
    source: str
    """Where the image was read."""
    place: str
    """Where it is now."""
    digest: Digest
    """Digest of the manifest or index that the place stands for."""
    bytes_sent: int
    """Bytes of blobs that were sent."""
    bytes_kept: int
    """Bytes of blobs that were there already."""
    bytes_mounted: int
    """Bytes of blobs that a registry took over from another of its repositories."""


class ImageList(msgspec.Struct, frozen=True, kw_only=True):
    """What ``images`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    images: tuple[ListedImage, ...]
    """The names of the store, sorted."""


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """What ``tag`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """Whether the name stood for something else before."""
    name: str
    """The name."""
    digest: Digest
    """What it stands for."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What ``rmi`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """How it ended."""
    removed: tuple[str, ...]
    """The names that are gone."""


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """What ``ls`` answers."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    image: str
    """The image."""
    files: tuple[File, ...]
    """Its files, sorted by path."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every verb answers when it failed and JSON was asked for."""

    schema: int = msgspec.field(default_factory=lambda: SCHEMA)
    """Version of this document's shape."""
    outcome: Outcome
    """``failed``."""
    exit_code: int
    """The exit code that it ended with."""
    error: str
    """What happened, to what."""
    hint: str
    """What to do about it."""
    proof: Proof | None = None
    """What verification found, when that is what failed."""
    reproducibility: tuple[Reproducibility, ...] = ()
    """What differed between two builds, when that is what failed."""


def build_result(
    built: Built,
    outcome: Outcome,
    tags: tuple[str, ...],
    published: tuple[Published, ...],
    images: Sequence[Built] = (),
    reproducibility: tuple[Reproducibility, ...] = (),
) -> BuildResult:
    """The answer of ``build``; `images` are those of an index."""
    return BuildResult(
        outcome=outcome,
        digest=built.image.root.digest,
        image_id=built.image.config.digest,
        platform=str(built.image.config.platform),
        tags=tags,
        size=built.image.manifest.layer_bytes,
        ran=built.ran,
        cached=built.cached,
        steps=built.steps,
        published=published,
        seconds=round(sum(one.seconds for one in images or (built,)), 3),
        platforms=tuple(
            PlatformImage(
                platform=str(one.image.config.platform),
                digest=one.image.manifest.digest,
                image_id=one.image.config.digest,
                size=one.image.manifest.layer_bytes,
                steps=one.steps,
            )
            for one in images
        ),
        engine=built.engine,
        warnings=built.warnings,
        reproducibility=reproducibility,
    )


def check_result(checked: Checked) -> CheckResult:
    """The answer of ``build --check``."""
    error = checked.error
    return CheckResult(
        outcome="failed" if checked.warnings or error else "done",
        warnings=checked.warnings,
        error=error.what if error else "",
        hint=error.todo if error else "",
    )


def copy_result(copied: Copied, source: str, place: str) -> CopyResult:
    """The answer of ``copy`` and ``push``."""
    changed = copied.bytes_sent or copied.bytes_mounted or copied.changed
    return CopyResult(
        outcome="done" if changed else "nothing-to-do",
        source=source,
        place=place,
        digest=copied.root.digest,
        bytes_sent=copied.bytes_sent,
        bytes_kept=copied.bytes_kept,
        bytes_mounted=copied.bytes_mounted,
    )


DOCUMENTS: dict[str, Any] = {
    "build": BuildResult,
    "build-check": CheckResult,
    "build-outline": OutlineResult,
    "build-targets": TargetList,
    "bump": BumpResult,
    "copy": CopyResult,
    "failure": Failure,
    "images": ImageList,
    "ls": FileList,
    "rmi": Forgotten,
    "tag": Tagged,
}
"""The documents of this file by the name of their verb, for the schemas in ``docs/json``."""
