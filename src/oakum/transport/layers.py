"""Bringing blobs into the store: side by side, checked, and only those that are not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from oakum.errors import InvalidImage
from oakum.oci import Descriptor, short
from oakum.progress import Event, Progress, silent
from oakum.store import Store
from oakum.transport.interface import ImageSource
from oakum.transport.options import RegistryOptions
from oakum.transport.origins import Origins
from oakum.transport.together import Stop, side_by_side


class Tee(Protocol):
    """Sees a blob's bytes while they go into the store."""

    def write(self, chunk: bytes) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


Consumer = Callable[[Descriptor], Tee]
_STEP = 4 << 20


def ensure_layers(
    store: Store,
    descriptors: Sequence[Descriptor],
    source: ImageSource | None,
    options: RegistryOptions = RegistryOptions(),
    *,
    progress: Progress = silent,
    consumer: Consumer | None = None,
) -> int:
    """Bring the blobs that the store lacks; the bytes that were fetched.

    Without a `source` each comes from a registry that is known to have it.  A blob is in the
    store only when its digest was right and its consumer was content.
    """
    missing: dict[str, Descriptor] = {}
    for descriptor in descriptors:
        if store.blobs.has(descriptor.digest, descriptor.size):
            task = f"pull {descriptor.digest}"
            progress(Event(task, "start", f"layer {short(descriptor.digest)}"))
            progress(Event(task, "cached"))
        else:
            missing[descriptor.digest] = descriptor
    if not missing:
        return 0
    origins = Origins(store, options, progress)
    try:
        side_by_side(
            [
                partial(_bring, store, descriptor, source or origins, progress, consumer)
                for descriptor in missing.values()
            ],
            options.jobs,
        )
    finally:
        origins.close()
    return sum(descriptor.size for descriptor in missing.values())


def _bring(
    store: Store,
    descriptor: Descriptor,
    source: ImageSource | Origins,
    progress: Progress,
    consumer: Consumer | None,
    stop: Stop,
) -> None:
    task = f"pull {descriptor.digest}"
    total = descriptor.size
    progress(Event(task, "start", f"layer {short(descriptor.digest)}", total=total))
    tee = consumer(descriptor) if consumer else None
    try:
        with store.blobs.writing(descriptor.digest) as writer:
            told = 0
            for chunk in stop.checked(source.blob(descriptor)):
                writer.write(chunk)
                if writer.size > total:
                    raise InvalidImage(
                        f"layer {descriptor.digest} is larger than the {total} bytes promised",
                        "the source is damaged or hostile; fetch it from elsewhere",
                    )
                if tee is not None:
                    tee.write(chunk)
                if writer.size - told >= _STEP:
                    told = writer.size
                    progress(Event(task, "advance", done=told, total=total))
            writer.check(total)
            if tee is not None:
                done, tee = tee, None
                done.finish()
            writer.commit(total)
    except BaseException:
        if tee is not None:
            tee.abort()
        progress(Event(task, "failed"))
        raise
    origin = source.origin()
    if origin is not None:
        store.remember_origin(descriptor.digest, origin.name)
    progress(Event(task, "advance", done=total, total=total))
    progress(Event(task, "done"))
