"""``build``: a Dockerfile becomes an image in the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from oakum.builder.assemble import assemble
from oakum.builder.cache_export import export_cache, inline_document
from oakum.builder.cache_format import ANNOTATION, to_annotation
from oakum.builder.cache_import import ImportedCache, import_caches
from oakum.builder.checking import check_after, enforce
from oakum.builder.engines import EMBEDDED, EngineReport, find_engine
from oakum.builder.images import Image, Images, images_for
from oakum.builder.request import BuildRequest
from oakum.builder.solver import Solved, Solver
from oakum.builder.state import StageState
from oakum.builder.steps import NotCached, StepReport, Workshop
from oakum.dockerfile import (
    LOCK_NAME,
    CheckWarning,
    Dockerfile,
    Lock,
    LockedStep,
    check_options,
    parse_dockerfile,
    parse_lock,
)
from oakum.errors import DockerfileError, LockError, OakumError, Unsupported, UsageError
from oakum.oci import Reference
from oakum.progress import Event, Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions

if TYPE_CHECKING:
    from oakum.builder.engines.interface import Engine

_MAX_DOCKERFILE = 16 << 20


class Built(msgspec.Struct, frozen=True):
    """An image that was built."""

    image: Image
    """The image, in the store."""
    state: StageState
    """The finished target stage."""
    stages: dict[str, StageState]
    """Every stage that was needed."""
    steps: tuple[StepReport, ...]
    """What became of every instruction."""
    lock: Lock
    """What the names and the steps resolved to."""
    dockerfile: Dockerfile
    """The Dockerfile that was built."""
    seconds: float
    """How long it took."""
    warnings: tuple[CheckWarning, ...] = ()
    """What the build checks found in the stages that were needed."""
    engine: EngineReport = EngineReport(EMBEDDED)
    """What built it."""

    @property
    def ran(self) -> int:
        """Steps that were carried out."""
        return sum(step.status == "ran" for step in self.steps)

    @property
    def cached(self) -> int:
        """Steps that were taken from the cache."""
        return sum(step.status == "cached" for step in self.steps)


def dockerfile_path(request: BuildRequest) -> Path:
    """Where the Dockerfile of a build is."""
    if request.dockerfile is not None:
        return request.dockerfile
    if request.context is None:
        raise UsageError("there is neither a context nor a Dockerfile", "name a directory")
    return request.context / "Dockerfile"


def read_dockerfile(request: BuildRequest) -> Dockerfile:
    """The Dockerfile of a build, or the text that stands in for it."""
    path = dockerfile_path(request)
    if request.dockerfile_text is not None:
        return parse_dockerfile(request.dockerfile_text, path.name)
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_DOCKERFILE + 1)
    except FileNotFoundError as error:
        raise DockerfileError(
            f"there is no Dockerfile at {path}", "name it with -f, or the right directory"
        ) from error
    except OSError as error:
        raise DockerfileError(f"cannot read {path}: {error.strerror}", "check it") from error
    if len(raw) > _MAX_DOCKERFILE:
        raise DockerfileError(f"{path} is larger than 16 MiB", "is it a Dockerfile?")
    return parse_dockerfile(raw, path.name)


def lock_path(request: BuildRequest) -> Path:
    """Where the lock of a build is: beside its Dockerfile."""
    return request.lock_file or dockerfile_path(request).with_name(LOCK_NAME)


def require_own_sources(request: BuildRequest) -> None:
    """`UsageError` when the Dockerfile is no file of this machine, which could be changed."""
    if request.origin:
        raise UsageError(
            f"the Dockerfile came from {request.origin}, where nothing can be written",
            "name a directory that holds it, such as a clone of the repository",
        )


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, or None when there is none."""
    try:
        return parse_lock(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"cannot read {path}: {error.strerror}", "check it") from error


def build(
    store: Store,
    request: BuildRequest,
    *,
    tags: tuple[Reference, ...] = (),
    options: RegistryOptions | None = None,
    progress: Progress = silent,
) -> Built:
    """Build the target of a Dockerfile and, with `tags`, name the image in the store.

    Raises an `OakumError` that says which line failed and why; the names are then as before.
    With ``# check=error=true`` a build check that fires is one, before anything runs.
    """
    began = time.monotonic()
    dockerfile = read_dockerfile(request)
    images = images_for(store, request, options, progress)
    if check_options(dockerfile, request.build_args).error and not request.only_cached:
        enforce(request, dockerfile, images)
    engine = find_engine(request.engine)
    carry_out = _build if engine is None else partial(_build_with, engine)
    built = carry_out(images, request, dockerfile)
    for tag in tags:
        store.names.set(tag, built.image.root)
    return msgspec.structs.replace(built, seconds=time.monotonic() - began)


def _build(images: Images, request: BuildRequest, dockerfile: Dockerfile) -> Built:
    """With oakum's own engine; a step whose layer cannot be had of a cache any more runs."""
    while True:
        gone = len(images.gone)
        try:
            return _build_once(images, request, dockerfile)
        except OakumError as error:
            if len(images.gone) == gone:
                raise
            text = f"steps run whose layers cannot be fetched: {error.what}"
            images.progress(Event("cache", "note", text))


