"""Trivy's JSON: SchemaVersion 2 (since 0.19.0, 2021) and the plain list of results before it.

Sources: Trivy's ``pkg/types/report.go``, ``pkg/types/vulnerability.go`` and
``pkg/fanal/types/package.go``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from oakum.errors import ReportError
from oakum.fixes.reports import names
from oakum.fixes.reports.checked import Match, checked
from oakum.fixes.reports.document import AGAIN, Natural, decode
from oakum.fixes.reports.interface import Finding, Report, Unusable
from oakum.fixes.reports.names import plain

_SYSTEMS = {
    "debian": "deb",
    "ubuntu": "deb",
    "echo": "deb",
    "alpine": "apk",
    "wolfi": "apk",
    "chainguard": "apk",
    "minimos": "apk",
    "alma": "rpm",
    "amazon": "rpm",
    "azurelinux": "rpm",
    "cbl-mariner": "rpm",
    "centos": "rpm",
    "centos-stream": "rpm",
    "fedora": "rpm",
    "opensuse": "rpm",
    "opensuse-leap": "rpm",
    "opensuse-tumbleweed": "rpm",
    "opensuse.leap": "rpm",
    "oracle": "rpm",
    "photon": "rpm",
    "redhat": "rpm",
    "rocky": "rpm",
    "slem": "rpm",
    "sles": "rpm",
    "suse linux enterprise server": "rpm",
}
_LANGUAGES = {
    "pip": "pypi",
    "pipenv": "pypi",
    "poetry": "pypi",
    "uv": "pypi",
    "pylock": "pypi",
    "python-pkg": "pypi",
    "conda-pkg": "conda",
    "conda-environment": "conda",
    "npm": "npm",
    "yarn": "npm",
    "pnpm": "npm",
    "bun": "npm",
    "node-pkg": "npm",
    "javascript": "npm",
    "bundler": "gem",
    "gemspec": "gem",
    "gobinary": "golang",
    "gomod": "golang",
    "cargo": "cargo",
    "rustbinary": "cargo",
    "jar": "maven",
    "pom": "maven",
    "gradle": "maven",
    "sbt": "maven",
    "nuget": "nuget",
    "dotnet-core": "nuget",
    "packages-props": "nuget",
    "composer": "composer",
    "composer-vendor": "composer",
}
_NOT_AFFECTED = "not_affected"
_TARGET = re.compile(r"(?P<image>.+) \((?P<family>[a-z][a-z .-]*) (?P<version>[^\s()]+)\)")


class _Identifier(msgspec.Struct):
    purl: str | None = msgspec.field(name="PURL", default=None)
    uid: str | None = msgspec.field(name="UID", default=None)


class _Layer(msgspec.Struct):
    digest: str | None = msgspec.field(name="Digest", default=None)
    diff_id: str | None = msgspec.field(name="DiffID", default=None)


class _Package(msgspec.Struct, rename="pascal"):
    id: str | None = msgspec.field(name="ID", default=None)
    name: str | None = None
    identifier: _Identifier | None = None
    arch: str | None = None
    src_name: str | None = None
    src_version: str | None = None
    src_release: str | None = None
    src_epoch: Natural | None = None

    def source_version(self) -> str:
        version = self.src_version or ""
        if version and self.src_release:
            version = f"{version}-{self.src_release}"
        return f"{self.src_epoch}:{version}" if version and self.src_epoch else version


class _Vulnerability(msgspec.Struct, rename="pascal"):
    vulnerability_id: str = msgspec.field(name="VulnerabilityID")
    pkg_name: str
    vendor_ids: list[str] | None = msgspec.field(name="VendorIDs", default=None)
    pkg_id: str | None = msgspec.field(name="PkgID", default=None)
    pkg_identifier: _Identifier | None = None
    installed_version: str | None = None
    fixed_version: str | None = None
    status: str | None = None
    layer: _Layer | None = None
    primary_url: str | None = msgspec.field(name="PrimaryURL", default=None)
    title: str | None = None
    severity: str | None = None


class _Result(msgspec.Struct, rename="pascal"):
    target: str | None = None
    type: str | None = None
    packages: list[_Package] | None = None
    vulnerabilities: list[_Vulnerability] | None = None


class _System(msgspec.Struct, rename="pascal"):
    family: str | None = None
    name: str | None = None


class _Metadata(msgspec.Struct):
    os: _System | None = msgspec.field(name="OS", default=None)
    image_id: str | None = msgspec.field(name="ImageID", default=None)
    repo_digests: list[str] | None = msgspec.field(name="RepoDigests", default=None)


class _Trivy(msgspec.Struct, rename="pascal"):
    version: str | None = None


class _Document(msgspec.Struct, rename="pascal"):
    schema_version: Natural
    trivy: _Trivy | None = None
    created_at: str | None = None
    artifact_name: str | None = None
    artifact_type: str | None = None
    metadata: _Metadata | None = None
    results: list[_Result] | None = None


def read_trivy(raw: bytes, name: str) -> Report:
    """The report of Trivy 0.19 or newer."""
    document = decode(raw, _Document, name)
    if document.schema_version != 2:
        raise ReportError(
            f"{plain(name)}: $.SchemaVersion: Trivy's schema version 2 is known, this is "
            f"{document.schema_version}",
            "upgrade oakum, or convert the report with a Trivy of schema version 2",
        )
    metadata = document.metadata or _Metadata()
    system = metadata.os or _System()
    is_image = document.artifact_type in (None, "", "container_image", "image")
    digests = [*(metadata.repo_digests or ()), metadata.image_id or ""]
    findings, unusable = _findings(document.results or [], "$.Results")
    return Report(
        name=plain(name),
        scanner="trivy",
        scanner_version=plain((document.trivy and document.trivy.version) or "", 60) or None,
        schema="2",
        image=(plain(document.artifact_name or "") or None) if is_image else None,
        image_digests=tuple(dict.fromkeys(filter(None, map(names.digest, digests)))),
        distribution=_distribution(system.family or "", system.name or ""),
        created=plain(document.created_at or "", 60) or None,
        findings=findings,
        unusable=unusable,
    )


def read_trivy_list(raw: bytes, name: str) -> Report:
    """The report of a Trivy before 0.19 (or one without ``TRIVY_NEW_JSON_SCHEMA`` until 0.20)."""
    results = decode(raw, list[_Result], name)
    if not results or any(result.target is None for result in results):
        raise ReportError(
            f"{plain(name)} is a JSON list, but not one of Trivy's results",
            f"the scanner may have failed; {AGAIN}",
        )
    image, distribution = None, None
    for result in results:
        found = _TARGET.fullmatch((result.target or "")[:1000])
        if found and distribution is None:
            image = plain(found["image"])
            distribution = _distribution(found["family"], found["version"])
    findings, unusable = _findings(results, "$")
    return Report(
        name=plain(name),
        scanner="trivy",
        schema="1",
        image=image,
        distribution=distribution,
        findings=findings,
        unusable=unusable,
    )


def _distribution(family: str, version: str) -> tuple[str, str] | None:
    return (plain(family, 60), plain(version, 60)) if family else None


def _findings(
    results: list[_Result], path: str
) -> tuple[tuple[Finding, ...], tuple[Unusable, ...]]:
    made = [checked(match) for match in _matches(results, path)]
    return (
        tuple(one for one in made if isinstance(one, Finding)),
        tuple(one for one in made if isinstance(one, Unusable)),
    )


def _matches(results: list[_Result], path: str) -> Iterator[Match]:
    for place, result in enumerate(results):
        kind = (result.type or _type_of(result.target or "")).lower()
        ecosystem = _SYSTEMS.get(kind) or _LANGUAGES.get(kind) or kind
        packages = _index(result.packages or [])
        for number, found in enumerate(result.vulnerabilities or []):
            if found.status == _NOT_AFFECTED:
                continue
            where = f"{path}[{place}].Vulnerabilities[{number}]"
            yield _match(found, ecosystem, _package(found, packages), where)


def _type_of(target: str) -> str:
    """The family in ``image (debian 10.1)``: results had no Type before Trivy 0.5."""
    found = _TARGET.fullmatch(target[:1000])
    return found["family"] if found else ""


def _match(found: _Vulnerability, ecosystem: str, package: _Package, path: str) -> Match:
    layer = found.layer or _Layer()
    identifier = found.pkg_identifier or package.identifier or _Identifier()
    return Match(
        path=path,
        package=found.pkg_name,
        ecosystem=ecosystem,
        installed=found.installed_version or "",
        fixes=[found.fixed_version or ""],
        advisory=found.vulnerability_id,
        aliases=found.vendor_ids or (),
        severity=found.severity or "",
        architecture=package.arch or "",
        source=package.src_name or "",
        source_version=package.source_version(),
        purl=identifier.purl or "",
        layer=layer.diff_id or layer.digest or "",
        title=found.title or "",
        url=found.primary_url or "",
        scanner="trivy",
        status=found.status or ("fixed" if found.fixed_version else "affected"),
    )


def _index(packages: list[_Package]) -> dict[tuple[str, str], _Package | None]:
    """Packages by UID, ID and name; None where several share one."""
    index: dict[tuple[str, str], _Package | None] = {}
    for package in packages:
        uid = package.identifier.uid if package.identifier else None
        for key in (("uid", uid), ("id", package.id), ("name", package.name)):
            if key[1]:
                index[key[0], key[1]] = None if (key[0], key[1]) in index else package
    return index


def _package(found: _Vulnerability, packages: dict[tuple[str, str], _Package | None]) -> _Package:
    uid = found.pkg_identifier.uid if found.pkg_identifier else None
    for kind, value in (("uid", uid), ("id", found.pkg_id), ("name", found.pkg_name)):
        package = packages.get((kind, value or ""))
        if package is not None:
            return package
    return _Package()
