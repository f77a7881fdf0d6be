"""A build that another builder carries out, and what oakum makes of it.

Sources with bases by digest → the engine → its image in the store → steps, packages, lock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from oakum.builder.engines.failure import failure
from oakum.builder.engines.imported import bring_in, known_image
from oakum.builder.engines.interface import Engine, Job
from oakum.builder.engines.layers import Reading, read_steps
from oakum.builder.engines.limits import limits_of, locked_runs
from oakum.builder.engines.process import Peer, PeerFailed
from oakum.builder.engines.report import EngineReport
from oakum.builder.engines.sources import Outline, Pins, pinned, written
from oakum.builder.images import Image, Images
from oakum.builder.request import BuildRequest
from oakum.builder.sandbox.step import Limits
from oakum.builder.solver import Solved
from oakum.builder.stack import identity
from oakum.builder.stage_builder import stage_name
from oakum.builder.steps import NotCached, StepReport
from oakum.dockerfile import Dockerfile, Lock, LockedBase, LockedStep, parse_dockerfile
from oakum.errors import UsageError
from oakum.oci import Digest
from oakum.progress import Event
from oakum.repository import compare_versions
from oakum.store import discard

_REMEMBERED = "engine-1"


class Carried(msgspec.Struct, frozen=True):
    """A build that an engine carried out."""

    image: Image
    """The image, in the store."""
    solved: Solved
    """Its stages and steps, as far as they can be told."""
    report: EngineReport
    """The engine, and what it did not do."""
    unseen: tuple[LockedStep, ...]
    """Entries of the lock whose steps left no layer in the image: nothing is known of them."""


class _Remembered(msgspec.Struct, frozen=True):
    """What the last build of the same sources gave."""

    manifest: Digest
    bases: tuple[LockedBase, ...]


def build_with(
    engine: Engine, images: Images, request: BuildRequest, dockerfile: Dockerfile, file: Path
) -> Carried:
    """Let an engine build; `file` is where the user has the Dockerfile.

    With ``only_cached`` nothing is built: the answer is the image that the engine last gave for
    this Dockerfile, these arguments and bases, and `NotCached` where there is none.
    """
    outline = Outline(dockerfile, request)
    if request.only_cached:
        return _remembered(engine, images, outline)
    _refuse(engine, request)
    peer = Peer(engine.name, images.progress)
    version = engine.version(peer)
    engine.refuse(request)
    pins = pinned(outline, images, request.lock)
    scratch = Path(tempfile.mkdtemp(prefix="engine-", dir=images.store.place.scratch))
    try:
        job = written(outline, pins, file, scratch, images.options.insecure)
        image, reading = _built(engine, peer, images, outline, pins, job)
    finally:
        discard(scratch)
    kept = _Remembered(image.manifest.digest, pins.bases)
    images.store.records.put(_REMEMBERED, _key(engine, request, dockerfile), _encoded(kept))
    return _carried(engine, version, outline, pins, image, reading)


def _refuse(engine: Engine, request: BuildRequest) -> None:
    """`UsageError` for what only oakum's own engine does."""
    for given, option in (
        (request.runtime, "--sandbox"),
        (request.offline, "--offline"),
        (request.cache_from, "--cache-from"),
        (request.cache_to, "--cache-to"),
        (request.reproducible, "--reproducible"),
        (request.agents, "--ssh"),
        (request.ulimits, "--ulimit"),
        (request.shm_size, "--shm-size"),
        (request.cgroup_parent, "--cgroup-parent"),
        (request.limits != Limits(), "--memory, --cpu-… and --pids-limit"),
        (request.origin, "a context that is no directory of this machine"),
    ):
        if given:
            raise UsageError(
                f"{option} is for oakum's own engine, and --engine {engine.name} was asked for",
                "leave one of them out",
            )


def _built(
    engine: Engine, peer: Peer, images: Images, outline: Outline, pins: Pins, job: Job
) -> tuple[Image, Reading]:
    """Build; once more where the engine's cache has older packages than the lock."""
    request = outline.request
    first = {stage for stage, _ in request.rerun}
    once = _attempt(engine, peer, images, outline, pins, job, first)
    behind = _behind(request.lock, once[1].steps, str(request.platform)) - first
    if not behind or request.no_cache:
        return once
    text = f"older packages than oakum.lock has, built again: {', '.join(sorted(behind))}"
    images.progress(Event("lock", "note", text))
    return _attempt(engine, peer, images, outline, pins, job, first | behind)