def _build_once(images: Images, request: BuildRequest, dockerfile: Dockerfile) -> Built:
    store, options, progress = images.store, images.options, images.progress
    caches = import_caches(store, request.cache_from, request.platform, options, progress)
    shop = Workshop(store, request, images, dockerfile, progress, caches)
    try:
        solver = Solver(shop, dockerfile, images)
        _refuse_foreign(shop, solver, dockerfile, images, caches)
        solved = solver.solve()
        if request.whole:
            images.fetch(solved.state.stack.layers)
        annotations = {}
        if any(place.type == "inline" for place in request.cache_to):
            inline = inline_document(shop.cache, solved.steps, solved.state)
            annotations[ANNOTATION] = to_annotation(inline)
        if not request.only_cached:
            shop.memory.keep()
    finally:
        shop.close()
        for cache in caches:
            cache.close()
    lock = lock_of(solved, str(request.platform))
    if request.locked:
        _check_lock(lock, request.lock, str(request.platform))
    image = assemble(store, solved.state, request.labels, request.source_date_epoch, annotations)
    _export(store, request, solved, options, progress)
    built = _built(image, solved, lock, EngineReport(EMBEDDED))
    warnings = check_after(request, dockerfile, solver.found).warnings
    return msgspec.structs.replace(built, warnings=warnings)


def _build_with(
    engine: Engine, images: Images, request: BuildRequest, dockerfile: Dockerfile
) -> Built:
    """With another builder; what it does not show of a lock stays in it."""
    from oakum.builder.engines.build import build_with

    carried = build_with(engine, images, request, dockerfile, dockerfile_path(request))
    lock = lock_of(carried.solved, str(request.platform))
    lock = msgspec.structs.replace(lock, steps=(*lock.steps, *carried.unseen))
    if request.locked:
        _check_lock(lock, request.lock, str(request.platform))
    return _built(carried.image, carried.solved, lock, carried.report)


def _built(image: Image, solved: Solved, lock: Lock, engine: EngineReport) -> Built:
    state, stages, steps = solved.state, solved.stages, solved.steps
    return Built(image, state, stages, steps, lock, solved.dockerfile, 0.0, engine=engine)


def _check_lock(made: Lock, given: Lock | None, platform: str) -> None:
    """`LockError` unless the lock has exactly what the build resolved to on this platform."""
    kept = given.of_platform(platform) if given else Lock((), ())
    now = made.of_platform(platform)
    bases = {base.image for base in set(now.bases) ^ set(kept.bases)}
    steps = {
        f"{step.stage}, RUN {step.run}"
        for some, others in ((now.steps, kept.steps), (kept.steps, now.steps))
        for step in some
        if not any(_same_packages(step, other) for other in others)
    }
    moved = sorted(bases) + sorted(steps)
    if moved:
        raise LockError(
            f"oakum.lock is out of date: {'; '.join(moved[:4])}",
            "write it anew with 'oakum lock', or build without --locked",
        )


def _refuse_foreign(
    shop: Workshop,
    solver: Solver,
    dockerfile: Dockerfile,
    images: Images,
    caches: Sequence[ImportedCache],
) -> None:
    """`Unsupported` when a step would have to run that this machine cannot run.

    Nothing was started then: whether all of it is in the cache is found by a build that runs
    nothing.
    """
    run = None if shop.request.only_cached else solver.foreign_run()
    if run is None:
        return
    request = msgspec.structs.replace(shop.request, only_cached=True)
    dry = Workshop(shop.store, request, images, dockerfile, silent, caches)
    try:
        Solver(dry, dockerfile, images).solve()
    except NotCached as error:
        raise Unsupported(
            f"{dockerfile.name}:{run.first_line}: this machine runs no programs of "
            f"{request.platform}: {run.original[:200]}",
            "build it on such a machine, register qemu-user in binfmt_misc, or let the stage be "
            "of this machine's platform: FROM --platform=$BUILDPLATFORM",
        ) from error
    finally:
        dry.close()


def _export(
    store: Store,
    request: BuildRequest,
    solved: Solved,
    options: RegistryOptions,
    progress: Progress,
) -> None:
    """Write the caches that were asked for."""
    for place in request.cache_to if not request.only_cached else ():
        if place.type == "inline":
            continue
        try:
            export_cache(store, place, solved.steps, solved.state, solved.stages, options, progress)
        except OakumError as error:
            if not place.ignore_error:
                raise
            progress(Event("cache", "note", f"no cache in {place.where}: {error.what}"))


def _same_packages(one: LockedStep, other: LockedStep) -> bool:
    """Whether two entries say the same of a step, whatever the archive's lists of the day."""
    return msgspec.structs.replace(one, files={}) == msgspec.structs.replace(other, files={})


def lock_of(solved: Solved, platform: str) -> Lock:
    """The lock that says what a build resolved to."""
    steps = tuple(
        LockedStep(step.stage, step.run, platform, step.command, step.packages, step.files)
        for step in solved.steps
        if step.run and step.packages
    )
    return Lock(solved.bases, steps)
