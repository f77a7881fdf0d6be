"""The lock of an edited Dockerfile: versions are raised, steps are worded and numbered anew."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oakum.builder import run_mark
from oakum.dockerfile import (
    Dockerfile,
    Instruction,
    Lock,
    LockedBase,
    LockedStep,
    base_of,
    fixes_blocks,
    in_block,
    stages,
)
from oakum.oci import Digest
from oakum.verbs.draft import Draft
from oakum.verbs.interface import Change
from oakum.verbs.project import Project, stage_name


def relock(
    project: Project, lock: Lock | None, draft: Draft, edited: Dockerfile
) -> tuple[Lock | None, tuple[Change, ...]]:
    """The lock to build `edited` with: the old one's entries, raised where the draft says so.

    None when there was no lock and nothing needs one.  The changes are those that no fix asks
    for: versions that the archive does not have any more.
    """
    platform = str(project.request.platform)
    raised = _raised(project, draft, platform)
    keys = {(step.stage, step.run, step.platform) for step in raised}
    kept = lock.steps if lock else ()
    steps = [s for s in kept if (s.stage, s.run, s.platform) not in keys] + raised
    if lock is None and not steps:
        return None, ()
    current = [_current(project, draft, step) for step in steps]
    placed = relocated(current, project.dockerfile, edited)
    bases = _bases(project, lock.bases if lock else (), edited)
    made = Lock(tuple(bases), tuple(sorted(placed, key=lambda s: (s.stage, s.run))))
    return made, _moved(draft, zip(steps, current, strict=True))


def _moved(draft: Draft, steps: Iterable[tuple[LockedStep, LockedStep]]) -> tuple[Change, ...]:
    """The versions that differ before and after and that the draft says nothing of."""
    told = {c.package for c in draft.changes} | {f.package for f in draft.fixes}
    return tuple(
        Change(
            "lock",
            package,
            version,
            after.packages[name],
            before.stage,
            None,
            f"{version} is not in the archive any more",
        )
        for before, after in steps
        for name, version in before.packages.items()
        if after.packages[name] != version and (package := name.partition(":")[0]) not in told
    )


def _bases(project: Project, locked: Iterable[LockedBase], edited: Dockerfile) -> list[LockedBase]:
    """The entries of the bases, with the names and digests of the edited Dockerfile."""
    platform = str(project.request.platform)
    named = {}
    for before, after in zip(project.stages, stages(edited)[1], strict=True):
        image = project.bases.get(before.index)
        if image is not None:
            old = base_of(project.dockerfile, before, project.given).text
            new = base_of(edited, after, project.given)
            digest = Digest(new.digest) if new.digest else image.root.digest
            named[old, platform] = LockedBase(new.text, platform, digest)
    return [named.get((base.image, base.platform), base) for base in locked]


def _raised(project: Project, draft: Draft, platform: str) -> list[LockedStep]:
    """Entries of the steps that have to run again, with the versions that they must install."""
    made: dict[tuple[str, int], dict[str, str]] = {}
    for one in draft.raised:
        made.setdefault((one.stage, one.run), {})[one.package] = one.version
    steps = {(step.stage, step.run): step for step in project.runs()}
    return [
        LockedStep(*key, platform, steps[key].command, {**steps[key].packages, **versions})
        for key, versions in made.items()
    ]


def _current(project: Project, draft: Draft, step: LockedStep) -> LockedStep:
    """The entry with the versions that the fixes ask for, and without vanished ones."""
    stage = next((s for s in project.stages if stage_name(s) == step.stage), None)
    content = project.content(stage) if stage else None
    if stage is None or content is None:
        return step
    repository = project.shelves.repository(content)
    ours = stage.index in {one.index for one in project.chain()}
    fixes = draft.fixes if ours else tuple(f for f in draft.fixes if f.stage == step.stage)
    fixed = {f"{f.package}:{f.architecture}": f.fixed for f in fixes}
    packages = {}
    for name, version in step.packages.items():
        package, _, architecture = name.partition(":")
        wanted = fixed.get(name, version)
        offered = [offer.version for offer in repository.versions(package, architecture)]
        if wanted and offered and wanted not in offered:
            chosen = repository.policy(package, architecture)
            wanted = chosen.version if chosen is not None else wanted
        packages[name] = wanted
    if packages == step.packages:
        return step
    return msgspec.structs.replace(step, packages=packages, files={})


def relocated(
    steps: Iterable[LockedStep], before: Dockerfile, after: Dockerfile
) -> tuple[LockedStep, ...]:
    """The entries of `before`, for the same steps in `after`; those of a block that is gone go.

    `after` is `before` with other versions in it, and with a block of fixes more or less.
    """
    moves = _moves(before, after)
    found = []
    for step in steps:
        rows = moves.get(step.stage, [])
        at = [n for n, (mark, _, _) in enumerate(rows) if mark == step.command]
        if len(at) != 1:
            at = [step.run - 1] if step.run <= len(rows) else []
        if not at:
            found.append(step)
            continue
        mark, place, new_mark = rows[at[0]]
        if place is None:
            continue
        command = new_mark if step.command == mark else step.command
        run = step.run + place - at[0]
        found.append(msgspec.structs.replace(step, run=run, command=command))
    return tuple(found)


def _moves(before: Dockerfile, after: Dockerfile) -> dict[str, list[tuple[str, int | None, str]]]:
    """By stage, for each RUN before: its mark, its place among the RUNs after, its mark there."""
    moves = {}
    for (name, old), (_, new) in zip(_runs(before), _runs(after), strict=True):
        places = {True: [n for n, (_, own) in enumerate(new) if own], False: []}
        places[False] = [n for n, (_, own) in enumerate(new) if not own]
        rows: list[tuple[str, int | None, str]] = []
        for instruction, own in old:
            place = places[own].pop(0) if places[own] else None
            mark = run_mark(new[place][0]) if place is not None else ""
            rows.append((run_mark(instruction), place, mark))
        moves[name] = rows
    return moves


def _runs(dockerfile: Dockerfile) -> list[tuple[str, list[tuple[Instruction, bool]]]]:
    """By stage, its RUNs, each with whether it stands in oakum's own block of fixes."""
    blocks = fixes_blocks(dockerfile)
    return [
        (
            stage.name or str(stage.index),
            [(i, in_block(i.first_line, blocks)) for i in stage.instructions if i.keyword == "RUN"],
        )
        for stage in stages(dockerfile)[1]
    ]
