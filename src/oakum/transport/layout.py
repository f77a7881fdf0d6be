"""The OCI image layout's own rules: its index, its names, its paths (OCI image-layout spec)."""

from __future__ import annotations

import json
from typing import Any

from oakum.errors import InvalidImage, NotFound
from oakum.oci import Descriptor, Digest, Index, Reference
from oakum.oci.image import encode, load_json
from oakum.oci.media import OCI_INDEX

MARKER = b'{"imageLayoutVersion": "1.0.0"}'
NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


def blob_name(digest: Digest) -> str:
    """The path of a blob within a layout."""
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def choose_root(raw: bytes, name: str | None, where: str) -> Descriptor:
    """The image of that name in a layout's ``index.json``; its only one without a name."""
    index = Index.parse(raw, OCI_INDEX)
    if name is None:
        if len(index.manifests) == 1:
            return _plain(index.manifests[0])
        raise NotFound(
            f"{where} holds {len(index.manifests)} images", f"name one of: {_names(index)}"
        )
    for descriptor in index.manifests:
        if name in _names_of(descriptor):
            return _plain(descriptor)
    raise NotFound(f"{where} has no image {name!r}", f"it has: {_names(index)}")


def _names_of(descriptor: Descriptor) -> set[str]:
    notes = descriptor.annotations or {}
    named = {notes.get(NAME, ""), notes.get(CONTAINERD_NAME, ""), descriptor.digest}
    return named - {""}


def _names(index: Index) -> str:
    known = [(d.annotations or {}).get(NAME) or d.digest for d in index.manifests]
    return ", ".join(known[:20]) or "nothing"


def _plain(descriptor: Descriptor) -> Descriptor:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)


def with_image(raw: bytes | None, root: Descriptor, name: str | None, full: str | None) -> bytes:
    """An ``index.json`` that has the image under its name, and every other image as it was."""
    document: dict[str, Any] = load_json(raw, "index.json") if raw else {"schemaVersion": 2}
    listed = document.get("manifests") or []
    if not isinstance(listed, list):
        raise InvalidImage("index.json has no list of manifests", "the layout is damaged")
    kept = [one for one in listed if not _replaced(one, root, name)]
    made = root.to_document()
    notes = {NAME: name} if name else {}
    if full:
        notes[CONTAINERD_NAME] = full
    if notes:
        made["annotations"] = notes
    document["mediaType"] = document.get("mediaType", OCI_INDEX)
    document["manifests"] = [*kept, made]
    return encode(document)


def _replaced(listed: object, root: Descriptor, name: str | None) -> bool:
    if not isinstance(listed, dict):
        return True
    notes = listed.get("annotations")
    known = notes.get(NAME) if isinstance(notes, dict) else None
    return known == name if name else known is None and listed.get("digest") == root.digest


def docker_manifest(
    config: Descriptor, layers: tuple[Descriptor, ...], reference: Reference | None
) -> bytes:
    """``manifest.json``, by which ``docker load`` of any age finds the image in the same tar."""
    entry = {
        "Config": blob_name(config.digest),
        "RepoTags": [reference.familiar] if reference is not None and reference.tag else None,
        "Layers": [blob_name(layer.digest) for layer in layers],
    }
    return json.dumps([entry]).encode()
