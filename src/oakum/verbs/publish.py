"""``push``: send an image where its name says, and count what it took."""

from __future__ import annotations

import msgspec

from oakum.builder import Image
from oakum.errors import ProofFailed
from oakum.oci import Reference
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import (
    Copied,
    RegistryOptions,
    copy_image,
    open_source,
    open_target,
    parse_location,
)


class Published(msgspec.Struct, frozen=True):
    """What a push did."""

    name: str
    """The name that was pushed."""
    digest: str
    """Digest of the manifest (or index) that it stands for now."""
    bytes_sent: int
    """Bytes of blobs that were sent."""
    bytes_kept: int
    """Bytes of blobs that the target had."""
    bytes_mounted: int
    """Bytes of blobs that the registry took over from another repository."""


def publish(
    store: Store,
    image: Image,
    name: Reference,
    options: RegistryOptions,
    progress: Progress = silent,
) -> Published:
    """Push an image of the store to a registry, only the blobs that it lacks, the name last."""
    copied = send(store, image, f"docker://{name}", progress, options)
    return Published(
        str(name),
        image.root.digest,
        copied.bytes_sent,
        copied.bytes_kept,
        copied.bytes_mounted,
    )


def send(
    store: Store,
    image: Image,
    place: str,
    progress: Progress = silent,
    options: RegistryOptions = RegistryOptions(),
) -> Copied:
    """Copy an image of the store to a place (``docker://…``, ``oci:…``, ``docker-daemon:…``).

    `ProofFailed` for an image without a root file system: it is never published.
    """
    if not image.manifest.layers:
        raise ProofFailed(
            f"the image has no files at all, so it is not written to {place}",
            "an empty image is never published; check what its Dockerfile copies",
        )
    source = open_source(parse_location(f"store:{image.root.digest}"), store, options, progress)
    target = open_target(parse_location(place), store, options, progress)
    try:
        return copy_image(source, target, store=store, options=options, progress=progress)
    finally:
        source.close()
        target.close()
