"""Descriptors, manifests, indexes and configs, as values that keep the bytes they came from.

A digest is always computed over raw bytes.  Fields that these classes do not name survive: they
stay in the raw bytes and in the `document` that a change starts from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from oakum.errors import InvalidImage
from oakum.oci import media
from oakum.oci.digest import Digest, digest_of, parse_digest
from oakum.oci.platform import Platform

MAX_DOCUMENT = 8 * 1024 * 1024
"""Largest manifest, index or config that is read, in bytes (registries refuse above 4 MiB)."""
MAX_DEPTH = 100
"""Most arrays and objects within each other in a document."""
MAX_LAYERS = 1000
"""Most layers or manifests in one document."""


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Where bytes can be found and what they are (OCI image spec, "Descriptor")."""

    media_type: str
    """Media type of the bytes."""
    digest: Digest
    """Digest of the bytes."""
    size: int
    """Size in bytes."""
    annotations: dict[str, str] | None = None
    """Free key-value pairs."""
    platform: Platform | None = None
    """What it runs on; in an index only."""
    artifact_type: str | None = None
    """Type of an artifact that a manifest holds."""
    urls: tuple[str, ...] | None = None
    """Other places of the bytes."""

    def to_document(self) -> dict[str, Any]:
        """As JSON has it."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        if self.platform is not None:
            made["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                made["platform"]["variant"] = self.platform.variant
        return made


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an image's history (OCI image config, "history")."""

    created: str | None = None
    """RFC 3339 time."""
    created_by: str | None = None
    """The command that made the layer."""
    comment: str | None = None
    """Free text."""
    empty_layer: bool = False
    """Whether the line made no layer."""
    author: str | None = None
    """Who made it."""


def load_json(raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `raw`; `InvalidImage` if it is too large, too deep or no object."""
    if len(raw) > MAX_DOCUMENT:
        raise InvalidImage(
            f"{what} has {len(raw)} bytes, more than the {MAX_DOCUMENT} that are read",
            "no image needs such a document; the source is broken or hostile",
        )
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidImage(
            f"{what} is not JSON: {str(error)[:120]}", "the source is damaged or is no image"
        ) from error
    if not isinstance(document, dict):
        raise InvalidImage(f"{what} is not a JSON object", "the source is damaged or is no image")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _is_deep(document):
        raise InvalidImage(
            f"{what} is nested more than {MAX_DEPTH} deep",
            "no image needs such a document; the source is broken or hostile",
        )
    return document


def _is_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def _descriptor(value: object, what: str) -> Descriptor:
    if not isinstance(value, dict):
        raise InvalidImage(f"{what} is not a descriptor", "the manifest is damaged")
    digest = parse_digest(value.get("digest"))
    size = value.get("size")
    kind = value.get("mediaType", "")
    if type(size) is not int or not 0 <= size < 1 << 63 or not isinstance(kind, str):
        raise InvalidImage(f"{what} {digest} has no valid size or type", "the manifest is damaged")
    annotations = value.get("annotations") or None
    if annotations is not None and not _is_text_map(annotations):
        raise InvalidImage(f"{what} {digest} has invalid annotations", "the manifest is damaged")
    artifact = value.get("artifactType")
    urls = value.get("urls") or None
    if urls is not None and not (isinstance(urls, list) and all(isinstance(u, str) for u in urls)):
        raise InvalidImage(f"{what} {digest} has invalid urls", "the manifest is damaged")
    return Descriptor(
        kind,
        digest,
        size,
        annotations,
        _platform(value.get("platform")),
        artifact if isinstance(artifact, str) else None,
        tuple(urls) if urls else None,
    )


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _platform(value: object) -> Platform | None:
    if not isinstance(value, dict):
        return None
    os, architecture, variant = (value.get(k) for k in ("os", "architecture", "variant"))
    if not isinstance(os, str) or not isinstance(architecture, str):
        return None
    return Platform(architecture, os, variant if isinstance(variant, str) and variant else None)


def _list(document: dict[str, Any], key: str, what: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        value = []
    if not isinstance(value, list) or len(value) > MAX_LAYERS:
        raise InvalidImage(f"{what}: {key} is not a list of at most {MAX_LAYERS}", "damaged image")
    return value


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document that oakum makes: compact, keys in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class Manifest(msgspec.Struct, frozen=True):
    """An image manifest for one platform."""

    raw: bytes
    """The bytes that its digest is of."""
    media_type: str
    """OCI's or Docker's manifest type."""
    config: Descriptor
    """The config blob."""
    layers: tuple[Descriptor, ...]
    """Layer blobs, the lowest first."""
    annotations: dict[str, str]
    """Free key-value pairs."""
    subject: Descriptor | None = None
    """The manifest that this one speaks of (referrers)."""
    artifact_type: str | None = None
    """Set when the manifest holds an artifact rather than an image."""

    @property
    def layer_bytes(self) -> int:
        """Bytes of all layer blobs, as they are stored and sent."""
        return sum(layer.size for layer in self.layers)

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None) -> Self:
        """Parse `raw`; `InvalidImage` if it is not a v2 schema 2 or OCI manifest."""
        document = load_json(raw, "the manifest")
        kind = document.get("mediaType") or media_type or media.OCI_MANIFEST
        if document.get("schemaVersion") != 2 or kind not in media.MANIFESTS:
            raise InvalidImage(
                f"not an image manifest: type {str(kind)[:100]!r}, schema version "
                f"{str(document.get('schemaVersion'))[:20]}",
                "oakum reads OCI manifests and Docker's schema 2; push the image again with a "
                "current client",
            )
        layers = _list(document, "layers", "the manifest")
        annotations = document.get("annotations") or {}
        if not _is_text_map(annotations):
            raise InvalidImage("the manifest has invalid annotations", "the manifest is damaged")
        subject = document.get("subject")
        artifact = document.get("artifactType")
        return cls(
            raw,
            kind,
            _descriptor(document.get("config"), "the config"),
            tuple(_descriptor(layer, "the layer") for layer in layers),
            annotations,
            _descriptor(subject, "the subject") if subject is not None else None,
            artifact if isinstance(artifact, str) else None,
        )

    @classmethod
    def make(
        cls,
        config: Descriptor,
        layers: tuple[Descriptor, ...],
        annotations: Mapping[str, str] | None = None,
        *,
        subject: Descriptor | None = None,
        artifact_type: str | None = None,
    ) -> Self:
        """A new OCI manifest, or Docker's when the config is Docker's."""
        docker = config.media_type == media.DOCKER_CONFIG
        kind = media.DOCKER_MANIFEST if docker else media.OCI_MANIFEST
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": kind}
        if artifact_type:
            document["artifactType"] = artifact_type
        document["config"] = config.to_document()
        document["layers"] = [layer.to_document() for layer in layers]
        if subject:
            document["subject"] = subject.to_document()
        if annotations:
            document["annotations"] = dict(sorted(annotations.items()))
        return cls.parse(encode(document))

    @property
    def digest(self) -> Digest:
        """Digest of the raw bytes."""
        return digest_of(self.raw)

    def descriptor(self, platform: Platform | None = None) -> Descriptor:
        """The descriptor under which an index lists this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw), platform=platform)


