"""From what a scanner wrote about one match to a finding, or to why it cannot be one."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from oakum.fixes.reports import names
from oakum.fixes.reports.interface import STATUSES, Finding, Severity, Unusable
from oakum.fixes.reports.names import plain
from oakum.fixes.reports.purl import Purl
from oakum.fixes.reports.versions import listed, lowest_above

_EPOCH = re.compile(r"[1-9][0-9]{0,9}")


class Match(msgspec.Struct, kw_only=True):
    """What a scanner wrote, as it wrote it; empty text where it wrote nothing."""

    path: str
    """Where in the report."""
    package: str
    ecosystem: str
    installed: str
    fixes: Iterable[str]
    """Texts with a version or several each."""
    advisory: str
    aliases: Iterable[str] = ()
    severity: str = ""
    architecture: str = ""
    source: str = ""
    source_version: str = ""
    epoch: str = ""
    purl: str = ""
    """Completes architecture, source, epoch and ecosystem."""
    layer: str = ""
    title: str = ""
    url: str = ""
    scanner: str
    status: str = ""


def checked(match: Match) -> Finding | Unusable:
    """The finding, or what in it cannot be used; nothing unchecked gets into either."""
    purl = Purl.parse(match.purl)
    qualifiers = purl.qualifiers if purl else {}
    ecosystem = purl.type if purl else match.ecosystem
    ecosystem = ecosystem if names.is_ecosystem(ecosystem) else "unknown"
    installed = _with_epoch(match.installed, match.epoch or qualifiers.get("epoch", ""), ecosystem)
    source, source_version = _source(match, qualifiers.get("upstream", ""), ecosystem)
    package = match.package
    if ecosystem == "maven" and purl and purl.namespace and ":" not in package:
        package = f"{purl.namespace}:{package}"
    why = _flaw(match.advisory, package, ecosystem, installed)
    if why:
        return Unusable(match.path, why)
    fixes: list[str] = []
    for text in match.fixes:
        some = listed(text, ecosystem)
        if some is None:
            return Unusable(match.path, f"fixed version {_quoted(text)} is not a version")
        fixes.extend(some)
    fixed = lowest_above(source_version or installed, fixes, ecosystem)
    architecture = match.architecture or qualifiers.get("arch", "")
    aliases = {name for name in match.aliases if names.is_advisory(name)} - {match.advisory}
    return Finding(
        package=package,
        ecosystem=ecosystem,
        installed=installed,
        fixed=fixed,
        advisory=match.advisory,
        aliases=tuple(sorted(aliases)),
        severity=Severity.parse(match.severity),
        architecture=architecture if names.is_architecture(architecture) else None,
        source=source,
        source_version=source_version,
        layer=names.digest(match.layer),
        title=plain(match.title, 300),
        url=names.url(match.url),
        scanner=match.scanner,
        status=_status(match.status, fixed),
    )


def _quoted(text: str) -> str:
    return f"'{plain(text, 80)}'"


def _flaw(advisory: str, package: str, ecosystem: str, installed: str) -> str | None:
    if not names.is_advisory(advisory):
        return f"advisory {_quoted(advisory)} is not an advisory's identifier"
    if not names.is_package(package, ecosystem):
        return f"package {_quoted(package)} is not a {ecosystem} package's name"
    if not names.is_version(installed, ecosystem):
        return f"installed version {_quoted(installed)} of {package} is not a version"
    return None


def _with_epoch(version: str, epoch: str, ecosystem: str) -> str:
    if ecosystem in ("deb", "rpm") and ":" not in version and _EPOCH.fullmatch(epoch):
        return f"{epoch}:{version}"
    return version


def _source(match: Match, upstream: str, ecosystem: str) -> tuple[str | None, str | None]:
    """Source package and its version; `upstream` is syft's qualifier, ``name[@version]``."""
    name, version = match.source, match.source_version
    if not name:
        name, _, version = upstream.partition("@")
    if not names.is_package(name, ecosystem):
        return None, None
    return name, version if names.is_version(version, ecosystem) else None


def _status(word: str, fixed: str | None) -> str:
    if word == "fixed" and fixed is None:
        return "unknown"
    if word in STATUSES and not (word == "unknown" and fixed):
        return word
    return "fixed" if fixed else "unknown"
