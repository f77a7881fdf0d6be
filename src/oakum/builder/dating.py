"""Layers out of the cache with the times that a build fixes.

Times are in no key, or every commit would run every step again: a result that is found was perhaps
made with other ones.  The layer is then written again, so that it is the one that a machine without
a cache would make; nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec

from oakum.builder.cache import StepResult
from oakum.builder.layering import SettledTime, recorded_in, settled_pyc
from oakum.builder.steps import Workshop
from oakum.layer import Entry, Kind, Layer
from oakum.layer.compression import decompressed
from oakum.layer.read import max_layer_bytes
from oakum.layer.tar import TarStream, read_tar

_MADE = 1 << 62


def dated(shop: Workshop, key: str, result: StepResult) -> StepResult:
    """The result with no time newer than ``SOURCE_DATE_EPOCH``, and kept so; itself without one.

    What the layer's own making held to its newest time gets that of this build.
    """
    epoch = shop.request.source_date_epoch
    if epoch is None or result.clamp == epoch:
        return result

    (index,) = shop.snapshots.indexes([result.layer])
    times = _Times(result.clamp, epoch, result.own_times)
    if all(times.of(entry) == entry.mtime for entry in index.entries):
        return result
    layer, _ = shop.layering.write(_entries(shop, result.layer, times))
    own = {e.path: t for e in index.entries if epoch <= (t := times.own(e)) < _MADE}
    recorded = {name: t for name, t in result.own_times.items() if name.endswith(b"\0")}
    own |= {name: t for name, t in recorded.items() if t >= epoch}
    made = msgspec.structs.replace(result, layer=layer, clamp=epoch, own_times=own)
    shop.remember(key, made)
    return made


class _Times(msgspec.Struct, frozen=True):
    """The times of a layer's entries, once they are held to another newest one."""

    old: int | None
    """The newest one that they were held to."""
    new: int
    """The newest one now."""
    known: Mapping[bytes, int]
    """The own times of those that were held to it."""

    def own(self, entry: Entry) -> int:
        """The time of an entry that it was not held to; `_MADE` for what its step made."""
        return self.known.get(entry.path, _MADE if entry.mtime == self.old else entry.mtime)

    def of(self, entry: Entry) -> int:
        """The entry's time now."""
        if entry.kind in (Kind.WHITEOUT, Kind.OPAQUE):
            return entry.mtime
        return min(self.own(entry), self.new)

    def recorded(self, path: bytes) -> SettledTime:
        """What the ``.pyc`` at `path` records now."""
        own = self.known.get(recorded_in(path), _MADE)
        return lambda time: min(own if time == self.old else time, self.new)


def _entries(
    shop: Workshop, layer: Layer, times: _Times
) -> Iterator[tuple[Entry, Callable[[], Iterator[bytes]] | None]]:
    shop.images.fetch([layer])
    with shop.store.blobs.open(layer.descriptor.digest) as file:
        for header, content in read_tar(TarStream(decompressed(file), max_layer_bytes())):
            found = header.entry()
            entry = msgspec.structs.replace(found, mtime=times.of(found))
            if entry.path.endswith(b".pyc"):
                content = settled_pyc(content, times.recorded(entry.path))
            yield entry, partial(iter, content) if entry.kind is Kind.FILE else None
