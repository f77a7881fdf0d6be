"""``rebuild``: find the fixes, change the source, build again, prove, publish."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from oakum.builder import (
    EMBEDDED,
    BuildRequest,
    Built,
    EngineReport,
    Images,
    StepReport,
    build,
    lock_path,
    read_lock,
    require_own_sources,
)
from oakum.dockerfile import Lock
from oakum.errors import LockNotKept, PlanMoved, ProofFailed
from oakum.oci import Reference, parse_platform
from oakum.progress import Event, Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs.bump import Bumped, BumpOptions, plan_bump, write_bump
from oakum.verbs.current import current_image
from oakum.verbs.interface import SCHEMA, SETTLED, Fix, Outcome, Plan, Proof, Unfixed
from oakum.verbs.pending import remember_lines
from oakum.verbs.proof import Expectation, prove
from oakum.verbs.publish import Published, publish
from oakum.verbs.selection import Selection
from oakum.verbs.smoke import run_in_image
from oakum.verbs.sources import Content, RepositoryOptions, Shelves
from oakum.verbs.verify import remember_expected


class RebuildRequest(msgspec.Struct, frozen=True):
    """What a rebuild is asked to do."""

    build: BuildRequest
    """The build, as its sources stand."""
    selection: Selection = Selection()
    """Which fixes are wanted."""
    bump: BumpOptions = BumpOptions()
    """How the sources are changed."""
    repositories: RepositoryOptions = RepositoryOptions()
    """How package repositories are read."""
    registry: RegistryOptions = RegistryOptions()
    """How registries are spoken to."""
    tags: tuple[Reference, ...] = ()
    """Names for the new image."""
    write: bool = False
    """Carry it out; otherwise only say what would be done."""
    push: bool = False
    """Push the new image under its names."""
    use_lock: bool = True
    """Whether a lock beside the Dockerfile counts."""
    plan: Plan | None = None
    """The plan that this must be, exactly; it brings its own selection and target."""
    command: str | None = None
    """Command that must succeed in the new image."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild did, or would do."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """How it ended."""
    applied: bool
    """Whether anything was changed, or only planned."""
    plan: Plan
    """The changes."""
    fixed: tuple[Fix, ...]
    """What is fixed."""
    unfixed: tuple[Unfixed, ...]
    """What is not, with reasons."""
    steps: tuple[StepReport, ...] = ()
    """What became of every step."""
    ran: int = 0
    """Steps that were carried out."""
    cached: int = 0
    """Steps that were taken from the cache."""
    digest: str = ""
    """Digest of the new image."""
    old_digest: str = ""
    """Digest of the image before, where it was known."""
    size: int = 0
    """Bytes of the new image's layers, compressed."""
    old_size: int = 0
    """Bytes of the old image's layers, compressed."""
    tags: tuple[str, ...] = ()
    """Names of the new image."""
    proof: Proof | None = None
    """What verification found."""
    published: tuple[Published, ...] = ()
    """What was pushed."""
    seconds: float = 0.0
    """How long the build took."""
    engine: EngineReport = EngineReport(EMBEDDED)
    """What builds, and what it could not do."""


def rebuild(
    store: Store,
    request: RebuildRequest,
    progress: Progress = silent,
    deliver: Callable[[Built], None] | None = None,
) -> Rebuilt:
    """Scan, bump, build, verify and publish as one.

    Without `write` nothing is changed and the plan is returned.  Nothing is written, tagged or
    pushed before the proof: `ProofFailed` leaves everything as it was.  `deliver` may take the
    proven image elsewhere, before the sources are changed and the names are set.
    """
    if request.write:
        require_own_sources(request.build)
    if request.plan is not None:
        request = _as_planned(request, request.plan)
    lock = read_lock(lock_path(request.build)) if request.use_lock else None
    images = Images(store, request.registry, progress)
    shelves = Shelves(store, request.repositories, progress)
    try:
        old = _current(store, request, lock, progress)
        bumper = partial(
            plan_bump, shelves, images, request.build, request.selection, request.bump, old, lock
        )
        bumped = bumper()
        _same_plan(request.plan, bumped.plan)
        if not request.write:
            return _planned(request, bumped, old)
        bumped, built = _built(store, request, bumper, bumped, progress)
        images.fetch(built.state.stack.layers)
        proof = _prove(store, shelves, request, bumped, built, old, progress)
        if deliver is not None:
            deliver(built)
        write_bump(request.build, bumped, built.lock)
        published = _publish(store, request, bumped, built, progress)
    finally:
        shelves.close()
    return _rebuilt(request, bumped, built, old, proof, published)


def _current(
    store: Store, request: RebuildRequest, lock: Lock | None, progress: Progress
) -> Built | None:
    """The image as its sources stand, where it is known; a lock that must hold is checked."""
    old = current_image(store, request.build, lock, request.registry)
    if old is None and request.build.locked:
        wanted = msgspec.structs.replace(request.build, lock=lock)
        return build(store, wanted, options=request.registry, progress=progress)
    return old


def _as_planned(request: RebuildRequest, plan: Plan) -> RebuildRequest:
    """The request with the choices that the plan was made with."""
    platforms = tuple(parse_platform(platform) for platform in plan.platforms)
    return msgspec.structs.replace(
        request,
        build=msgspec.structs.replace(request.build, target=plan.target),
        selection=plan.selection,
        bump=BumpOptions(plan.bump_tags, plan.upgrade_at, platforms),
    )


def _same_plan(expected: Plan | None, actual: Plan) -> None:
    if expected is None or expected == actual:
        return
    for field, what in (
        ("dockerfile_digest", "the Dockerfile has changed"),
        ("changes", "other versions are there now"),
        ("new_digest", "the edits are others now"),
        ("lock_digest", "the lock would be another"),
    ):
        if getattr(expected, field) != getattr(actual, field):
            raise PlanMoved(f"the plan no longer holds: {what}", "make a new plan (--plan-out)")
    raise PlanMoved("the plan no longer holds", "make a new plan (--plan-out)")


