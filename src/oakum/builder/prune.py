"""``store prune``: removing what no name of an image and no build of late needs."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from oakum.builder.cache import CACHE_VERSION, StepResult
from oakum.errors import InvalidImage, NotFound
from oakum.layer.read import INDEX_VERSION
from oakum.oci import Descriptor, Digest, Index
from oakum.store import Store, discard, guarded, usage


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What a pruning removed."""

    schema: int = 1
    """Version of this document's shape."""
    outcome: Literal["done", "nothing-to-do"]
    """Whether anything was removed."""
    blobs: int
    """Blobs that were removed."""
    snapshots: int
    """Unpacked layers that were removed."""
    steps: int
    """Results of the build cache that were removed."""
    bytes_freed: int
    """Bytes on disk that are free again."""


class _Needed:
    """What names and kept results of the build cache need."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.blobs: set[str] = set()
        self.diff_ids: set[str] = set()

    def add(self, descriptor: Descriptor) -> None:
        self.blobs.add(descriptor.digest)
        try:
            document = self._store.manifest(descriptor)
            if isinstance(document, Index):
                for child in document.manifests:
                    self.add(child)
                return
            self.blobs.add(document.config.digest)
            self.blobs.update(layer.digest for layer in document.layers)
            self.diff_ids.update(self._store.config(document).diff_ids)
        except (NotFound, InvalidImage):
            return


def prune(store: Store, *, older_than: float | None = 7 * 86400.0) -> Pruned:
    """Remove blobs, unpacked layers and cached steps that nothing needs.

    A result of the build cache is kept for `older_than` seconds after it was made, and as long as
    its layer is in an image that has a name; None keeps none of them.  What a name needs always
    stays.  `StoreError` while another oakum uses the store: nothing that it needs may go.
    """
    with store.place.exclusive():
        before = usage(store).total_bytes
        needed = _Needed(store)
        for named in store.names.all():
            needed.add(named.descriptor)
        limit = time.time() - older_than if older_than is not None else float("inf")
        named_layers = frozenset(needed.diff_ids) if older_than is not None else frozenset()
        steps = _prune_steps(store, limit, named_layers, needed)
        blobs = _prune_blobs(store, needed)
        snapshots = _prune_snapshots(store, needed)
        _prune_indexes(store, needed)
        freed = before - usage(store).total_bytes
    return Pruned(
        outcome="done" if blobs or snapshots or steps else "nothing-to-do",
        blobs=blobs,
        snapshots=snapshots,
        steps=steps,
        bytes_freed=max(0, freed),
    )


def _prune_steps(store: Store, limit: float, named_layers: frozenset[str], needed: _Needed) -> int:
    kind = f"step-{CACHE_VERSION}"
    removed = 0
    for key, path in store.records.keys(kind):
        raw = store.records.get(kind, key)
        try:
            results = msgspec.msgpack.decode(raw, type=list[StepResult]) if raw else []
        except msgspec.DecodeError:
            results = []
        kept = [r for r in results if r.made >= limit or r.layer.diff_id in named_layers]
        removed += len(results) - len(kept)
        for result in kept:
            needed.blobs.add(result.layer.descriptor.digest)
            needed.diff_ids.add(result.layer.diff_id)
        if not kept:
            path.unlink(missing_ok=True)
        elif len(kept) < len(results):
            store.records.put(kind, key, msgspec.msgpack.encode(kept))
    return removed


def _prune_blobs(store: Store, needed: _Needed) -> int:
    removed = 0
    for digest, _ in list(store.blobs.all()):
        if digest not in needed.blobs:
            store.blobs.remove(Digest(digest))
            removed += 1
    return removed


def _prune_snapshots(store: Store, needed: _Needed) -> int:
    plain = {diff_id.split(":", 1)[1] for diff_id in needed.diff_ids}
    short = {name[:16] for name in plain}
    removed = 0
    with guarded("list the unpacked layers"):
        found = sorted((store.root / "snapshots").iterdir())
    for path in found:
        name = path.name.removesuffix("-user").removesuffix("-copy")
        first, _, chain = name.partition("-")
        if name in plain or (chain and first in short):
            continue
        doomed = store.place.scratch / f"doomed-{removed}"
        with guarded(f"remove {path}"):
            path.rename(doomed)
        discard(doomed)
        removed += 1
    return removed


def _prune_indexes(store: Store, needed: _Needed) -> None:
    from oakum.builder.engines.imported import PACKED

    names = {diff_id.replace(":", "-") for diff_id in needed.diff_ids}
    for kind in (f"index-{INDEX_VERSION}", f"kept-{INDEX_VERSION}", "md5", *PACKED.values()):
        for key, path in store.records.keys(kind):
            if key not in names:
                path.unlink(missing_ok=True)
