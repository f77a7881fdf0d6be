"""Which version a pin should have: one that every platform's archive offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from oakum.dockerfile import Mention, allows
from oakum.packages import Package
from oakum.repository import AptRepository, Candidate, compare_versions
from oakum.verbs.selection import Selection


class PinTarget(msgspec.Struct, frozen=True):
    """What is to become of a pin."""

    mention: Mention
    """The pinned package."""
    candidate: Candidate | None
    """The version that it should get; None when it stays."""
    vanished: bool
    """Whether the archive no longer has the pinned version."""
    why: str
    """Reason, for people."""
    held_back: Literal["ceiling", "not-in-archive"] | None = None
    """Why a version that is wanted cannot be had."""


def upstream(version: str) -> str:
    """The upstream part of a version, with its epoch (Debian policy 5.6.12)."""
    return version.rpartition("-")[0] or version


def judge_pin(
    mention: Mention, repositories: Sequence[AptRepository], selection: Selection
) -> PinTarget:
    """The version that a pinned package should have.

    `repositories` are those of every platform that the pin must hold for, the first one's being
    the machine's.  Only versions that all of them have are taken.
    """
    pinned = mention.version or ""
    first = repositories[0]
    common = _common(mention, repositories)
    here = _offers(mention, first)
    matching = [offer for offer in common if allows(pinned, offer.version)]
    vanished = not matching
    if not here:
        why = (
            f"the image's archives have no package {mention.package}; where a step adds its "
            "source, build the image first"
        )
        return PinTarget(mention, None, False, why, "not-in-archive")
    best = _best(mention, first, common, selection)
    if vanished:
        return _repaired(mention, pinned, common, best)
    current = matching[0]
    if best is None or compare_versions(best.version, current.version) <= 0:
        return _newest(mention, first, current, common[0], selection)
    if allows(pinned, best.version):
        return PinTarget(mention, None, False, f"the pattern takes {best.version}")
    why = f"{best.version} is in {best.repository}"
    if len(repositories) > 1 and here[0].version != best.version:
        why += f" (the newest that every platform has; {here[0].version} is not)"
    return PinTarget(mention, best, False, why)


def _newest(
    mention: Mention,
    repository: AptRepository,
    current: Candidate,
    newest: Candidate,
    selection: Selection,
) -> PinTarget:
    """A pin that stays; said with a reason when a ceiling or another platform keeps it.

    `newest` is the newest version that every platform has.
    """
    ceiling = selection.ceilings.get(mention.package)
    chosen = repository.policy(mention.package, mention.architecture or repository.architecture)
    if ceiling and chosen and compare_versions(chosen.version, current.version) > 0:
        why = f"{chosen.version} is above the ceiling {ceiling}"
        return PinTarget(mention, None, False, why, "ceiling")
    if chosen and compare_versions(chosen.version, newest.version) > 0:
        why = f"{chosen.version} is not in the archive of every platform"
        return PinTarget(mention, None, False, why, "not-in-archive")
    return PinTarget(mention, None, False, "it is the newest")


def _repaired(
    mention: Mention, pinned: str, common: Sequence[Candidate], best: Candidate | None
) -> PinTarget:
    """What a pin gets whose version the archive no longer has.

    The nearest version that is there, so that a repair is no upgrade in disguise; a security
    suite's version goes before it, since that is a fix.
    """
    why = f"{pinned} is not in the archive any more"
    nearest = _nearest(pinned, common)
    if nearest is None:
        why += ", and no version is on every platform"
        return PinTarget(mention, None, True, why, "not-in-archive")
    if best is not None and best.version != nearest.version:
        newer = compare_versions(best.version, nearest.version) > 0
        if best.security and newer:
            return PinTarget(mention, best, True, f"{why}; {best.version} is a security fix")
        if newer:
            why += f"; {nearest.version} is the nearest that is there, {best.version} the newest"
    return PinTarget(mention, nearest, True, why)


def _offers(mention: Mention, repository: AptRepository) -> tuple[Candidate, ...]:
    architecture = mention.architecture or repository.architecture
    return repository.versions(mention.package, architecture)


def _common(mention: Mention, repositories: Sequence[AptRepository]) -> list[Candidate]:
    """The versions that every platform has, the newest first."""
    everywhere = [{offer.version for offer in _offers(mention, r)} for r in repositories[1:]]
    return [
        offer
        for offer in _offers(mention, repositories[0])
        if all(offer.version in versions for versions in everywhere)
    ]


def _best(
    mention: Mention,
    repository: AptRepository,
    common: Sequence[Candidate],
    selection: Selection,
) -> Candidate | None:
    """The newest version that apt itself would choose, at most the ceiling, on every platform."""
    architecture = mention.architecture or repository.architecture
    chosen = repository.policy(mention.package, architecture)
    if chosen is None:
        return None
    ceiling = selection.ceilings.get(mention.package)
    for offer in common:
        if compare_versions(offer.version, chosen.version) > 0:
            continue
        if ceiling is None or compare_versions(offer.version, ceiling) <= 0:
            return offer
    return None


def _nearest(pinned: str, common: Sequence[Candidate]) -> Candidate | None:
    """The nearest of the versions (which stand newest first) to one that is gone.

    The newest of the same upstream version; else the lowest above; else the highest below.
    """
    bare = pinned.rstrip("*")
    same = [offer for offer in common if upstream(offer.version) == upstream(bare)]
    above = [offer for offer in common if compare_versions(offer.version, bare) > 0]
    return next(iter([*same, *reversed(above), *common]), None)


def as_installed(
    repository: AptRepository, package: str, architecture: str, version: str
) -> Package:
    """A package as if it were installed at a version, to ask what a newer one closes.

    Its source is the one that the archive names for that version, where it still has it.
    """
    offers = repository.versions(package, architecture)
    offer = next((o for o in offers if o.version == version), None)
    source = offer.source if offer else package
    return Package(
        package, version, architecture, source, offer.source_version if offer else version
    )