def _attempt(
    engine: Engine,
    peer: Peer,
    images: Images,
    outline: Outline,
    pins: Pins,
    job: Job,
    fresh: set[str],
) -> tuple[Image, Reading]:
    fresh = fresh | {*outline.request.no_cache_filter}
    if not fresh <= {stage.name for stage in outline.stages}:
        # Engines know stages by their names alone.
        job = msgspec.structs.replace(
            job, request=msgspec.structs.replace(job.request, no_cache=True)
        )
    scratch = Path(tempfile.mkdtemp(dir=job.scratch))
    job = msgspec.structs.replace(job, scratch=scratch, fresh=frozenset(fresh))
    try:
        place = engine.build(job, peer)
    except PeerFailed as error:
        dockerfile = outline.dockerfile
        as_built = parse_dockerfile(pins.text, dockerfile.name)
        raise failure(engine.name, error.ended, dockerfile, as_built) from error
    image, new = bring_in(images, place, outline.request, pins.root)
    return image, read_steps(images, outline, image, pins.root, new)


def _behind(lock: Lock | None, steps: Sequence[StepReport], platform: str) -> set[str]:
    """Stages with a step that has an older version of a package than the lock says."""
    behind = set()
    for step, locked in locked_runs(lock, steps, platform):
        if any(
            version and found and compare_versions(found, version) < 0
            for name, version in locked.packages.items()
            if (found := step.packages.get(name))
        ):
            behind.add(step.stage)
    return behind


def _remembered(engine: Engine, images: Images, outline: Outline) -> Carried:
    request = outline.request
    raw = images.store.records.get(_REMEMBERED, _key(engine, request, outline.dockerfile))
    kept = msgspec.msgpack.decode(raw, type=_Remembered) if raw else None
    image = known_image(images.store, kept.manifest) if kept else None
    if kept is None or image is None or not _same_bases(kept.bases, request.lock):
        raise NotCached(stage_name(outline.target), outline.target.from_)
    pins = pinned(outline, images, Lock(kept.bases))
    reading = read_steps(images, outline, image, pins.root, frozenset())
    return _carried(engine, "", outline, pins, image, reading)


def _same_bases(bases: Sequence[LockedBase], lock: Lock | None) -> bool:
    locked = [lock.base(base.image, base.platform) if lock else None for base in bases]
    return all(d is None or d == base.digest for d, base in zip(locked, bases, strict=True))


def _key(engine: Engine, request: BuildRequest, dockerfile: Dockerfile) -> str:
    """Sources and options of a build, but for the files of its context."""
    named = [sorted(part.items()) for part in (request.build_args, request.contexts)]
    where = str(request.context or "")
    parts = [engine.name, dockerfile.raw, request.target, str(request.platform), where, *named]
    return identity(parts)


def _encoded(kept: _Remembered) -> bytes:
    return msgspec.msgpack.encode(kept)


def _carried(
    engine: Engine, version: str, outline: Outline, pins: Pins, image: Image, reading: Reading
) -> Carried:
    state = reading.stages[stage_name(outline.target)]
    lock, platform = outline.request.lock, str(outline.request.platform)
    steps = tuple(_with_files(step, lock, platform) for step in reading.steps)
    solved = Solved(state, reading.stages, steps, pins.bases, outline.dockerfile)
    report = EngineReport(engine.name, version, limits_of(outline, pins, image, reading))
    return Carried(image, solved, report, _unseen(outline, reading))


def _with_files(step: StepReport, lock: Lock | None, platform: str) -> StepReport:
    """The step with the archive's files that the lock has for just these packages."""
    entry = lock.step(step.stage, step.run, platform, step.command) if lock and step.run else None
    if entry is None or dict(entry.packages) != step.packages:
        return step
    return msgspec.structs.replace(step, files=dict(entry.files))


def _unseen(outline: Outline, reading: Reading) -> tuple[LockedStep, ...]:
    """What a lock says of this platform's steps that the image does not show."""
    lock, platform = outline.request.lock, str(outline.request.platform)
    seen = set(reading.stages) if reading.told else set()
    steps = lock.steps if lock else ()
    return tuple(s for s in steps if s.platform == platform and s.stage not in seen)