def _planned(request: RebuildRequest, bumped: Bumped, old: Built | None) -> Rebuilt:
    plan = bumped.plan
    return Rebuilt(
        outcome=outcome_of(plan),
        applied=False,
        plan=plan,
        fixed=plan.fixes,
        unfixed=plan.unfixed,
        steps=old.steps if old else (),
        old_digest=old.image.manifest.digest if old else "",
        old_size=_size(old),
        engine=EngineReport(request.build.engine),
    )


def outcome_of(plan: Plan) -> Outcome:
    """How a plan that is carried out ends."""
    left = [u for u in plan.unfixed if u.reason not in SETTLED]
    if plan.changes:
        return "partly-done" if left else "done"
    return "not-possible" if left else "nothing-to-do"


def _built(
    store: Store,
    request: RebuildRequest,
    bumper: Callable[[frozenset[str]], Bumped],
    bumped: Bumped,
    progress: Progress,
) -> tuple[Bumped, Built]:
    """Build what was planned; without the versions that a step turns out not to install.

    Where a script chooses its versions itself, in a way that only its run shows, what was raised
    through the lock is not what it installs.  That is left then, and the rest is done.
    """
    refused: frozenset[str] = frozenset()
    while True:
        try:
            return bumped, _build(store, request, bumped, progress)
        except LockNotKept as error:
            more = frozenset(error.packages) & bumped.raised - refused
            if not more or request.plan is not None:
                raise
            refused |= more
            text = f"the step chooses other versions itself, left: {', '.join(sorted(more))}"
            progress(Event("lock", "note", text))
            bumped = bumper(refused)


def _build(store: Store, request: RebuildRequest, bumped: Bumped, progress: Progress) -> Built:
    wanted = msgspec.structs.replace(
        request.build,
        dockerfile_text=bumped.text,
        lock=bumped.lock,
        locked=False,
        rerun=bumped.rerun,
    )
    return build(store, wanted, options=request.registry, progress=progress)


def _prove(
    store: Store,
    shelves: Shelves,
    request: RebuildRequest,
    bumped: Bumped,
    built: Built,
    old: Built | None,
    progress: Progress,
) -> Proof:
    content = shelves.content(built.state.stack.layers, built.state.platform)
    before: Content | None = None
    if old is not None:
        before = shelves.content(old.state.stack.layers, old.state.platform)
    fixes = _expected(bumped, built)
    rerun = frozenset(
        str(step.layer) for step in built.steps if step.layer and step.status == "ran"
    ) | _unknown_layers(built, old)
    proof = prove(store, built.image, content, Expectation(fixes, before, rerun), progress)
    if request.command and proof.passed:
        image = built.image
        proof = run_in_image(store, image.layers, image.config, request.command, proof, progress)
    if not proof.passed:
        shown = "; ".join(f"{p.subject} {p.detail}" for p in proof.problems[:3])
        raise ProofFailed(
            f"the rebuilt image is not right ({len(proof.problems)} problems): {shown}",
            "nothing was written, tagged or pushed; --format json lists every problem",
            proof,
        )
    return proof


def _expected(bumped: Bumped, built: Built) -> tuple[Fix, ...]:
    """The fixes that must be in the image: those of the stages that it is made of."""
    own = {name for name, state in built.stages.items() if state is built.state}
    stages = _line(built, own)
    return tuple(fix for fix in bumped.plan.fixes if fix.stage is None or fix.stage in stages)


def _line(built: Built, own: set[str]) -> set[str]:
    """Stages whose layers are in the image."""
    layers = [layer.diff_id for layer in built.state.stack.layers]
    return own | {
        name
        for name, state in built.stages.items()
        if layers[: len(state.stack.layers)] == [layer.diff_id for layer in state.stack.layers]
    }


def _unknown_layers(built: Built, old: Built | None) -> frozenset[str]:
    """Layers of the new image that the old one lacks: of another base, or cached from elsewhere."""
    before = {layer.diff_id for layer in old.state.stack.layers} if old else set()
    return frozenset(
        str(layer.diff_id) for layer in built.state.stack.layers if layer.diff_id not in before
    )


def _publish(
    store: Store, request: RebuildRequest, bumped: Bumped, built: Built, progress: Progress
) -> tuple[Published, ...]:
    remember_lines(store, built.image.manifest.digest, built.state.lines)
    remember_expected(store, built.image.manifest.digest, _expected(bumped, built))
    for tag in request.tags:
        store.names.set(tag, built.image.root)
    if not request.push:
        return ()
    return tuple(
        publish(store, built.image, tag, request.registry, progress) for tag in request.tags
    )


def _rebuilt(
    request: RebuildRequest,
    bumped: Bumped,
    built: Built,
    old: Built | None,
    proof: Proof,
    published: tuple[Published, ...],
) -> Rebuilt:
    return Rebuilt(
        outcome=outcome_of(bumped.plan),
        applied=True,
        plan=bumped.plan,
        fixed=bumped.plan.fixes,
        unfixed=bumped.plan.unfixed,
        steps=built.steps,
        ran=built.ran,
        cached=built.cached,
        digest=built.image.manifest.digest,
        old_digest=old.image.manifest.digest if old else "",
        size=_size(built),
        old_size=_size(old),
        tags=tuple(str(tag) for tag in request.tags),
        proof=proof,
        published=published,
        seconds=built.seconds,
        engine=built.engine,
    )


def _size(built: Built | None) -> int:
    return built.image.manifest.layer_bytes if built else 0
