"""``store check``: is everything in a store what it claims to be, and healing what is not."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec

from oakum.errors import InvalidImage, NotFound, StoreError
from oakum.oci import Descriptor, Digest, Index, Manifest
from oakum.oci.digest import hasher_for, is_digest
from oakum.progress import Event, Progress, silent
from oakum.store.place import discard, guarded
from oakum.store.store import Store

_CHUNK = 1 << 20


class Damage(msgspec.Struct, frozen=True):
    """Something in a store that is not as it should be."""

    kind: Literal["blob", "name", "record", "temporary"]
    """What it is."""
    subject: str
    """Digest, name or path."""
    detail: str
    """What is wrong."""
    repaired: bool
    """Whether it was healed: what is damaged is removed, and can be fetched or made again."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    schema: int = 1
    """Version of this document's shape."""
    outcome: Literal["done", "nothing-to-do", "failed"]
    """``nothing-to-do``: clean; ``done``: repaired; ``failed``: damage is left."""
    blobs: int
    """Blobs that were read."""
    bytes: int
    """Their bytes."""
    names: int
    """Names that were followed."""
    damage: tuple[Damage, ...]
    """What is wrong."""


def check_store(store: Store, *, repair: bool = False, progress: Progress = silent) -> Checked:
    """Read every blob, follow every name, look at every record; with `repair`, remove damage.

    A layer that is not here is no damage when a registry is known to have it: it is fetched when
    a step needs it.  Repairing needs the store for itself.
    """
    if not repair:
        return _check(store, False, progress)
    with store.place.exclusive():
        return _check(store, True, progress)


def _check(store: Store, repair: bool, progress: Progress) -> Checked:
    damage, blobs, size = _check_blobs(store, repair, progress)
    found, names = _check_names(store, repair)
    damage += found
    damage += _check_records(store, repair)
    damage += _check_temporary(store, repair)
    left = any(not one.repaired for one in damage)
    outcome: Literal["done", "nothing-to-do", "failed"] = "failed" if left else "done"
    return Checked(
        outcome=outcome if damage else "nothing-to-do",
        blobs=blobs,
        bytes=size,
        names=names,
        damage=tuple(damage),
    )


def _check_blobs(store: Store, repair: bool, progress: Progress) -> tuple[list[Damage], int, int]:
    listed = list(store.blobs.all())
    total = sum(size for _, size in listed)
    progress(Event("check", "start", f"check {len(listed)} blobs", total=total))
    damage = []
    done = 0
    for digest, size in listed:
        why = _blob_damage(store, digest)
        done += size
        progress(Event("check", "advance", done=done, total=total))
        if why is not None:
            if repair:
                discard(store.blobs.path(digest))
            damage.append(Damage("blob", digest, why, repair))
    progress(Event("check", "done" if not damage else "failed"))
    return damage, len(listed), total


def _blob_damage(store: Store, digest: Digest) -> str | None:
    if not is_digest(digest):
        return "its name is no digest"
    hasher = hasher_for(digest)
    try:
        with store.blobs.open(digest) as file, guarded(f"read blob {digest}"):
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
    except NotFound:
        return None
    except StoreError as error:
        return error.what
    if digest.endswith(":" + hasher.hexdigest()):
        return None
    return "its bytes do not have its digest"


def _check_names(store: Store, repair: bool) -> tuple[list[Damage], int]:
    damage: list[Damage] = []
    count = 0
    for path, named in store.names.readable():
        count += 1
        why = "its entry is damaged" if named is None else _name_damage(store, named.descriptor)
        if why is None:
            continue
        if repair:
            discard(path)
        damage.append(Damage("name", named.name if named else path.name, why, repair))
    return damage, count


def _name_damage(store: Store, descriptor: Descriptor) -> str | None:
    """Why a name cannot be used; an index needs one whole image only."""
    try:
        document = store.manifest(descriptor)
    except (NotFound, InvalidImage, StoreError):
        return f"its manifest {descriptor.digest} is not here or is damaged"
    if isinstance(document, Index):
        here = [child for child in document.manifests if store.blobs.has(child.digest)]
        problems = [_name_damage(store, child) for child in here]
        return next((why for why in problems if why), None) if here else "no image of it is here"
    return _manifest_damage(store, document)


def _manifest_damage(store: Store, manifest: Manifest) -> str | None:
    if not store.blobs.has(manifest.config.digest, manifest.config.size):
        return f"its config {manifest.config.digest} is not here"
    for layer in manifest.layers:
        if not store.blobs.has(layer.digest, layer.size) and not store.origins(layer.digest):
            return f"its layer {layer.digest} is not here, and no registry is known to have it"
    return None


def _check_records(store: Store, repair: bool) -> list[Damage]:
    damage = []
    for path in store.records.damaged():
        if repair:
            discard(path)
        name = str(path.relative_to(store.root))
        damage.append(Damage("record", name, "its checksum is wrong", repair))
    return damage


def _check_temporary(store: Store, repair: bool) -> list[Damage]:
    left = store.place.abandoned()
    if repair and left:
        store.clean_abandoned()
    still = set(store.place.abandoned()) if repair else set(left)
    found = []
    for path in left:
        repaired = path not in still
        what = "a killed process left it"
        found.append(Damage("temporary", str(path.relative_to(store.root)), what, repaired))
    return found


class Holding(msgspec.Struct, frozen=True):
    """One kind of thing that a store holds."""

    kind: str
    """``images``, ``layers``, ``snapshots``, ``mounts``, ``downloads``, ``indexes``,
    ``records`` or ``temporary``."""
    count: int
    """How many."""
    bytes: int
    """Bytes on disk."""
    reclaimable: int
    """Bytes that ``store prune --all`` would free."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What takes the place in a store."""

    schema: int = 1
    """Version of this document's shape."""
    root: str
    """The store's directory."""
    names: int
    """Names of images."""
    blobs: int
    """Number of blobs."""
    blob_bytes: int
    """Bytes of blobs: layers, configs, manifests."""
    snapshot_bytes: int
    """Bytes of unpacked layers."""
    record_bytes: int
    """Bytes of indexes and cache records."""
    cache_bytes: int
    """Bytes of repositories' indexes and cache mounts."""
    total_bytes: int
    """All of it."""
    kinds: tuple[Holding, ...] = ()
    """The same by what it is for."""


def usage(store: Store) -> Usage:
    """What takes the place in a store, in bytes on disk."""
    blobs = list(store.blobs.all())
    sizes = {
        part: disk_bytes(store.root / part) for part in ("blobs", "snapshots", "records", "cache")
    }
    return Usage(
        root=str(store.root),
        names=sum(1 for _ in store.names.readable()),
        blobs=len(blobs),
        blob_bytes=sizes["blobs"],
        snapshot_bytes=sizes["snapshots"],
        record_bytes=sizes["records"],
        cache_bytes=sizes["cache"],
        total_bytes=sum(sizes.values()),
    )


def disk_bytes(place: Path) -> int:
    """Bytes that the files at and below a path take on disk."""
    if not place.is_dir() or place.is_symlink():
        with contextlib.suppress(OSError):
            return os.lstat(place).st_blocks * 512
        return 0
    total = 0
    seen: set[tuple[int, int]] = set()
    for directory, _, files in os.walk(os.fsencode(place)):
        for name in files:
            try:
                info = os.lstat(directory + b"/" + name)
            except OSError:
                continue
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_blocks * 512
    return total
