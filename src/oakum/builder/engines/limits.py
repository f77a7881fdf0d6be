"""What oakum's own engine does and another one did not, in one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oakum.builder.assemble import rfc3339
from oakum.builder.engines.layers import Reading
from oakum.builder.engines.sources import Outline, Pins
from oakum.builder.images import Image
from oakum.builder.lock_pins import broken_promises
from oakum.builder.stage_builder import stage_name
from oakum.builder.steps import StepReport
from oakum.dockerfile import Lock, LockedStep


def limits_of(outline: Outline, pins: Pins, image: Image, reading: Reading) -> tuple[str, ...]:
    """What was left undone of what this build asked for."""
    found = [limit(outline, pins, image, reading) for limit in _LIMITS]
    return tuple(text for text in found if text)


def locked_runs(
    lock: Lock | None, steps: Sequence[StepReport], platform: str
) -> list[tuple[StepReport, LockedStep]]:
    """The RUNs that the lock has an entry for, made for their very command."""
    if lock is None:
        return []
    pairs = [(s, lock.step(s.stage, s.run, platform, s.command)) for s in steps if s.run]
    return [(s, entry) for s, entry in pairs if entry and entry.command in ("", s.command)]


Limit = Callable[[Outline, Pins, Image, Reading], str]


def _not_enforced(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    lock, platform = outline.request.lock, str(outline.request.platform)
    if lock is None or not any(step.platform == platform for step in lock.steps):
        return ""
    broken = [
        f"line {step.line}: {what}"
        for step, entry in locked_runs(lock, reading.steps, platform)
        for what in broken_promises(step.packages, entry.packages).values()
    ]
    text = "the lock's package versions are not held while steps run, only compared afterwards"
    return f"{text}: {'; '.join(broken[:5])}" if broken else text


def _not_told(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    if reading.told:
        return ""
    return (
        "which instruction made which layer cannot be told from the image's history: "
        "no steps, and their packages are not recorded"
    )


def _not_recorded(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    names = [
        stage_name(stage)
        for stage in outline.aside
        if any(instruction.keyword == "RUN" for instruction in stage.instructions)
    ]
    if not names:
        return ""
    return (
        f"what stages install that the image does not stand on is not recorded: {', '.join(names)}"
    )


def _no_files(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    if not any(step.packages for step in reading.steps):
        return ""
    return "the archives' files that packages come from are neither recorded nor kept for --offline"


def _not_pinned(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    if not pins.loose:
        return ""
    return (
        f"no registry tells a digest, so the engine's own image is taken: {', '.join(pins.loose)}"
    )


def _not_offered(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    if outline.request.ca_certificates is None:
        return ""
    return "the certificates of --ca-certificates are not offered to steps"


def _not_the_same_twice(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    epoch = outline.request.source_date_epoch
    if epoch is not None:
        kept = (image.config.created or "").startswith(rfc3339(epoch).rstrip("Z"))
        return "" if kept else "SOURCE_DATE_EPOCH was not kept; perhaps steps came from its cache"
    return "times are those of the build: the same sources give another digest each time"


def _not_timed(outline: Outline, pins: Pins, image: Image, reading: Reading) -> str:
    return "the time of single steps is not told; a step counts as run when its layer is new here"


_LIMITS: tuple[Limit, ...] = (
    _not_enforced,
    _not_told,
    _not_recorded,
    _no_files,
    _not_pinned,
    _not_offered,
    _not_the_same_twice,
    _not_timed,
)
