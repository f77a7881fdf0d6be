"""What no line pins: packages of the base image, and of installs without a version.

A package of the base image goes into the block of fixes, or comes by an ``apt-get upgrade`` step;
an unpinned install is raised through the lock.  The Dockerfile's own lines stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from oakum.builder import Image, StepReport
from oakum.dockerfile import (
    FixLine,
    NotEditable,
    Stage,
    Survey,
    allows,
    in_block,
    set_fixes_block,
)
from oakum.errors import NoRepository
from oakum.repository import compare_versions
from oakum.verbs.draft import Draft, Raise
from oakum.verbs.interface import Change, Fix, Unfixed
from oakum.verbs.pending import Origins, find_fixes
from oakum.verbs.pins import as_installed
from oakum.verbs.project import Project, stage_name
from oakum.verbs.selection import Selection
from oakum.verbs.sources import Content, Shelves

Placing = Literal["base", "end"]


def raise_unpinned(
    project: Project, survey: Survey, selection: Selection, placing: Placing, done: Draft
) -> Draft:
    """The block of fixes and the raised versions of what no pin of `done` has dealt with."""
    chain = project.chain()
    base = project.base_content(chain[0])
    if base is None:
        return Draft()
    pins = _Pins(project, survey, chain, done)
    try:
        draft = _base_fixes(project, survey, selection, placing, pins, base)
        if project.built is None:
            return draft.plus(_locked_fixes(project, selection, pins, base, done.plus(draft)))
        return draft.plus(_installed_fixes(project, selection, pins, base, done.plus(draft)))
    except NoRepository as error:
        if not any(mention.pinned for mention in survey.mentions):
            raise
        return Draft(notes=(f"only pins were looked at: {error.what}",))


class _Pins:
    """The pins of the target's own stages, and which of them take care of a fix."""

    def __init__(
        self, project: Project, survey: Survey, chain: Sequence[Stage], done: Draft
    ) -> None:
        indexes = {stage.index for stage in chain}
        self._versions: dict[str, list[str]] = {}
        for mention in survey.mentions:
            ours = mention.stage in indexes and mention.pinned
            if ours and not in_block(mention.instruction.first_line, project.blocks):
                self._versions.setdefault(mention.package, []).append(mention.version or "")
        self._raised = {fix.package for fix in done.fixes}

    def settle(self, fix: Fix) -> bool:
        """Whether a pin decides about the package: it was raised, or does not allow the fix.

        A pin with a glob that allows the fix decides nothing: the step has to run again.  One
        whose version is only known when the step runs (here the empty text) allows none.
        """
        versions = self._versions.get(fix.package)
        if versions is None:
            return False
        return fix.package in self._raised or not any(allows(v, fix.fixed) for v in versions)


def _base_fixes(
    project: Project,
    survey: Survey,
    selection: Selection,
    placing: Placing,
    pins: _Pins,
    base: Content,
) -> Draft:
    chain = project.chain()
    root = chain[0]
    image = project.bases[project.root(root).index]
    origins = Origins(
        image.config.created_by(),
        (root.from_.first_line,) * len(image.layers),
        stage_name(root),
    )
    repository = project.shelves.repository(base)
    found, unfixed = find_fixes(repository, base, origins, selection)
    left = tuple(u for u in unfixed if u.reason != "not-installed" or project.built is None)
    draft = Draft(unfixed=left, notes=tuple(repository.notes))
    wanted = [fix for fix in found if not pins.settle(fix)]
    indexes = {stage.index for stage in chain}
    upgrades = {u.instruction.first_line for u in survey.upgrades if u.stage in indexes}
    if upgrades:
        draft = draft.plus(_by_upgrade(project, upgrades, wanted))
        return draft.plus(_block(project, root, selection, placing, [], image))
    if base.files.tree.lookup(b"usr/bin/apt-get") is None:
        return draft.plus(Draft(unfixed=tuple(_without_apt(fix) for fix in wanted)))
    draft = draft.plus(Draft(fixes=tuple(wanted)))
    return draft.plus(_block(project, root, selection, placing, wanted, image))


def _without_apt(fix: Fix) -> Unfixed:
    detail = f"{fix.fixed} is there, and the base image has no apt: it needs a newer base"
    return _left(fix, detail)


def _left(fix: Fix, detail: str) -> Unfixed:
    return Unfixed(
        fix.package,
        fix.architecture,
        fix.installed,
        fix.advisories,
        "not-editable",
        detail,
        fix.severity,
    )


# The block of fixes.


def _block(
    project: Project,
    root: Stage,
    selection: Selection,
    placing: Placing,
    fixes: Sequence[Fix],
    image: Image,
) -> Draft:
    blocks = [block for block in project.blocks if block.stage == root.index]
    before = {name: version for block in blocks for name, version in block.packages}
    closes = {name: ids for block in blocks for name, ids in block.advisories.items()}
    lines = [FixLine(_apt_name(project, fix), fix.fixed, fix.advisories) for fix in fixes]
    if selection.only or selection.findings is not None:
        named = {line.package for line in lines}
        others = [(n, v) for n, v in before.items() if n not in named]
        lines += [FixLine(n, v, closes.get(n, ())) for n, v in others]
    lines.sort(key=lambda line: line.package)
    user = str(image.config.runtime.get("User") or "") or None
    try:
        edit = set_fixes_block(project.dockerfile, root, lines, placing, user)
    except NotEditable as error:
        return Draft(notes=(error.what,))
    if edit is None:
        return Draft()
    after = {line.package: line for line in lines}
    changes = [
        _block_change(root, name, before.get(name, ""), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name, "") != (after[name].version if name in after else "")
    ]
    return Draft((edit,), changes=tuple(changes))


