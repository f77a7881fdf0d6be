"""Which installed packages have a fix that is wanted, and why the others are not fixed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from oakum.builder import Image
from oakum.errors import RepositoryError
from oakum.fixes.reports import Finding
from oakum.oci import Digest
from oakum.packages import Package
from oakum.repository import (
    AptRepository,
    Candidate,
    Installed,
    closed_cves,
    compare_versions,
)
from oakum.store import Store
from oakum.verbs.interface import Fix, Unfixed
from oakum.verbs.selection import Selection
from oakum.verbs.sources import Content

_READERS = 6
_NUMBER = re.compile(r"\d+")


class Origins(msgspec.Struct, frozen=True):
    """Where each layer of an image came from."""

    created_by: tuple[str, ...]
    """History line of every layer."""
    lines: tuple[int | None, ...]
    """Line of the Dockerfile of every layer, where it is known."""
    stage: str | None = None
    """Stage of the Dockerfile."""

    def of(self, layer: int) -> tuple[str, int | None]:
        """History line and line of the Dockerfile of a layer."""
        if not 0 <= layer < len(self.created_by):
            return "", None
        line = self.lines[layer] if layer < len(self.lines) else None
        return self.created_by[layer], line


def remember_lines(store: Store, manifest: Digest, lines: Sequence[int | None]) -> None:
    """Keep which line of the Dockerfile made which layer of an image."""
    store.records.put("lines", manifest, msgspec.json.encode(list(lines)))


def known_lines(store: Store, manifest: Digest) -> tuple[int | None, ...]:
    """The lines that were kept for an image; empty when oakum did not build it here."""
    raw = store.records.get("lines", manifest)
    return tuple(msgspec.json.decode(raw, type=list[int | None])) if raw else ()


def origins_of(store: Store, image: Image) -> Origins:
    """Where the layers of an image came from."""
    return Origins(image.config.created_by(), known_lines(store, image.manifest.digest))


class _Pending(msgspec.Struct, frozen=True):
    """A package and the version that it should get."""

    package: Package
    candidate: Candidate
    findings: tuple[Finding, ...]


def find_fixes(
    repository: AptRepository, content: Content, origins: Origins, selection: Selection
) -> tuple[tuple[Fix, ...], tuple[Unfixed, ...]]:
    """The fixes of an image that are wanted, and what is not fixed with the reason."""
    installed = [p for p in content.packages if p.installed and selection.wants(p.name)]
    asked = [Installed(p.name, p.version, p.architecture, p.held) for p in installed]
    newer = {(i.package, i.architecture): c for i, c in repository.upgrades(asked)}
    unfixed: list[Unfixed] = []
    pending: list[_Pending] = []
    listed = _by_package(selection.findings)
    for package in installed:
        findings = listed.get(package.name, ()) if listed is not None else ()
        findings = tuple(f for f in findings if _speaks_of(f, package))
        if listed is not None and not findings:
            continue
        candidate = newer.get((package.name, package.architecture))
        chosen = _capped(repository, package, candidate, selection, unfixed)
        if chosen is None:
            unfixed += _without_fix(package, candidate, findings)
            continue
        if package.held:
            unfixed.append(_unfixed(package, findings, "held", "apt holds it at its version"))
            continue
        pending.append(_Pending(package, chosen, findings))
        unfixed += _lagging(package, chosen, findings)
    if listed is not None:
        unfixed += _not_installed(selection.findings or (), installed)
        unfixed += _of_others(selection)
    advisories = advisories_of(repository, [(p.package, p.candidate) for p in pending])
    fixes = []
    for item in pending:
        fix = _fix(item, advisories, content, origins)
        reason = selection.ignored(fix.package, fix.advisories)
        if reason:
            unfixed.append(_unfixed(item.package, item.findings, "ignored", reason))
        else:
            fixes.append(fix)
    return tuple(fixes), tuple(sorted(unfixed, key=lambda u: (u.package, u.advisories)))


def _by_package(findings: Iterable[Finding] | None) -> dict[str, tuple[Finding, ...]] | None:
    if findings is None:
        return None
    by_name: dict[str, tuple[Finding, ...]] = {}
    for finding in findings:
        if finding.ecosystem == "deb":
            by_name[finding.package] = (*by_name.get(finding.package, ()), finding)
    return by_name


def _speaks_of(finding: Finding, package: Package) -> bool:
    architectures = (None, "", package.architecture, "all")
    return finding.architecture in architectures or package.architecture == "all"


def _capped(
    repository: AptRepository,
    package: Package,
    candidate: Candidate | None,
    selection: Selection,
    unfixed: list[Unfixed],
) -> Candidate | None:
    ceiling = selection.ceilings.get(package.name)
    if candidate is None or ceiling is None or compare_versions(candidate.version, ceiling) <= 0:
        return candidate
    for offer in repository.versions(package.name, package.architecture):
        below = compare_versions(offer.version, ceiling) <= 0
        if below and compare_versions(offer.version, package.version) > 0:
            return offer
    detail = f"{candidate.version} is above the ceiling {ceiling}"
    unfixed.append(_unfixed(package, (), "ceiling", detail))
    return None


def in_order(advisories: Iterable[str]) -> tuple[str, ...]:
    """Advisories sorted by name, their numbers by value: CVE-2026-9999 before CVE-2026-10000."""
    return tuple(sorted(advisories, key=lambda text: _NUMBER.sub(lambda m: m[0].zfill(9), text)))


def _unfixed(package: Package, findings: Sequence[Finding], reason: str, detail: str) -> Unfixed:
    return Unfixed(
        package.name,
        package.architecture,
        package.version,
        in_order({f.advisory for f in findings}),
        reason,  # type: ignore[arg-type]
        detail,
        _severity(findings),
    )


def _severity(findings: Sequence[Finding]) -> str:
    return str(max((f.severity for f in findings), default="unknown"))


def _without_fix(
    package: Package, candidate: Candidate | None, findings: Sequence[Finding]
) -> list[Unfixed]:
    if candidate is not None:
        return []
    open_ones = [f for f in findings if f.fixed is None]
    promised = [f for f in findings if f.fixed is not None and not _has(package, f.fixed)]
    found = []
    if open_ones:
        statuses = ", ".join(sorted({f.status for f in open_ones}))
        found.append(_unfixed(package, open_ones, "no-fix-yet", f"no fix yet ({statuses})"))
    for finding in promised:
        detail = (
            f"{finding.scanner} names {finding.fixed}, and the image's archive offers nothing "
            f"newer than {package.version}: the archive lags, or the sources lack its suite"
        )
        found.append(_unfixed(package, [finding], "not-in-archive", detail))
    return found


def _has(package: Package, fixed: str) -> bool:
    return compare_versions(package.source_version, fixed) >= 0


def _lagging(package: Package, chosen: Candidate, findings: Sequence[Finding]) -> list[Unfixed]:
    """What the report promises a version for that is newer than the archive's."""
    found = []
    for finding in findings:
        if finding.fixed and compare_versions(chosen.source_version, finding.fixed) < 0:
            detail = (
                f"{finding.scanner} names {finding.fixed}, {chosen.repository} has "
                f"{chosen.source_version}: the archive lags"
            )
            found.append(_unfixed(package, [finding], "not-in-archive", detail))
    open_ones = [f for f in findings if f.fixed is None]
    if open_ones:
        found.append(_unfixed(package, open_ones, "no-fix-yet", "no fix yet"))
    return found


