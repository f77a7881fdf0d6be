"""``store info``: what takes the place in a store, by what it is for."""

from __future__ import annotations

import msgspec

from oakum.builder.cache_mounts import cache_mounts
from oakum.builder.prune import Needed, cached_files, kept_results, snapshot_needed
from oakum.store import Holding, Store, Usage, disk_bytes, usage


def store_info(store: Store) -> Usage:
    """What takes the place in a store, in bytes on disk, and how much of it could be freed."""
    needed = Needed(store)
    for named in store.names.all():
        needed.add(named.descriptor)
    blobs = [(digest, disk_bytes(store.blobs.path(digest))) for digest, _ in store.blobs.all()]
    named_blobs = [size for digest, size in blobs if digest in needed.blobs]
    other_blobs = [size for digest, size in blobs if digest not in needed.blobs]
    unpacked = [
        (disk_bytes(path), snapshot_needed(path.name, needed.diff_ids))
        for path in (store.root / "snapshots").iterdir()
    ]
    mounts = cache_mounts(store)
    records = disk_bytes(store.root / "records")
    temporary = [disk_bytes(path) for path in (store.root / "tmp").iterdir() if path.is_dir()]
    files = {k: [*map(disk_bytes, cached_files(store, k))] for k in ("downloads", "indexes")}
    kinds = (
        Holding("images", len(named_blobs), sum(named_blobs), 0),
        Holding("layers", len(other_blobs), sum(other_blobs), sum(other_blobs)),
        Holding(
            "snapshots",
            len(unpacked),
            sum(size for size, _ in unpacked),
            sum(size for size, kept in unpacked if not kept),
        ),
        Holding(
            "mounts",
            len(mounts),
            sum(one.bytes for one in mounts),
            sum(one.bytes for one in mounts if not one.in_use),
        ),
        *(Holding(kind, len(sizes), sum(sizes), sum(sizes)) for kind, sizes in files.items()),
        Holding("records", sum(1 for _ in kept_results(store)), records, 0),
        Holding("temporary", len(temporary), sum(temporary), 0),
    )
    return msgspec.structs.replace(usage(store), kinds=kinds)
