"""The images of a store: listing, naming, fetching and copying them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oakum.builder import Images
from oakum.errors import InvalidImage, NotFound, UsageError
from oakum.oci import Descriptor, Digest, Index, Platform, host_platform, parse_reference
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
from oakum.transport import pull as pull_into_store
from oakum.verbs.interface import SCHEMA, Outcome


class ListedImage(msgspec.Struct, frozen=True):
    """A name of the store."""

    name: str
    """The name."""
    digest: Digest
    """What it stands for: a manifest or an index."""
    platform: str
    """Platform of the image; several for an index."""
    size: int
    """Bytes of its layers, compressed."""
    created: str | None
    """RFC 3339 time of the config."""


class PulledImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was brought into the store."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """Whether anything had to be fetched."""
    name: str
    """Its name in the store."""
    digest: Digest
    """What the name stands for."""
    bytes_fetched: int
    """Bytes of blobs that were fetched."""


def list_images(store: Store) -> list[ListedImage]:
    """Every name of the store with the image that it stands for on this machine's platform."""
    images = Images(store, RegistryOptions())
    found = []
    for named in store.names.all():
        try:
            document = store.manifest(named.descriptor)
            platforms = ""
            if isinstance(document, Index):
                platforms = ", ".join(sorted({str(m.platform) for m in document.manifests}))
                document = images.manifest_for(named.name, document, host_platform())
            config = store.config(document)
        except (NotFound, InvalidImage):
            row = ListedImage(named.name, named.descriptor.digest, platforms or "?", 0, None)
            found.append(row)
            continue
        row = ListedImage(
            named.name,
            named.descriptor.digest,
            platforms or str(config.platform),
            document.layer_bytes,
            config.created,
        )
        found.append(row)
    return found


def tag_image(store: Store, image: str, name: str) -> tuple[Descriptor, bool]:
    """Give an image of the store another name; the descriptor, and whether that changed it."""
    new = parse_reference(name)
    if new.digest:
        raise UsageError(f"{name} has a digest, which a name cannot", "use a tag")
    descriptor = described(store, image)
    before = store.names.get(new)
    if before is not None and before.descriptor == descriptor:
        return descriptor, False
    store.names.set(new, descriptor)
    return descriptor, True


def described(store: Store, image: str) -> Descriptor:
    """What an image of the store is; `NotFound` says what is there."""
    source = open_source(parse_location(_in_store(image)), store, RegistryOptions(), silent)
    try:
        return source.resolve()
    finally:
        source.close()


def _in_store(image: str) -> str:
    return image if image.startswith("store:") else f"store:{image}"


def untag_images(store: Store, names: Sequence[str]) -> list[str]:
    """Forget names; all of them, or `NotFound` and none."""
    references = [parse_reference(name) for name in names]
    for reference in references:
        if store.names.get(reference) is None:
            raise NotFound(f"{reference} is not in the store", "'oakum images' lists what is")
    for reference in references:
        store.names.remove(reference)
    return [str(reference) for reference in references]


def pull_image(
    store: Store,
    image: str,
    *,
    platform: Platform | None = None,
    all_platforms: bool = False,
    name: str | None = None,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> PulledImage:
    """Bring an image into the store; a bare name is asked for at its registry."""
    location = parse_location(image)
    if location.transport == "":
        location = parse_location(f"docker://{image}")
    known = parse_reference(name) if name else location.reference
    if known is not None and known.digest:
        known = known.with_digest(None) if known.tag else None
    if known is None and location.reference is None:
        raise UsageError(f"{image} has no name for the store", "give one with -t")
    before = store.names.get(known) if known else None
    source = open_source(location, store, options, progress)
    try:
        pulled = pull_into_store(
            store,
            source,
            platform=None if all_platforms else platform or host_platform(),
            all_platforms=all_platforms,
            name=known,
            options=options,
            progress=progress,
        )
    finally:
        source.close()
    same = before is not None and before.descriptor.digest == pulled.descriptor.digest
    return PulledImage(
        outcome="nothing-to-do" if same and not pulled.bytes_fetched else "done",
        name=str(known or location.reference),
        digest=pulled.descriptor.digest,
        bytes_fetched=pulled.bytes_fetched,
    )


def copy(
    store: Store,
    source: str,
    place: str,
    *,
    platform: Platform | None = None,
    all_platforms: bool = False,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Copied:
    """Copy an image from one place to another, byte for byte."""
    read = open_source(parse_location(source), store, options, progress)
    try:
        write = open_target(parse_location(place), store, options, progress)
        try:
            return copy_image(
                read,
                write,
                store=store,
                platform=platform,
                all_platforms=all_platforms,
                options=options,
                progress=progress,
            )
        finally:
            write.close()
    finally:
        read.close()
