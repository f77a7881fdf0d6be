"""``bump``: the edits of a Dockerfile and its lock that bring the fixes in, computed, not written.

Three mechanisms, in this order: a version that a line pins is raised where it stands; what a RUN
installed without a pin is raised through the lock; a package of the base image is fixed in one
marked block, unless the base itself has a newer digest that has the fix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from oakum.builder import (
    BuildRequest,
    Built,
    Images,
    dockerfile_path,
    lock_path,
    read_dockerfile,
    read_lock,
    require_own_sources,
)
from oakum.dockerfile import (
    LOCK_NAME,
    Lock,
    apply_edits,
    format_lock,
    parse_dockerfile,
    survey,
    unified_diff,
)
from oakum.errors import PlanMoved
from oakum.oci import Platform, digest_of
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs.bases import raise_bases
from oakum.verbs.current import current_image
from oakum.verbs.draft import Draft
from oakum.verbs.interface import Plan, Unfixed
from oakum.verbs.package_lists import outdated_lists
from oakum.verbs.pin_edits import raise_pins
from oakum.verbs.project import Project
from oakum.verbs.relock import relock
from oakum.verbs.selection import Selection
from oakum.verbs.sources import RepositoryOptions, Shelves
from oakum.verbs.tags import BumpTags
from oakum.verbs.unpinned import out_of_reach, raise_unpinned
from oakum.verbs.write_source import write_source


class BumpOptions(msgspec.Struct, frozen=True):
    """How a bump goes about its edits."""

    bump_tags: BumpTags = "none"
    """Whether the tags of base images are raised, and how far."""
    upgrade_at: Literal["base", "end"] = "base"
    """Where a new block of fixes goes."""
    platforms: tuple[Platform, ...] = ()
    """Platforms that pins must hold for; the request's own when empty."""


class Bumped(msgspec.Struct, frozen=True):
    """A computed bump."""

    plan: Plan
    """What changes and why."""
    text: bytes
    """The new Dockerfile."""
    lock: Lock | None
    """The lock to build with; None to build without one."""
    write_lock: bool
    """Whether the lock belongs beside the Dockerfile (it was there, or a fix needs it)."""
    raised: frozenset[str] = frozenset()
    """Packages (``name:architecture``) that steps must install newer, by the lock."""
    rerun: frozenset[tuple[str, str]] = frozenset()
    """Steps that must run again for their package lists: (stage, mark of the command)."""


def plan_bump(
    shelves: Shelves,
    images: Images,
    request: BuildRequest,
    selection: Selection,
    options: BumpOptions,
    built: Built | None,
    lock: Lock | None,
    refused: frozenset[str] = frozenset(),
) -> Bumped:
    """The edits that bring every wanted fix in.

    `built` is the image as its sources stand now, where it is known.  Without it, what RUN steps
    installed without a pin is known from the lock; without that too, it is left to the build,
    which installs what is newest.  `refused` are packages (``name:architecture``) that a step was
    found to install in versions of its own choice.
    """
    project = Project(shelves.of_images(), request, options.platforms, built, lock, refused)
    found = survey(project.dockerfile, project.given, request.target)
    needed = {m.stage for m in found.mentions} | {s.index for s in project.chain()}
    draft = raise_bases(project, images, needed, options.bump_tags, lock)
    draft = draft.plus(raise_pins(project, found, selection))
    draft = draft.plus(raise_unpinned(project, found, selection, options.upgrade_at, draft))
    if shelves.options.with_security:
        draft = draft.plus(out_of_reach(project, shelves, selection, draft))
    text = apply_edits(project.dockerfile.raw, draft.edits)
    edited = parse_dockerfile(text, project.dockerfile.name)
    new_lock, moved = relock(project, lock, draft, edited)
    draft = draft.plus(Draft(changes=moved))
    return Bumped(
        _plan(project, draft, text, (lock, new_lock), selection, options),
        text,
        new_lock,
        lock is not None or bool(draft.raised),
        frozenset(one.package for one in draft.raised),
        outdated_lists(project, found, draft),
    )


def bump(
    store: Store,
    request: BuildRequest,
    *,
    use_lock: bool = True,
    selection: Selection = Selection(),
    options: BumpOptions | None = None,
    repositories: RepositoryOptions = RepositoryOptions(),
    registry: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Bumped:
    """The edits that bring every wanted fix into a Dockerfile; nothing is written."""
    lock = read_lock(lock_path(request)) if use_lock else None
    shelves = Shelves(store, repositories, progress)
    images = Images(store, registry, progress)
    try:
        built = current_image(store, request, lock, registry)
        wanted = options or BumpOptions()
        return plan_bump(shelves, images, request, selection, wanted, built, lock)
    finally:
        shelves.close()


def write_bump(request: BuildRequest, bumped: Bumped, lock: Lock | None = None) -> None:
    """Write the new Dockerfile, and the lock where it belongs beside it.

    `PlanMoved` when the Dockerfile is not the one any more that the bump was worked out for,
    `UsageError` when it is no file that can be written.

    `lock` is what a build of the new Dockerfile resolved to; by default the planned one.
    """
    require_own_sources(request)
    now = read_dockerfile(request).raw
    if digest_of(now) not in (bumped.plan.dockerfile_digest, bumped.plan.new_digest):
        raise PlanMoved(
            f"{dockerfile_path(request)} was changed meanwhile, so it was not written",
            "run the command again on what it is now",
        )
    if bumped.text != now:
        write_source(dockerfile_path(request), bumped.text)
    written = lock or bumped.lock
    if bumped.write_lock and written is not None:
        text = format_lock(written)
        place = lock_path(request)
        if not place.exists() or place.read_bytes() != text:
            write_source(place, text)


def _plan(
    project: Project,
    draft: Draft,
    text: bytes,
    locks: tuple[Lock | None, Lock | None],
    selection: Selection,
    options: BumpOptions,
) -> Plan:
    """The plan; `locks` are the one that there was and the one to build with."""
    name = project.dockerfile.name
    lock, new_lock = locks
    diff = unified_diff(project.dockerfile.raw, text, name)
    old, new = (format_lock(one) if one else b"" for one in locks)
    if draft.raised or (new_lock is not None and new_lock != lock):
        diff += unified_diff(old, new, LOCK_NAME)
    return Plan(
        dockerfile=name,
        dockerfile_digest=digest_of(project.dockerfile.raw),
        new_digest=digest_of(text),
        lock_digest=digest_of(new) if new_lock else "",
        target=project.request.target,
        platforms=tuple(str(platform) for platform in project.platforms),
        changes=draft.changes,
        fixes=draft.fixes,
        unfixed=_each_once(draft.unfixed),
        diff=diff,
        notes=draft.notes,
        selection=selection,
        bump_tags=options.bump_tags,
        upgrade_at=options.upgrade_at,
    )


def _each_once(unfixed: Sequence[Unfixed]) -> tuple[Unfixed, ...]:
    """One entry for a package and a reason: the one that knows the installed package."""
    found: dict[tuple[str, str], list[Unfixed]] = {}
    for one in unfixed:
        found.setdefault((one.package, one.reason), []).append(one)
    kept: list[Unfixed] = []
    for group in found.values():
        known = [one for one in group if one.architecture]
        kept += known or group[:1]
    return tuple(kept)