def _not_installed(findings: Sequence[Finding], installed: Sequence[Package]) -> list[Unfixed]:
    names = {package.name for package in installed}
    missing = {f.package: f for f in findings if f.ecosystem == "deb" and f.package not in names}
    return [
        Unfixed(
            name,
            f.architecture or "",
            f.installed,
            (f.advisory,),
            "not-installed",
            f"{f.scanner} reports it, and the image does not have it: is the report of this image?",
            str(f.severity),
        )
        for name, f in sorted(missing.items())
    ]


def _of_others(selection: Selection) -> list[Unfixed]:
    """What a report lists that no distribution package brings: one entry for each package."""
    by_package: dict[tuple[str, str], list[Finding]] = {}
    for f in selection.findings or ():
        if f.ecosystem != "deb" and selection.wants(f.package):
            by_package.setdefault((f.ecosystem, f.package), []).append(f)
    return [
        Unfixed(
            name,
            "",
            group[0].installed,
            in_order({f.advisory for f in group}),
            "other-ecosystem",
            f"{group[0].scanner} reports it ({ecosystem}); oakum fixes packages of dpkg so far",
            _severity(group),
        )
        for (ecosystem, name), group in sorted(by_package.items())
        if not selection.ignored(name, tuple(f.advisory for f in group))
    ]


def _fix(
    item: _Pending,
    advisories: dict[tuple[str, str], tuple[str, ...]],
    content: Content,
    origins: Origins,
) -> Fix:
    package, candidate = item.package, item.candidate
    created_by, line = origins.of(package.layer)
    closed = set(advisories.get((package.name, package.architecture), ()))
    for finding in item.findings:
        if finding.fixed and compare_versions(candidate.source_version, finding.fixed) >= 0:
            closed.add(finding.advisory)
    return Fix(
        package.name,
        package.architecture,
        package.version,
        candidate.version,
        in_order(closed),
        _severity(item.findings),
        candidate.security,
        candidate.repository,
        candidate.source,
        candidate.source_version,
        content.layers[package.layer].diff_id if package.layer >= 0 else None,
        created_by,
        line,
        origins.stage,
    )


def advisories_of(
    repository: AptRepository, pending: Sequence[tuple[Package, Candidate]]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """CVE numbers that each package's new version closes, out of its changelog."""
    sources = {(c.source, c.source_version): c for _, c in pending}

    def read(candidate: Candidate) -> str | None:
        try:
            return repository.changelog(candidate)
        except RepositoryError:
            return None

    with ThreadPoolExecutor(_READERS) as pool:
        texts = dict(zip(sources, pool.map(read, sources.values()), strict=True))
    found = {}
    for package, candidate in pending:
        text = texts.get((candidate.source, candidate.source_version))
        if text:
            found[package.name, package.architecture] = closed_cves(
                text, package.source_version, candidate.source_version
            )
    return found
