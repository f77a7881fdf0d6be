"""Bringing an image into the store: documents first, then layers, its name last."""

from __future__ import annotations

from typing import Literal

import msgspec

from oakum.errors import InvalidImage, NotFound
from oakum.oci import Config, Descriptor, Index, Manifest, Platform, Reference, choose
from oakum.oci.media import INDEXES
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport.interface import ImageSource
from oakum.transport.layers import Consumer, ensure_layers
from oakum.transport.options import RegistryOptions


class Pulled(msgspec.Struct, frozen=True):
    """An image that is in the store."""

    descriptor: Descriptor
    """What the name stands for: a manifest or an index."""
    manifest: Manifest | None
    """The manifest for the platform that was asked for; None when all were taken."""
    config: Config | None
    """Its config."""
    bytes_fetched: int
    """Bytes of documents and layers that were fetched."""


def pull(
    store: Store,
    source: ImageSource,
    *,
    platform: Platform | None = None,
    all_platforms: bool = False,
    name: Reference | None = None,
    layers: Literal["all", "none"] = "all",
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
    consumer: Consumer | None = None,
) -> Pulled:
    """Fetch what the store lacks of an image and name it.

    The index that a name stands for is kept whole, with the images of the platform only, unless
    `all_platforms` asks for every one.  Raises `NotFound` when there is no image of the platform.
    """
    root = source.resolve()
    raw, fetched = _document(store, source, root)
    manifests: list[Descriptor] = [root]
    if root.media_type in INDEXES:
        manifests = _chosen(Index.parse(raw, root.media_type), platform, all_platforms, name)
    taken: list[tuple[Manifest, Config | None]] = []
    for descriptor in manifests:
        manifest, config, count = _image(store, source, descriptor)
        fetched += count
        taken.append((manifest, config))
    wanted = {layer.digest: layer for manifest, _ in taken for layer in manifest.layers}
    origin = source.origin()
    if origin is not None:
        for digest in wanted:
            store.remember_origin(wanted[digest].digest, origin.name)
    if layers == "all":
        for layer in wanted.values():
            _refuse_foreign(layer)
        fetched += ensure_layers(
            store,
            list(wanted.values()),
            source,
            options,
            progress=progress,
            consumer=consumer,
        )
    if name is not None:
        store.names.set(name, root, origin)
    one = taken[0] if len(taken) == 1 and not all_platforms else None
    return Pulled(root, one[0] if one else None, one[1] if one else None, fetched)


def _document(store: Store, source: ImageSource, descriptor: Descriptor) -> tuple[bytes, int]:
    """A document, out of the store when it has it; and the bytes that were fetched."""
    if store.blobs.has(descriptor.digest, descriptor.size):
        return store.manifest_bytes(descriptor), 0
    raw = source.document(descriptor)
    store.blobs.put(raw, descriptor.digest)
    return raw, len(raw)


def _chosen(
    index: Index, platform: Platform | None, everything: bool, name: Reference | None
) -> list[Descriptor]:
    images = [m for m in index.manifests if not is_attestation(m)]
    if everything or platform is None:
        return list(index.manifests)
    number = choose(platform, [m.platform for m in images])
    if number is None:
        offered = ", ".join(sorted(str(m.platform) for m in images if m.platform))
        raise NotFound(
            f"{name or 'the index'} has no image for {platform}",
            f"it has: {offered or 'no platforms'}; choose with --platform",
        )
    return [images[number]]


def is_attestation(descriptor: Descriptor) -> bool:
    """Whether an index lists it as BuildKit lists attestations: not an image."""
    notes = descriptor.annotations or {}
    return "vnd.docker.reference.type" in notes


def _image(
    store: Store, source: ImageSource, descriptor: Descriptor
) -> tuple[Manifest, Config | None, int]:
    if descriptor.media_type in INDEXES:
        raise InvalidImage("an index lists another index", "name one of its manifests by digest")
    raw, fetched = _document(store, source, descriptor)
    manifest = Manifest.parse(raw, descriptor.media_type)
    body, more = _document(store, source, manifest.config)
    try:
        config = Config.parse(body)
    except InvalidImage:
        if is_attestation(descriptor) or manifest.artifact_type:
            return manifest, None, fetched + more
        raise
    return manifest, config, fetched + more


def _refuse_foreign(layer: Descriptor) -> None:
    if "foreign" in layer.media_type or "nondistributable" in layer.media_type:
        raise InvalidImage(
            f"layer {layer.digest} is foreign: it may only be fetched from its vendor",
            "oakum handles images whose layers are in their registry",
        )
