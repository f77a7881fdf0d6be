"""Copying an image from place to place, byte for byte: only what the target lacks is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import msgspec

from oakum.errors import DigestMismatch, InvalidImage, NotFound
from oakum.oci import Descriptor, Index, Manifest, Platform, choose, host_platform, short
from oakum.oci.digest import hasher_for
from oakum.oci.media import INDEXES
from oakum.progress import Event, Progress, silent
from oakum.store import Store
from oakum.transport.interface import ImageSource, ImageTarget
from oakum.transport.options import RegistryOptions
from oakum.transport.origins import is_layout_origin
from oakum.transport.pull import is_attestation
from oakum.transport.together import Stop, side_by_side

_STEP = 4 << 20


class Copied(msgspec.Struct, frozen=True):
    """What a copy did."""

    root: Descriptor
    """What the target's name stands for now."""
    bytes_sent: int
    """Bytes of blobs that were sent."""
    bytes_kept: int
    """Bytes of blobs that the target had."""
    bytes_mounted: int
    """Bytes of blobs that the target took over from elsewhere in itself."""
    manifests_written: int
    """Manifests and indexes that were written."""
    changed: bool = True
    """Whether the target's name stood for something else before, or for nothing."""


class _Count:
    """Bytes, counted by several threads."""

    def __init__(self) -> None:
        self.sent = self.kept = self.mounted = 0
        self.lock = threading.Lock()

    def add(self, what: str, size: int) -> None:
        with self.lock:
            setattr(self, what, getattr(self, what) + size)


def copy_image(
    source: ImageSource,
    target: ImageTarget,
    *,
    store: Store,
    platform: Platform | None = None,
    all_platforms: bool = False,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Copied:
    """Copy what the source's name stands for, or its image for `platform`, to the target.

    An index is copied whole where all of it can be read.  One of the store, whose other platforms
    were never fetched, gives the image for this machine, unless `all_platforms` insists.
    Blobs go first, the root manifest last, so a name never stands for half an image.
    """
    root = source.resolve()
    raw = source.document(root)
    documents: list[tuple[Descriptor, bytes]] = []
    if root.media_type in INDEXES:
        index = Index.parse(raw, root.media_type)
        children = _children(source, index, platform, all_platforms)
        if children is None:
            root, raw = _only(source, index, platform or host_platform())
        else:
            documents = [(child, source.document(child)) for child in children]
    images = [Manifest.parse(body, one.media_type) for one, body in (documents or [(root, raw)])]
    count = _Count()
    before = target.stands_for()
    _send_blobs(source, target, store, images, options, count, progress)
    # A document's own word about its type counts, whatever the source called it.
    for (_, body), image in zip(documents, images):
        target.put_manifest(body, image.media_type, root=False)
    kind = Index.parse(raw, root.media_type) if documents else images[0]
    target.put_manifest(raw, kind.media_type, root=True)
    target.finish(root, platform)
    _remember(store, target, images)
    changed = before != root.digest
    return Copied(root, count.sent, count.kept, count.mounted, len(documents) + 1, changed)


def _children(
    source: ImageSource, index: Index, platform: Platform | None, everything: bool
) -> list[Descriptor] | None:
    """The manifests of an index, when it is to be copied whole; None when one image is meant."""
    if platform is not None and not everything:
        return None
    from oakum.transport.store_place import StoreSource

    children = list(index.manifests)
    nested = [child for child in children if child.media_type in INDEXES]
    if nested:
        raise InvalidImage("an index lists another index", "copy one of its manifests by digest")
    if not isinstance(source, StoreSource):
        return children
    missing = [child for child in children if not source.holds(child)]
    if not missing:
        return children
    if everything:
        raise NotFound(
            f"{len(missing)} of the index's {len(children)} images are not in the store",
            "pull it with --all-platforms first",
        )
    return None


def _only(source: ImageSource, index: Index, platform: Platform) -> tuple[Descriptor, bytes]:
    images = [m for m in index.manifests if not is_attestation(m)]
    number = choose(platform, [m.platform for m in images])
    if number is None:
        offered = ", ".join(sorted(str(m.platform) for m in images if m.platform))
        raise NotFound(f"there is no image for {platform}", f"there are: {offered or 'none'}")
    chosen = images[number]
    root = Descriptor(chosen.media_type, chosen.digest, chosen.size)
    return root, source.document(root)


def _send_blobs(
    source: ImageSource,
    target: ImageTarget,
    store: Store,
    images: list[Manifest],
    options: RegistryOptions,
    count: _Count,
    progress: Progress,
) -> None:
    blobs: dict[str, Descriptor] = {}
    for image in images:
        for blob in (*image.layers, image.config):
            blobs.setdefault(blob.digest, blob)
    origin = source.origin()
    tasks = []
    for blob in blobs.values():
        near = tuple(x for x in store.origins(blob.digest) if not is_layout_origin(x))
        near += (origin.name,) if origin else ()
        tasks.append(partial(_send, source, target, blob, near, count, progress))
    side_by_side(tasks, 1 if getattr(target, "in_order", False) else options.jobs)


def _send(
    source: ImageSource,
    target: ImageTarget,
    blob: Descriptor,
    near: tuple[str, ...],
    count: _Count,
    progress: Progress,
    stop: Stop,
) -> None:
    task = f"push {blob.digest}"
    if target.has_blob(blob):
        count.add("kept", blob.size)
        progress(Event(task, "start", f"blob {short(blob.digest)}"))
        progress(Event(task, "cached", "is there already"))
        return
    if near and target.mount_blob(blob, tuple(dict.fromkeys(near))):
        count.add("mounted", blob.size)
        progress(Event(task, "start", f"blob {short(blob.digest)}"))
        progress(Event(task, "cached", "mounted"))
        return
    progress(Event(task, "start", f"blob {short(blob.digest)}", total=blob.size))
    try:
        target.put_blob(
            blob, lambda offset: stop.checked(_checked(source, blob, offset, task, progress))
        )
    except BaseException:
        progress(Event(task, "failed"))
        raise
    count.add("sent", blob.size)
    progress(Event(task, "done"))


def _checked(
    source: ImageSource, blob: Descriptor, offset: int, task: str, progress: Progress
) -> Iterator[bytes]:
    """The blob's bytes; from its beginning on they are checked against the digest."""
    hasher = hasher_for(blob.digest)
    position = offset
    told = offset
    for chunk in source.blob(blob, offset):
        position += len(chunk)
        if not offset:
            hasher.update(chunk)
        if position > blob.size:
            break
        if position == blob.size and not offset:
            _check(blob, hasher.hexdigest())
        yield chunk
        if position - told >= _STEP:
            told = position
            progress(Event(task, "advance", done=position, total=blob.size))
    if position != blob.size:
        raise DigestMismatch(
            f"blob {blob.digest} has {position} bytes, {blob.size} were promised",
            "the source is damaged; fetch the image from elsewhere",
        )


def _check(blob: Descriptor, found: str) -> None:
    if not blob.digest.endswith(":" + found):
        raise DigestMismatch(
            f"got bytes with digest {found} instead of {blob.digest}",
            "the source is damaged or was tampered with; nothing was named",
        )


def _remember(store: Store, target: ImageTarget, images: list[Manifest]) -> None:
    """Keep that the registry has these layers now, for mounting them elsewhere in it."""
    repository = getattr(target, "repository", None)
    if isinstance(repository, str):
        for image in images:
            for layer in image.layers:
                store.remember_origin(layer.digest, repository)
