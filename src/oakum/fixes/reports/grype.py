"""Grype's JSON: ``vulnerability.fix`` since 0.13 (2021), ``vulnerability.fixedInVersion`` before.

Sources: Grype's ``grype/presenter/models`` and, before 0.10, ``grype/presenter/json``.
"""

from __future__ import annotations

import msgspec

from oakum.fixes.reports import names
from oakum.fixes.reports.checked import Match, checked
from oakum.fixes.reports.document import Natural, decode
from oakum.fixes.reports.interface import Finding, Report, Unusable
from oakum.fixes.reports.names import plain

_ECOSYSTEMS = {
    "python": "pypi",
    "go-module": "golang",
    "java-archive": "maven",
    "jenkins-plugin": "maven",
    "rust-crate": "cargo",
    "dotnet": "nuget",
    "php-composer": "composer",
    "php-pecl": "pecl",
    "dart-pub": "pub",
    "gem": "gem",
    "npm": "npm",
    "deb": "deb",
    "rpm": "rpm",
    "apk": "apk",
}
_STATUSES = {"fixed": "fixed", "not-fixed": "affected", "wont-fix": "will_not_fix"}


class _Fix(msgspec.Struct):
    versions: list[str] | None = None
    state: str | None = None


class _Identified(msgspec.Struct):
    id: str | None = None


class _Vulnerability(msgspec.Struct, rename="camel"):
    id: str
    severity: str | None = None
    description: str | None = None
    data_source: str | None = None
    fix: _Fix | None = None
    fixed_in_version: str | None = None
    advisories: list[_Identified] | None = None


class _Location(msgspec.Struct):
    layer: str | None = msgspec.field(name="layerID", default=None)


class _Upstream(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _Artifact(msgspec.Struct):
    name: str
    version: str | None = None
    type: str | None = None
    purl: str | None = None
    locations: list[_Location] | None = None
    upstreams: list[_Upstream] | None = None
    metadata: msgspec.Raw = msgspec.Raw()


class _Match(msgspec.Struct, rename="camel"):
    vulnerability: _Vulnerability
    artifact: _Artifact
    related_vulnerabilities: list[_Identified] | None = None


class _Source(msgspec.Struct):
    type: str | None = None
    target: msgspec.Raw = msgspec.Raw()


class _Target(msgspec.Struct, rename="camel"):
    user_input: str | None = None
    image_id: str | None = msgspec.field(name="imageID", default=None)
    manifest_digest: str | None = None
    repo_digests: list[str] | None = None
    tags: list[str] | None = None
    digest: str | None = None


class _Distribution(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _Descriptor(msgspec.Struct):
    version: str | None = None
    timestamp: str | None = None


class _Document(msgspec.Struct):
    matches: list[_Match] | None
    source: _Source | None = None
    image: _Target | None = None
    distro: _Distribution | None = None
    descriptor: _Descriptor | None = None


class _Metadata(msgspec.Struct):
    """The fields of a deb's or rpm's metadata that say more than the purl of old versions."""

    architecture: str | None = None
    epoch: Natural | None = None
    source: str | None = None
    source_version: str | None = msgspec.field(name="sourceVersion", default=None)


def read_grype(raw: bytes, name: str) -> Report:
    """The report of Grype 0.1 or newer."""
    document = decode(raw, _Document, name)
    matches = document.matches or []
    made = [checked(_match(one, f"$.matches[{place}]")) for place, one in enumerate(matches)]
    target = _target(document, name)
    descriptor = document.descriptor or _Descriptor()
    distro = document.distro or _Distribution()
    digests = [*(target.repo_digests or ()), target.manifest_digest, target.digest, target.image_id]
    image = target.user_input or (target.tags[0] if target.tags else "")
    return Report(
        name=plain(name),
        scanner="grype",
        scanner_version=plain(descriptor.version or "", 60) or None,
        schema=_schema(document),
        image=plain(image) or None,
        image_digests=tuple(
            dict.fromkeys(found for text in digests if (found := names.digest(text or "")))
        ),
        distribution=(plain(distro.name, 60), plain(distro.version or "", 60))
        if distro.name
        else None,
        created=plain(descriptor.timestamp or "", 60) or None,
        findings=tuple(one for one in made if isinstance(one, Finding)),
        unusable=tuple(one for one in made if isinstance(one, Unusable)),
    )


def _schema(document: _Document) -> str:
    matches = document.matches or []
    if document.image is not None or (
        matches and all(one.vulnerability.fix is None for one in matches)
    ):
        return "fixedInVersion"
    return "fix"


def _target(document: _Document, name: str) -> _Target:
    """What was scanned: until 0.2 ``image``, then ``source.target``, an object for images only."""
    if document.image is not None:
        return document.image
    source = document.source
    if source is None or source.type != "image" or not bytes(source.target):
        return _Target()
    return decode(source.target, _Target, f"{name} at $.source.target")


def _match(match: _Match, path: str) -> Match:
    flaw, artifact = match.vulnerability, match.artifact
    kind = (artifact.type or "").lower()
    fix = flaw.fix or _Fix()
    upstream = artifact.upstreams[0] if artifact.upstreams else _Upstream()
    metadata = _metadata(artifact.metadata)
    related = [*(flaw.advisories or ()), *(match.related_vulnerabilities or ())]
    layers = (place.layer for place in artifact.locations or () if place.layer)
    return Match(
        path=path,
        package=artifact.name,
        ecosystem=_ECOSYSTEMS.get(kind, kind),
        installed=artifact.version or "",
        fixes=[*(fix.versions or ()), flaw.fixed_in_version or ""],
        advisory=flaw.id,
        aliases=[one.id for one in related if one.id],
        severity=flaw.severity or "",
        architecture=metadata.architecture or "",
        source=upstream.name or metadata.source or "",
        source_version=upstream.version or metadata.source_version or "",
        epoch=str(metadata.epoch or ""),
        purl=artifact.purl or "",
        layer=next(layers, ""),
        title=(flaw.description or "")[:400],
        url=flaw.data_source or "",
        scanner="grype",
        status=_STATUSES.get(fix.state or "", "fixed" if flaw.fixed_in_version else "unknown"),
    )


def _metadata(raw: msgspec.Raw) -> _Metadata:
    """Each kind of package has metadata of its own; what has another shape tells nothing."""
    if not bytes(raw).startswith(b"{"):
        return _Metadata()
    try:
        return msgspec.json.decode(raw, type=_Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Metadata()
