"""``lock``: write down what a Dockerfile's names and steps resolve to."""

from __future__ import annotations

import msgspec

from oakum.builder import BuildRequest, EngineReport, build, lock_path, require_own_sources
from oakum.dockerfile import Lock, format_lock, unified_diff
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs.interface import SCHEMA, Outcome
from oakum.verbs.pending import remember_lines
from oakum.verbs.write_source import write_source


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """A lock that was made."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    outcome: Outcome
    """Whether the file changed."""
    path: str
    """The lock's file."""
    lock: Lock
    """What it says."""
    diff: str
    """What changed in it."""
    engine: EngineReport
    """What built it, and what it could not do."""


def lock(
    store: Store,
    request: BuildRequest,
    *,
    write: bool = True,
    registry: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Locked:
    """Build the sources as they stand, without a lock, and write what that resolved to.

    The tags of base images are asked anew.  Steps that are in the cache keep the versions that
    they installed; ``no_cache`` in the request runs them again.
    """
    if write:
        require_own_sources(request)
    fresh = msgspec.structs.replace(request, lock=None, pull=True)
    built = build(store, fresh, options=registry, progress=progress)
    remember_lines(store, built.image.manifest.digest, built.state.lines)
    path = lock_path(request)
    text = format_lock(built.lock)
    before = path.read_bytes() if path.exists() else b""
    if write and text != before:
        write_source(path, text)
    return Locked(
        outcome="done" if text != before else "nothing-to-do",
        path=str(path),
        lock=built.lock,
        diff=unified_diff(before, text, path.name),
        engine=built.engine,
    )
