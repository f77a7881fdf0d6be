"""Writing the results of a build as a cache that another machine can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from oakum.builder.cache import CACHE_VERSION, BuildCache
from oakum.builder.cache_format import (
    ARTIFACT,
    DOCUMENT,
    FILE,
    INDEX,
    CacheDocument,
    CachedStep,
    CachePlace,
    encode_document,
)
from oakum.builder.state import StageState
from oakum.builder.steps import StepReport
from oakum.layer import Layer, known_index
from oakum.layer.entry import encode_index
from oakum.oci import Descriptor, Digest, Manifest
from oakum.progress import Event, Progress
from oakum.repository.archive_files import ArchiveFiles
from oakum.store import Store
from oakum.transport import (
    Copied,
    RegistryOptions,
    copy_image,
    open_source,
    open_target,
    parse_location,
)


def cached_steps(
    cache: BuildCache, reports: Iterable[StepReport], layers: frozenset[str] | None
) -> tuple[CachedStep, ...]:
    """The results that a build used, those alone whose layer is among `layers` (None: all).

    When a step was run says nothing of it, and is left out.
    """
    found: dict[tuple[str, str], CachedStep] = {}
    for report in reports:
        if not report.key or (layers is not None and report.layer not in layers):
            continue
        for result in cache.results(report.key):
            if result.layer.diff_id == report.layer:
                plain = msgspec.structs.replace(result, made=0.0, seconds=0.0)
                found[report.key, result.layer.diff_id] = CachedStep(report.key, plain)
    return tuple(found[key] for key in sorted(found))


def inline_document(
    cache: BuildCache, reports: Iterable[StepReport], state: StageState
) -> CacheDocument:
    """What an image says of its own steps."""
    own = frozenset(layer.diff_id for layer in state.stack.layers)
    steps = [
        CachedStep(step.key, msgspec.structs.replace(step.result, files={}))
        for step in cached_steps(cache, reports, own)
    ]
    return CacheDocument(CACHE_VERSION, tuple(steps))


def export_cache(
    store: Store,
    place: CachePlace,
    reports: Sequence[StepReport],
    state: StageState,
    stages: Mapping[str, StageState],
    options: RegistryOptions,
    progress: Progress,
) -> Copied:
    """Write the cache of a build to a registry or an OCI layout; what is there is not sent again.

    Raises what the place refuses with; then nothing stands under the cache's name that did not
    before.
    """
    states = list(stages.values()) if place.everything else [state]
    stacks: dict[str, Layer] = {x.diff_id: x for one in states for x in one.stack.layers}
    own = None if place.everything else frozenset(stacks)
    steps = cached_steps(BuildCache(store), reports, own)
    indexes = _indexes(store, stacks.values())
    files = _files(store, steps) if place.everything and place.packages else {}
    document = CacheDocument(
        CACHE_VERSION,
        steps,
        {diff_id: blob.digest for diff_id, blob in indexes.items()},
        {digest: seconds for digest, (_, seconds) in files.items()},
    )
    raw = encode_document(document)
    config = Descriptor(DOCUMENT, store.blobs.put(raw), len(raw))
    layers = {step.result.layer.descriptor.digest: step.result.layer for step in steps}
    manifest = Manifest.make(
        config,
        (
            *(layer.descriptor for _, layer in sorted(layers.items())),
            *(blob for _, blob in sorted(indexes.items())),
            *(blob for _, (blob, _) in sorted(files.items())),
        ),
        artifact_type=ARTIFACT,
    )
    digest = store.blobs.put(manifest.raw)
    progress(Event("cache", "start", f"write the cache to {place.where}"))
    source = open_source(parse_location(f"store:{digest}"), store, options, progress)
    target = open_target(place.location, store, options, progress)
    try:
        copied = copy_image(source, target, store=store, options=options, progress=progress)
    finally:
        source.close()
        target.close()
    progress(Event("cache", "done", f"{len(steps)} steps"))
    return copied


def _indexes(store: Store, layers: Iterable[Layer]) -> dict[str, Descriptor]:
    """The indexes of those layers that were read here, as blobs of the store."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=3)
    found: dict[str, Descriptor] = {}
    for layer in layers:
        index = known_index(store, layer.diff_id)
        if index is not None:
            raw = compressor.compress(encode_index(index))
            found[layer.diff_id] = Descriptor(INDEX, store.blobs.put(raw), len(raw))
    return found


def _files(store: Store, steps: Iterable[CachedStep]) -> dict[str, tuple[Descriptor, int]]:
    """The archives' files that steps were installed from, as blobs, with their times."""
    archive = ArchiveFiles(store.cache("archives"))
    found: dict[str, tuple[Descriptor, int]] = {}
    for step in steps:
        for digest in step.result.files.values():
            file = archive.open(digest) if digest not in found else None
            if file is None:
                continue
            with file, store.blobs.writing(Digest(f"sha256:{digest}")) as writer:
                while piece := file.read(1 << 20):
                    writer.write(piece)
                blob = writer.commit()
                found[digest] = (Descriptor(FILE, blob, writer.size), archive.time(digest))
    return found
