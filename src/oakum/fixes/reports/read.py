"""Reading a report of whichever scanner wrote it, and bringing several together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from oakum.errors import ReportError
from oakum.fixes.reports.document import AGAIN, decode, text_of
from oakum.fixes.reports.grype import read_grype
from oakum.fixes.reports.interface import Finding, Report
from oakum.fixes.reports.names import plain
from oakum.fixes.reports.trivy import read_trivy, read_trivy_list
from oakum.fixes.reports.versions import highest

_ABSENT = msgspec.Raw()
_STATUS_ORDER = (
    "fixed",
    "end_of_life",
    "will_not_fix",
    "fix_deferred",
    "affected",
    "unknown",
)


class _Probe(msgspec.Struct):
    """Top-level names by which a document is known."""

    bom: msgspec.Raw = msgspec.field(name="bomFormat", default=_ABSENT)
    spdx: msgspec.Raw = msgspec.field(name="spdxVersion", default=_ABSENT)
    runs: msgspec.Raw = _ABSENT
    cluster: msgspec.Raw = msgspec.field(name="ClusterName", default=_ABSENT)
    predicate: msgspec.Raw = msgspec.field(name="predicateType", default=_ABSENT)
    artifacts: msgspec.Raw = _ABSENT
    manifests: msgspec.Raw = _ABSENT
    vulnerabilities: msgspec.Raw = _ABSENT
    matches: msgspec.Raw = _ABSENT
    results: msgspec.Raw = msgspec.field(name="Results", default=_ABSENT)
    schema_version: msgspec.Raw = msgspec.field(name="SchemaVersion", default=_ABSENT)


_OTHERS = {
    "bom": "a CycloneDX document (a list of components, or findings without fixed versions)",
    "spdx": "an SPDX document: a list of packages, not a scanner's report",
    "runs": "a SARIF log, which has no versions to go to",
    "cluster": "a report of 'trivy k8s', on a whole cluster and not on one image",
    "predicate": "an attestation; a report may be inside it",
    "artifacts": "a list of packages from syft, not a scanner's report",
    "manifests": "a dependency snapshot for GitHub, not a scanner's report",
    "vulnerabilities": "a report in a format that oakum does not read",
}


def read_report(raw: bytes, name: str) -> Report:
    """The report in `raw`, of Trivy or Grype; `name` is what errors call it.

    `ReportError` for everything else, with the path in the document where its shape is wrong.
    """
    raw = text_of(raw, name)
    first = raw.lstrip()[:1]
    if first == b"[":
        return read_trivy_list(raw, name)
    if first != b"{":
        raise ReportError(
            f"{plain(name)} is not a JSON report of Trivy or Grype",
            f"it may be a table, or what an older Trivy prints when it finds nothing; {AGAIN}",
        )
    probe = decode(raw, _Probe, name)
    if _has(probe.matches):
        return read_grype(raw, name)
    for field, what in _OTHERS.items():
        if _has(getattr(probe, field)):
            raise ReportError(f"{plain(name)} is {what}", AGAIN)
    if _has(probe.schema_version) or _has(probe.results):
        return read_trivy(raw, name)
    raise ReportError(f"{plain(name)} is JSON, but not a report of Trivy or Grype", AGAIN)


def _has(raw: msgspec.Raw) -> bool:
    return len(memoryview(raw)) > 0


def merge(reports: Sequence[Report]) -> tuple[Finding, ...]:
    """Every finding once, sorted by package and advisory, whatever the order of the reports.

    What several scanners say of one advisory and one installed package becomes one finding: all
    scanners named, the higher severity, and the higher fixed version, which satisfies them all.
    A GHSA or DSA that has exactly one CVE among its aliases counts as that CVE.  A finding without
    an architecture joins those that have one.
    """
    groups: dict[tuple[str, str, str, str], list[Finding]] = defaultdict(list)
    for finding in (finding for report in reports for finding in report.findings):
        advisory = _advisory(finding)
        version = finding.installed.removeprefix("0:")
        groups[finding.ecosystem, _package(finding), version, advisory].append(finding)
    merged: list[Finding] = []
    for (_, _, _, advisory), group in groups.items():
        everywhere = [one for one in group if one.architecture is None]
        architectures = {one.architecture for one in group} - {None}
        for architecture in architectures or {None}:
            here = [one for one in group if one.architecture == architecture]
            merged.append(_one(advisory, here + (everywhere if architectures else [])))
    return tuple(sorted(merged, key=_order))


def _package(finding: Finding) -> str:
    """PyPI's names differ in case and in ``-_.`` only for the eye (PEP 503)."""
    if finding.ecosystem == "pypi":
        return re.sub(r"[-_.]+", "-", finding.package).lower()
    return finding.package


def _advisory(finding: Finding) -> str:
    if finding.advisory.startswith("CVE-"):
        return finding.advisory
    cves = [name for name in finding.aliases if name.startswith("CVE-")]
    return cves[0] if len(cves) == 1 else finding.advisory


def _order(finding: Finding) -> tuple[str, str, str, str, str]:
    architecture = finding.architecture or ""
    return (
        finding.package,
        finding.ecosystem,
        architecture,
        finding.installed,
        finding.advisory,
    )


def _one(advisory: str, group: list[Finding]) -> Finding:
    group = sorted(group, key=msgspec.json.encode)
    first = group[0]
    spoken = {name for one in group for name in (one.advisory, *one.aliases)}
    scanners = {name for one in group for name in one.scanner.split(", ")}
    fixed = highest((one.fixed for one in group if one.fixed), first.ecosystem)
    statuses = {one.status for one in group} - (set() if fixed else {"fixed"})
    source = next((one for one in group if one.source_version), None) or next(
        (one for one in group if one.source), first
    )
    return msgspec.structs.replace(
        first,
        fixed=fixed,
        advisory=advisory,
        aliases=tuple(sorted(spoken - {advisory})),
        severity=max(one.severity for one in group),
        architecture=next((one.architecture for one in group if one.architecture), None),
        source=source.source,
        source_version=source.source_version,
        layer=next((one.layer for one in reversed(group) if one.layer), None),
        title=next((one.title for one in reversed(group) if one.title), ""),
        url=next((one.url for one in reversed(group) if one.url), None),
        scanner=", ".join(sorted(scanners)),
        status=next((word for word in _STATUS_ORDER if word in statuses), "unknown"),
    )
