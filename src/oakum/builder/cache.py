"""The build cache: what a step of a given key gave before.

A key is made of contents only: the instruction after expansion, the identity of the parent's
content, the digests of what is copied or mounted, what the step sees of args and environment, and
the platform.  There is therefore one kind of key; a parent that came out identical is the same
parent, however it was made.  One key may have several results, one for each set of package
versions that the step once installed: a lock chooses among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from oakum.layer import Layer, known_index
from oakum.layer.read import INDEX_VERSION
from oakum.oci import Descriptor
from oakum.store import Store

CACHE_VERSION = "2"
LAYER_RECORD = f"index-{INDEX_VERSION}"
"""Kind of the record whose time says when a layer was last of use."""
_MOST_RESULTS = 16


class StepResult(msgspec.Struct, frozen=True):
    """What a step gave."""

    layer: Layer
    """The layer that it made, which may be empty."""
    content: str
    """Identity of the layer's content."""
    packages: dict[str, str] = {}
    """Packages that it installed or changed, ``name:architecture`` → version; "" for removed."""
    files: dict[str, str] = {}
    """What package archives gave it: URL → SHA-256."""
    epoch: int = 0
    """Newest source time that went into it, in seconds."""
    made: float = 0.0
    """When it was made, in seconds since the epoch."""
    seconds: float = 0.0
    """How long it took."""
    clamp: int | None = None
    """The newest time that the entries of a RUN's layer were allowed, in seconds; None: unknown."""
    exact: bool = False
    """Whether just what the step made has that time, so that it can be given another one."""
    recorded: int = 0
    """The newest older time of a source that a ``.pyc`` of the layer records."""


class Other(Protocol):
    """A cache from elsewhere."""

    def results(self, key: str) -> list[StepResult]:
        """Every result of the key, the newest first; their layers can be fetched."""


class BuildCache:
    """The results of steps, in a store."""

    def __init__(
        self,
        store: Store,
        others: Sequence[Other] = (),
        reachable: Callable[[Descriptor], bool] | None = None,
    ) -> None:
        """`others` are caches from elsewhere, which are asked for what this one lacks.

        `reachable` says whether a layer that is not in the store can be had.
        """
        self._store = store
        self._reachable = reachable or (lambda layer: bool(store.origins(layer.digest)))
        self._others = others
        self._kind = f"step-{CACHE_VERSION}"

    def results(self, key: str) -> list[StepResult]:
        """Every usable result of the key, the newest first."""
        raw = self._store.records.get(self._kind, key)
        if raw is None:
            return []
        try:
            results = msgspec.msgpack.decode(raw, type=list[StepResult])
        except msgspec.DecodeError:
            return []
        return [result for result in results if self._usable(result)]

    def _usable(self, result: StepResult) -> bool:
        descriptor = result.layer.descriptor
        if self._store.blobs.has(descriptor.digest, descriptor.size):
            return known_index(self._store, result.layer.diff_id) is not None
        return self._reachable(descriptor)

    def find(self, key: str, locked: Mapping[str, str] | None) -> StepResult | None:
        """The newest result of the key that agrees with the lock's versions.

        Without a lock it is the newest of those that no other surpasses: a build with an old lock,
        of another branch say, does not bring old versions back into one without.
        """
        found = _best(self.results(key), locked)
        if found is None and self._others:
            for other in self._others:
                for result in reversed(other.results(key)):
                    self.put(key, result)
            found = _best(self.results(key), locked)
        if found is not None:
            self._store.records.touch(LAYER_RECORD, found.layer.diff_id)
        return found

    def put(self, key: str, result: StepResult) -> None:
        """Keep a result, before the older ones of its key."""
        with self._store.place.serialised(f"step-{key[:2]}"):
            others = [
                other
                for other in self.results(key)
                if other.layer.diff_id != result.layer.diff_id and other.packages != result.packages
            ]
            dated = msgspec.structs.replace(result, made=time.time())
            kept = [dated, *others][:_MOST_RESULTS]
            self._store.records.put(self._kind, key, msgspec.msgpack.encode(kept))


def _best(results: list[StepResult], locked: Mapping[str, str] | None) -> StepResult | None:
    if locked is not None:
        results = [result for result in results if agrees(result.packages, locked)]
    elif len(results) > 1:
        results = [one for one in results if not any(surpasses(o, one) for o in results)]
    return next(iter(results), None)


def agrees(installed: Mapping[str, str], locked: Mapping[str, str]) -> bool:
    """Whether a step that installed these versions is what the lock asks for."""
    return dict(installed) == dict(locked)


def surpasses(one: StepResult, other: StepResult) -> bool:
    """Whether `one` has the same packages, some of them newer and none of them older."""
    from oakum.repository import compare_versions

    if one.packages.keys() != other.packages.keys():
        return False
    orders = [compare_versions(v, other.packages[name]) for name, v in one.packages.items()]
    return any(order > 0 for order in orders) and all(order >= 0 for order in orders)
