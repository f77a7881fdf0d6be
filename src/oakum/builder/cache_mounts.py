"""The cache mounts of a store: what is kept for ``RUN --mount=type=cache``, by id."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from oakum.store import Store, discard, disk_bytes, guarded

ROOM = "mounts"


class CacheMount(msgspec.Struct, frozen=True):
    """What is kept under one id."""

    id: str
    """The id, or the target where a step gave none."""
    bytes: int
    """Bytes on disk."""
    copies: int
    """Directories: several when ``sharing=private`` steps ran at once."""
    used: float
    """When a step last began to use it, in seconds since the epoch."""
    in_use: bool
    """Whether a step uses it now."""


class MountList(msgspec.Struct, frozen=True, kw_only=True):
    """What ``store mounts`` answers."""

    schema: int = 1
    """Version of this document's shape."""
    mounts: tuple[CacheMount, ...]
    """The cache mounts, the least recently used first."""


def cache_mounts(store: Store) -> list[CacheMount]:
    """Every cache mount that holds something, the least recently used first."""
    found = [_described(base) for base in _bases(store)]
    return sorted((one for one in found if one is not None), key=lambda one: (one.used, one.id))


def remove_cache_mount(store: Store, id_: str) -> int:
    """Remove what is kept under an id, but for what a step uses now; the directories removed.

    Safe beside running builds: a step holds the lock of the directory that it uses.
    """
    removed = 0
    for base in _bases(store):
        if _id(base) == id_:
            removed += sum(_remove(store, path) for path in _copies(base))
    return removed


def _bases(store: Store) -> list[Path]:
    with guarded("list the cache mounts"):
        return sorted(store.cache(ROOM).iterdir())


def _id(base: Path) -> str | None:
    try:
        return (base / "id").read_bytes().decode("utf-8", "replace")
    except OSError:
        return None


def _copies(base: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in sorted(base.iterdir()) if path.name.isdecimal()]
    return []


def _described(base: Path) -> CacheMount | None:
    copies, id_ = _copies(base), _id(base)
    if id_ is None or not copies:
        return None
    busy = False
    for path in copies:
        with _taken(path) as free:
            busy = busy or not free
    used = (base / "id").stat().st_mtime
    return CacheMount(id_, sum(map(disk_bytes, copies)), len(copies), used, busy)


@contextlib.contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Whether nobody uses the directory; nobody begins to before the block ends."""
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _remove(store: Store, path: Path) -> bool:
    # The lock file stays: a step may wait for it and makes the directory anew.
    with _taken(path) as free:
        if not free:
            return False
        doomed = store.place.scratch / f"doomed-{path.parent.name}-{path.name}"
        with guarded(f"remove {path}"):
            path.rename(doomed)
    discard(doomed)
    return True