def _block_change(root: Stage, name: str, old: str, line: FixLine | None) -> Change:
    why = "the base image has no digest with the fix" if line else "the base caught up"
    return Change(
        "block",
        name,
        old,
        line.version if line else "",
        stage_name(root),
        root.from_.first_line,
        why,
        line.advisories if line else (),
    )


def _apt_name(project: Project, fix: Fix) -> str:
    foreign = fix.architecture not in (project.architecture, "all", "")
    return f"{fix.package}:{fix.architecture}" if foreign else fix.package


# Steps that run again with newer versions.


def _by_upgrade(project: Project, lines: set[int], fixes: Sequence[Fix]) -> Draft:
    """Fixes of base packages that an ``apt-get upgrade`` step brings, through the lock."""
    step = next((s for s in reversed(project.runs()) if s.line in lines), None)
    if step is None:
        return Draft()
    behind = [f for f in fixes if _behind(step.packages, f)]
    draft = Draft()
    for fix in behind:
        draft = draft.plus(_raise(project, step, fix, "upgrade"))
    return draft


def _behind(packages: Mapping[str, str], fix: Fix) -> bool:
    version = packages.get(f"{fix.package}:{fix.architecture}")
    return version is None or compare_versions(version, fix.fixed) < 0


def _raise(project: Project, step: StepReport, fix: Fix, kind: Literal["lock", "upgrade"]) -> Draft:
    why = "no line pins it: the step runs again with this version"
    change = Change(
        kind, fix.package, fix.installed, fix.fixed, step.stage, step.line, why, fix.advisories
    )
    name = f"{fix.package}:{fix.architecture}"
    if name in project.refused:
        where = f"the step of line {step.line} chooses its version itself"
        return Draft(unfixed=(_left(fix, where),))
    raised = Raise(step.stage, step.run, name, fix.fixed)
    return Draft(raised=(raised,), changes=(change,), fixes=(fix,))


def _installed_fixes(
    project: Project, selection: Selection, pins: _Pins, base: Content, done: Draft
) -> Draft:
    """What RUN steps of the target's stages installed without a pin."""
    built = project.built
    assert built is not None
    target = project.chain()[-1]
    content = project.content(target)
    assert content is not None
    state = built.state
    origins = Origins(
        tuple(str(h.get("created_by", "")) for h in state.history if not h.get("empty_layer")),
        tuple(state.lines),
        stage_name(target),
    )
    repository = project.shelves.repository(content)
    found, unfixed = find_fixes(repository, content, origins, selection)
    in_base = {(p.name, p.architecture) for p in base.packages}
    known = {(fix.package, fix.architecture) for fix in done.fixes}
    settled = known | in_base
    draft = Draft(unfixed=tuple(u for u in unfixed if (u.package, u.architecture) not in settled))
    steps = {step.layer: step for step in built.steps if step.run}
    pairs = [(steps[fix.layer], fix) for fix in found if fix.layer in steps]
    others = [(step, fix) for step, fix in pairs if not in_block(step.line, project.blocks)]
    return draft.plus(_raised(project, pins, known, others))


def _raised(
    project: Project,
    pins: _Pins,
    known: Collection[tuple[str, str]],
    found: Iterable[tuple[StepReport, Fix]],
) -> Draft:
    """The fixes of steps, raised through the lock unless a pin decides or they are `known`."""
    draft = Draft()
    for step, fix in found:
        if not pins.settle(fix) and (fix.package, fix.architecture) not in known:
            draft = draft.plus(_raise(project, step, fix, "lock"))
    return draft


def _locked_fixes(
    project: Project, selection: Selection, pins: _Pins, base: Content, done: Draft
) -> Draft:
    """What the lock says that RUN steps of the target's stages install, where nothing is built."""
    names = {stage_name(stage) for stage in project.chain()}
    known = {(fix.package, fix.architecture) for fix in done.fixes}
    repository = project.shelves.repository(base)
    draft = Draft()
    for step in project.runs():
        if step.stage not in names or in_block(step.line, project.blocks):
            continue
        packages = tuple(
            as_installed(repository, *name.partition(":")[::2], version)
            for name, version in step.packages.items()
            if version
        )
        content = msgspec.structs.replace(base, packages=packages)
        origins = Origins((), (), step.stage)
        found, unfixed = find_fixes(repository, content, origins, selection)
        draft = draft.plus(Draft(unfixed=tuple(u for u in unfixed if u.reason != "not-installed")))
        placed = (msgspec.structs.replace(fix, line=step.line or None) for fix in found)
        draft = draft.plus(_raised(project, pins, known, ((step, fix) for fix in placed)))
    return draft


def out_of_reach(project: Project, shelves: Shelves, selection: Selection, done: Draft) -> Draft:
    """Fixes that `shelves` knows from suites which the image's own sources lack."""
    target = project.chain()[-1]
    content = project.content(target)
    if content is None:
        return Draft()
    origins = Origins((), (), stage_name(target))
    found, _ = find_fixes(shelves.repository(content), content, origins, selection)
    reached = {(fix.package, fix.fixed) for fix in done.fixes}
    return Draft(
        unfixed=tuple(
            Unfixed(
                fix.package,
                fix.architecture,
                fix.installed,
                fix.advisories,
                "not-in-archive",
                f"{fix.fixed} is in {fix.repository}, which the image's sources lack",
                fix.severity,
            )
            for fix in found
            if (fix.package, fix.fixed) not in reached
        )
    )
