"""``store prune``: removing what no name of an image and no build of late needs."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from oakum.builder.cache import CACHE_VERSION, LAYER_RECORD, StepResult
from oakum.builder.cache_mounts import CacheMount, cache_mounts, remove_cache_mount
from oakum.builder.memory import INPUTS
from oakum.errors import InvalidImage, NotFound
from oakum.layer.blocks import forget_blocks
from oakum.layer.read import INDEX_VERSION
from oakum.oci import Descriptor, Digest, Index
from oakum.store import Store, discard, disk_bytes, guarded, usage

KINDS = ("steps", "layers", "mounts", "downloads", "indexes")
"""What can be removed."""
STEPS = f"step-{CACHE_VERSION}"
"""Kind of the records of results."""
_FILES = {
    "downloads": (("archives", "files"), ("apt", "packages")),
    "indexes": (
        *(("archives", part) for part in ("lists", "urls")),
        *(("apt", part) for part in ("indexes", "releases", "changelogs")),
    ),
}


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
    mounts: int = 0
    """Directories of cache mounts that were removed."""
    downloads: int = 0
    """Files of package archives that were removed."""
    indexes: int = 0
    """Indexes of package archives that were removed."""
    bytes_freed: int
    """Bytes on disk that are free again."""


class Needed:
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


def prune(
    store: Store,
    *,
    older_than: float | None = 7 * 86400.0,
    keep_bytes: int | None = None,
    kinds: Collection[str] = KINDS,
    mounts: Collection[str] = (),
) -> Pruned:
    """Remove what no name of an image needs and nothing used for `older_than` seconds.

    None is all of it, whenever it was used.  With `keep_bytes`, further results, mounts and
    downloads go, those first that were not used for longest, until the store takes no more.
    `kinds` are of `KINDS`; with `mounts`, ids, no other cache mount is removed.  What a name needs
    always stays, a kept result with the files of archives that it was installed from, and a cache
    mount while a step uses it.  A git repository goes with the downloads.  `StoreError` while
    another oakum uses the store, unless only cache mounts are asked for.
    """
    alone = store.place.exclusive() if {*kinds} != {"mounts"} else contextlib.nullcontext()
    with alone:
        before = usage(store).total_bytes
        limit = time.time() - older_than if older_than is not None else float("inf")
        work = _Pruning(store, limit, frozenset(kinds), forced=older_than is None)
        work.by_age(mounts)
        if keep_bytes is not None:
            work.by_size(keep_bytes)
        work.finish()
        if "downloads" in kinds:
            _prune_repositories(store, limit)
        freed = before - usage(store).total_bytes
    counts = work.counts
    return Pruned(
        outcome="done" if any(counts.values()) else "nothing-to-do",
        blobs=counts["blobs"],
        snapshots=counts["snapshots"],
        steps=counts["steps"],
        mounts=counts["mounts"],
        downloads=counts["downloads"],
        indexes=counts["indexes"],
        bytes_freed=max(0, freed),
    )


class _Pruning:
    """One pruning under way."""

    def __init__(self, store: Store, limit: float, kinds: frozenset[str], *, forced: bool) -> None:
        self.store = store
        self.limit = limit
        self.kinds = kinds
        self.counts: Counter[str] = Counter()
        self.named = Needed(store)
        if kinds & {"steps", "layers", "downloads"}:
            for named in store.names.all():
                self.named.add(named.descriptor)
        self.results = [*kept_results(store)]
        self._kept_layers = frozenset() if forced else frozenset(self.named.diff_ids)
        self._dropped: set[int] = set()

    def by_age(self, mounts: Collection[str]) -> None:
        """Let go what was not used since the limit."""
        if "steps" in self.kinds:
            for number, (_, result) in enumerate(self.results):
                young = used(self.store, result) >= self.limit
                if not young and result.layer.diff_id not in self._kept_layers:
                    self._dropped.add(number)
        if "mounts" in self.kinds:
            for mount in cache_mounts(self.store):
                wanted = mount.id in mounts if mounts else mount.used < self.limit
                if wanted and not mount.in_use:
                    self.counts["mounts"] += remove_cache_mount(self.store, mount.id)
        held = self._held_files()
        for kind in self.kinds & {"downloads", "indexes"}:
            for path in cached_files(self.store, kind):
                if path.name not in held and last_used(path) < self.limit:
                    self._unlink(kind, path)

    def _held_files(self) -> set[str]:
        """Digests of the files that kept results were installed from."""
        kept = (one for n, (_, one) in enumerate(self.results) if n not in self._dropped)
        return {digest for result in kept for digest in result.files.values()}

    def _unlink(self, kind: str, path: Path) -> None:
        discard(path)
        self.counts[kind] += 1

    def by_size(self, most: int) -> None:
        """Let more go, the least recently used first, until the store takes `most` bytes."""
        self._write_steps()
        self._drop_unneeded()
        left = usage(self.store).total_bytes - most
        for _, _, remove in sorted(self._candidates(), key=lambda one: one[:2]):
            if left <= 0:
                return
            left -= remove()

    def _candidates(self) -> Iterator[tuple[float, int, Callable[[], int]]]:
        number = 0
        if "steps" in self.kinds:
            for number, (_, result) in enumerate(self.results):
                if number not in self._dropped and result.layer.diff_id not in self._kept_layers:
                    drop = functools.partial(self._drop, number)
                    yield used(self.store, result), number, drop
        if "mounts" in self.kinds:
            for mount in cache_mounts(self.store):
                number += 1
                yield mount.used, number, functools.partial(self._drop_mount, mount)
        for kind in sorted(self.kinds & {"downloads", "indexes"}):
            for path in cached_files(self.store, kind):
                number += 1
                yield last_used(path), number, functools.partial(self._drop_file, kind, path)

    def _drop(self, number: int) -> int:
        self._dropped.add(number)
        layer = self.results[number][1].layer
        for other, (_, result) in enumerate(self.results):
            if other not in self._dropped and result.layer.diff_id == layer.diff_id:
                return 0
        if layer.diff_id in self.named.diff_ids:
            return 0
        plain = self.store.root / "snapshots" / layer.diff_id.split(":", 1)[1]
        places = [plain.with_name(plain.name + end) for end in ("", "-user", "-copy")]
        blob = self.store.blobs.path(layer.descriptor.digest)
        return sum(map(disk_bytes, (blob, *places)))

    def _drop_mount(self, mount: CacheMount) -> int:
        removed = remove_cache_mount(self.store, mount.id)
        self.counts["mounts"] += removed
        return mount.bytes if removed else 0

    def _drop_file(self, kind: str, path: Path) -> int:
        if path.name in self._held_files():
            return 0
        size = disk_bytes(path)
        self._unlink(kind, path)
        return size

    def finish(self) -> None:
        """Write what is kept, and remove the layers that nothing needs now."""
        self._write_steps()
        self._drop_unneeded()

    def _write_steps(self) -> None:
        kept: dict[str, list[StepResult]] = {}
        for number, (key, result) in enumerate(self.results):
            kept.setdefault(key, [])
            if number not in self._dropped:
                kept[key].append(result)
        touched = {self.results[number][0] for number in self._dropped}
        for key in touched:
            if kept[key]:
                self.store.records.put(STEPS, key, msgspec.msgpack.encode(kept[key]))
            else:
                self.store.records.remove(STEPS, key)
                self.store.records.remove(INPUTS, key)
        self.counts["steps"] = len(self._dropped)

    def _drop_unneeded(self) -> None:
        if "layers" not in self.kinds:
            return
        needed = self.named
        blobs, diff_ids = set(needed.blobs), set(needed.diff_ids)
        for number, (_, result) in enumerate(self.results):
            if number not in self._dropped:
                blobs.add(result.layer.descriptor.digest)
                diff_ids.add(result.layer.diff_id)
        self.counts["blobs"] += _prune_blobs(self.store, blobs)
        self.counts["snapshots"] += _prune_snapshots(self.store, diff_ids)
        _prune_indexes(self.store, diff_ids)
        forget_blocks(self.store)


def kept_results(store: Store) -> Iterator[tuple[str, StepResult]]:
    """Every result of the build cache with its key; damaged records have none."""
    for key, _ in store.records.keys(STEPS):
        raw = store.records.get(STEPS, key)
        with contextlib.suppress(msgspec.DecodeError):
            for result in msgspec.msgpack.decode(raw, type=list[StepResult]) if raw else ():
                yield key, result


def used(store: Store, result: StepResult) -> float:
    """When a result was made or last taken from the cache, in seconds since the epoch."""
    return max(result.made, store.records.used(LAYER_RECORD, result.layer.diff_id))


def cached_files(store: Store, kind: str) -> Iterator[Path]:
    """The files of packages (``downloads``) or the indexes of archives."""
    for room, part in _FILES[kind]:
        place = store.cache(room) / part
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if path.is_file())


def last_used(path: Path) -> float:
    """When a file was read or written, as far as its file system tells."""
    try:
        found = path.stat()
    except OSError:
        return 0.0
    return max(found.st_atime, found.st_mtime)


def _prune_blobs(store: Store, needed: Collection[str]) -> int:
    removed = 0
    for digest, _ in list(store.blobs.all()):
        if digest not in needed:
            store.blobs.remove(Digest(digest))
            removed += 1
    return removed


def snapshot_needed(name: str, needed: Collection[str]) -> bool:
    """Whether the unpacked layer of that file name is of one of the diff IDs."""
    name = name.removesuffix("-user").removesuffix("-copy")
    first, _, chain = name.partition("-")
    if not chain:
        return f"sha256:{name}" in needed
    return any(diff_id.split(":", 1)[1].startswith(first) for diff_id in needed)


def _prune_snapshots(store: Store, needed: Collection[str]) -> int:
    removed = 0
    with guarded("list the unpacked layers"):
        found = sorted((store.root / "snapshots").iterdir())
    for path in found:
        if snapshot_needed(path.name, needed):
            continue
        doomed = store.place.scratch / f"doomed-{removed}"
        with guarded(f"remove {path}"):
            path.rename(doomed)
        discard(doomed)
        removed += 1
    return removed


def _prune_indexes(store: Store, needed: Collection[str]) -> None:
    from oakum.builder.engines.imported import PACKED

    names = {diff_id.replace(":", "-") for diff_id in needed}
    for kind in (f"index-{INDEX_VERSION}", f"kept-{INDEX_VERSION}", "md5", *PACKED.values()):
        for key, path in store.records.keys(kind):
            if key not in names:
                path.unlink(missing_ok=True)


def _prune_repositories(store: Store, limit: float) -> None:
    """Remove git repositories that no build has used since `limit`."""
    with guarded("list the git repositories"):
        found = sorted(store.cache("git").iterdir())
    for path in found:
        if path.stat().st_mtime < limit:
            discard(path)
