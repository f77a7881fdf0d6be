"""Layers of RUN out of the cache with the times that a build fixes.

Times are in no key, or every commit would run every step again: a result that is found was perhaps
made with other ones.  Where it is known which times the step made itself, the layer is written
again, so that it is the one that a machine without a cache would make; nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from oakum.builder.cache import StepResult
from oakum.builder.layering import settled_pyc
from oakum.builder.steps import Workshop
from oakum.layer import Entry, Kind, Layer
from oakum.layer.read import layer_members


def dated(shop: Workshop, key: str, result: StepResult) -> StepResult | None:
    """The result with no time newer than ``SOURCE_DATE_EPOCH``, and kept so; itself without one.

    What the step made gets just that time.  None where that cannot be told from what was there
    before: the step has to run.
    """
    epoch, old = shop.request.source_date_epoch, result.clamp
    if epoch is None or old == epoch:
        return result
    (index,) = shop.snapshots.indexes([result.layer])
    if not any(_has_time(entry) for entry in index.entries):
        return result
    if old is None or not result.exact or result.recorded > epoch:
        return None

    def time(found: int) -> int:
        return epoch if found == old else min(found, epoch)

    layer, _ = shop.layering.write(_entries(shop, result.layer, time))
    older = max((e.mtime for e in index.entries if _has_time(e) and e.mtime != old), default=0)
    exact = max(older, result.recorded) < epoch
    made = msgspec.structs.replace(result, layer=layer, clamp=epoch, exact=exact)
    shop.remember(key, made)
    return made


def _has_time(entry: Entry) -> bool:
    return entry.kind not in (Kind.WHITEOUT, Kind.OPAQUE)


def _entries(
    shop: Workshop, layer: Layer, time: Callable[[int], int]
) -> Iterator[tuple[Entry, Callable[[], Iterator[bytes]] | None]]:
    shop.images.fetch([layer])
    for header, content in layer_members(shop.store, layer.descriptor.digest):
        entry = header.entry()
        if _has_time(entry):
            entry = msgspec.structs.replace(entry, mtime=time(entry.mtime))
        if entry.path.endswith(b".pyc"):
            content = settled_pyc(content, time)
        yield entry, partial(iter, content) if entry.kind is Kind.FILE else None
