"""Pins of a bump: versions that lines name, raised where they stand."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oakum.dockerfile import Mention, Stage, Survey, Wanted, in_block, set_versions
from oakum.packages import Package
from oakum.repository import AptRepository, Candidate
from oakum.verbs.draft import Draft
from oakum.verbs.interface import Change, Fix, Unfixed
from oakum.verbs.pending import advisories_of
from oakum.verbs.pins import PinTarget, as_installed, judge_pin
from oakum.verbs.project import Project, stage_name
from oakum.verbs.selection import Selection
from oakum.verbs.sources import Content


def raise_pins(project: Project, survey: Survey, selection: Selection) -> Draft:
    """The edits that raise every pin for which a newer version is wanted and is everywhere."""
    draft = Draft()
    targets: list[PinTarget] = []
    blocks = project.blocks
    pinned = [
        mention
        for mention in survey.mentions
        if mention.pinned and not in_block(mention.instruction.first_line, blocks)
    ]
    for mention in pinned:
        if not selection.wants(mention.package):
            continue
        judged = _judge(project, mention, selection)
        if isinstance(judged, PinTarget):
            targets.append(judged)
        elif judged is not None:
            draft = draft.plus(Draft(unfixed=(judged,)))
    targets, parted = _in_step(project, pinned, selection, targets)
    draft = draft.plus(Draft(unfixed=parted))
    wanted = [Wanted(t.mention, t.candidate.version) for t in targets if t.candidate]
    planned = set_versions(project.dockerfile, wanted, project.given)
    refused = {id(one.mention) for one in planned.refused}
    kept = [t for t in targets if t.candidate and id(t.mention) not in refused]
    draft = draft.plus(_described(project, selection, kept))
    left = tuple(_not_editable(one.mention, one.reason) for one in planned.refused)
    shared = tuple(_shared(project, other) for other in planned.also)
    return draft.plus(Draft(tuple(planned.edits), changes=shared, unfixed=left))


def _in_step(
    project: Project, pinned: Sequence[Mention], selection: Selection, targets: list[PinTarget]
) -> tuple[list[PinTarget], tuple[Unfixed, ...]]:
    """The pins of one source and one version go together, or none of them goes.

    Packages built from one source mostly depend on each other at exactly their own version
    (Debian policy 7.1), so that half of them raised is a step that apt refuses.
    """
    going = {id(target.mention) for target in targets if target.candidate}
    everything = Selection(ceilings=selection.ceilings, ignore=selection.ignore)
    left: list[Unfixed] = []
    kept: list[PinTarget] = []
    for target in targets:
        kin = [m for m in pinned if id(m) not in going and _kin(project, target, m)]
        judged = [_judge(project, mention, everything) for mention in kin]
        stays = [one for one in judged if isinstance(one, Unfixed)]
        if stays:
            detail = f"{stays[-1].package}, of the same source, stays: {stays[-1].detail}"
            left.append(_unfixed(target.mention, stays[-1].reason, detail))
            continue
        why = f"it goes with {target.mention.package}, of the same source"
        more = [
            msgspec.structs.replace(one, why=why)
            for one in judged
            if isinstance(one, PinTarget) and _version(one) == _version(target)
        ]
        kept += [target, *more]
        going |= {id(one.mention) for one in more}
    return kept, tuple(left)


def _version(target: PinTarget) -> str | None:
    return target.candidate.version if target.candidate else None


def _kin(project: Project, target: PinTarget, other: Mention) -> bool:
    """Whether another pin of the stage has the same version, and is of the same source."""
    mention = target.mention
    same = other.stage == mention.stage and other.version == mention.version
    if not same or target.candidate is None or other.package == mention.package:
        return False
    content = project.content(project.stages[other.stage])
    if content is None:
        return False
    repository = project.shelves.repository(content)
    offers = repository.versions(other.package, other.architecture or project.architecture)
    return any(offer.source == target.candidate.source for offer in offers)


def _judge(project: Project, mention: Mention, selection: Selection) -> PinTarget | Unfixed | None:
    """What is to become of a pin; a reason when it cannot be; None when it stays."""
    if mention.version is None:
        where = f"line {mention.line}: the version of {mention.package}"
        return _not_editable(mention, f"{where} is only known when it runs")
    content = project.content(project.stages[mention.stage])
    if content is None:
        return None
    target = judge_pin(mention, project.repositories(content), selection)
    listed = selection.findings
    named = listed is None or any(f.package == mention.package for f in listed)
    if target.candidate is None or not (named or target.vanished):
        kept_back = named and target.held_back is not None
        return _unfixed(mention, target.held_back or "", target.why) if kept_back else None
    base = project.base_content(project.stages[mention.stage])
    if any(p.name == mention.package and p.held for p in (base.packages if base else ())):
        return _unfixed(mention, "held", "apt holds it at its version in the base image")
    ignored = selection.ignored(mention.package, ())
    if ignored and not target.vanished:
        return _unfixed(mention, "ignored", ignored)
    return target


def _unfixed(mention: Mention, reason: str, detail: str) -> Unfixed:
    return Unfixed(
        mention.package,
        mention.architecture or "",
        mention.version or "",
        (),
        reason,  # type: ignore[arg-type]
        detail,
    )


def _not_editable(mention: Mention, reason: str) -> Unfixed:
    return _unfixed(mention, "not-editable", reason)


def _shared(project: Project, other: Wanted) -> Change:
    mention = other.mention
    return Change(
        "pin",
        mention.package,
        mention.version or "",
        other.version,
        stage_name(project.stages[mention.stage]),
        mention.line,
        "it shares its variable with another package",
    )


def _described(project: Project, selection: Selection, targets: Sequence[PinTarget]) -> Draft:
    """Changes and fixes of pins that are raised, with what they close."""
    by_stage: dict[int, list[PinTarget]] = {}
    for target in targets:
        by_stage.setdefault(target.mention.stage, []).append(target)
    draft = Draft()
    for index, group in by_stage.items():
        stage = project.stages[index]
        content = project.content(stage)
        if content is not None:
            draft = draft.plus(_described_in(project, selection, stage, content, group))
    return draft


def _described_in(
    project: Project,
    selection: Selection,
    stage: Stage,
    content: Content,
    group: Sequence[PinTarget],
) -> Draft:
    repository = project.shelves.repository(content)
    installed = {p.name: p for p in content.packages if p.installed}
    pending = [(_package(project, repository, installed, t), _candidate(t)) for t in group]
    closed = advisories_of(repository, pending)
    draft = Draft()
    for target, (package, candidate) in zip(group, pending, strict=True):
        advisories = closed.get(package.key, ())
        mention = target.mention
        change = Change(
            "pin",
            mention.package,
            mention.version or "",
            candidate.version,
            stage_name(stage),
            mention.line,
            target.why,
            advisories,
        )
        known = 0 <= package.layer < len(content.layers)
        fix = Fix(
            mention.package,
            package.architecture,
            mention.version or "",
            candidate.version,
            advisories,
            _severity(selection, mention.package),
            candidate.security,
            candidate.repository,
            candidate.source,
            candidate.source_version,
            content.layers[package.layer].diff_id if known else None,
            f"RUN {' '.join(mention.instruction.arguments)}"[:200],
            mention.line,
            stage_name(stage),
        )
        draft = draft.plus(Draft(changes=(change,), fixes=(fix,)))
    return draft


def _candidate(target: PinTarget) -> Candidate:
    assert target.candidate is not None
    return target.candidate


def _package(
    project: Project,
    repository: AptRepository,
    installed: dict[str, Package],
    target: PinTarget,
) -> Package:
    """The pinned package as it is installed, or as if it were."""
    mention = target.mention
    package = installed.get(mention.package)
    if package is not None and package.version == mention.version:
        return package
    architecture = mention.architecture or project.architecture
    version = (mention.version or "").rstrip("*")
    return as_installed(repository, mention.package, architecture, version)


def _severity(selection: Selection, package: str) -> str:
    found = [f.severity for f in selection.findings or () if f.package == package]
    return str(max(found)) if found else "unknown"