class Index(msgspec.Struct, frozen=True):
    """An image index (Docker: manifest list): one manifest a platform."""

    raw: bytes
    """The bytes that its digest is of."""
    media_type: str
    """OCI's or Docker's type."""
    manifests: tuple[Descriptor, ...]
    """What it lists."""
    annotations: dict[str, str]
    """Free key-value pairs."""

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None) -> Self:
        """Parse `raw`; `InvalidImage` if it is not an index."""
        document = load_json(raw, "the index")
        kind = document.get("mediaType") or media_type or media.OCI_INDEX
        if document.get("schemaVersion") != 2 or kind not in media.INDEXES:
            raise InvalidImage(
                f"not an image index: type {str(kind)[:100]!r}", "the source is damaged"
            )
        listed = _list(document, "manifests", "the index")
        annotations = document.get("annotations") or {}
        if not _is_text_map(annotations):
            raise InvalidImage("the index has invalid annotations", "the index is damaged")
        return cls(raw, kind, tuple(_descriptor(m, "the manifest") for m in listed), annotations)

    @classmethod
    def make(
        cls, manifests: tuple[Descriptor, ...], annotations: Mapping[str, str] | None = None
    ) -> Self:
        """A new OCI index."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media.OCI_INDEX,
            "manifests": [manifest.to_document() for manifest in manifests],
        }
        if annotations:
            document["annotations"] = dict(sorted(annotations.items()))
        return cls.parse(encode(document))

    @property
    def digest(self) -> Digest:
        """Digest of the raw bytes."""
        return digest_of(self.raw)


class Config(msgspec.Struct, frozen=True):
    """An image config: platform, defaults for a container, history, diff IDs."""

    raw: bytes
    """The bytes that its digest is of."""
    platform: Platform
    """What the image runs on."""
    diff_ids: tuple[Digest, ...]
    """Digests of the uncompressed layers, the lowest first."""
    history: tuple[History, ...]
    """One line an instruction; those without a layer are marked."""
    created: str | None
    """RFC 3339 time."""
    runtime: dict[str, Any]
    """The ``config`` object: Env, Cmd, Entrypoint, Labels …"""
    document: dict[str, Any]
    """The whole parsed document; a change starts from a copy of it."""

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Parse `raw`; `InvalidImage` if it is not an image config."""
        document = load_json(raw, "the image config")
        rootfs = document.get("rootfs")
        if not isinstance(rootfs, dict):
            raise InvalidImage(
                "the image config has no rootfs", "this is an artifact rather than an image"
            )
        runtime = document.get("config") or {}
        if not isinstance(runtime, dict):
            raise InvalidImage("the image config's config is no object", "the image is damaged")
        history = _list(document, "history", "the image config")
        created = document.get("created")
        try:
            lines = tuple(msgspec.convert(line, History) for line in history)
        except msgspec.ValidationError as error:
            raise InvalidImage(
                f"the image config's history is invalid: {error}", "damaged image"
            ) from error
        return cls(
            raw,
            _platform(document) or Platform("unknown", "unknown"),
            tuple(parse_digest(d) for d in _list(rootfs, "diff_ids", "the image config")),
            lines,
            created if isinstance(created, str) else None,
            runtime,
            document,
        )

    @classmethod
    def make(cls, document: Mapping[str, Any]) -> Self:
        """A config of a new document."""
        return cls.parse(encode(document))

    @property
    def digest(self) -> Digest:
        """Digest of the raw bytes (Docker's "image ID")."""
        return digest_of(self.raw)

    def created_by(self) -> tuple[str, ...]:
        """For each layer, the history line that made it; empty where history does not tell."""
        lines = [line.created_by or "" for line in self.history if not line.empty_layer]
        padding = [""] * (len(self.diff_ids) - len(lines))
        return tuple((lines + padding)[: len(self.diff_ids)])


def chain_ids(diff_ids: tuple[Digest, ...]) -> tuple[Digest, ...]:
    """The chain ID of every prefix of the stack (OCI image spec, "Layer ChainID")."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
