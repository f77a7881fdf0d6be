"""Reading caches that other machines wrote: results by key, layers only when they are needed.

A cache is trusted as far as the layers that it names, and no farther: what it says of a layer's
entries counts for the build that reads it, and is never kept as the store's own knowledge.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from oakum.builder.cache import StepResult
from oakum.builder.cache_format import (
    ANNOTATION,
    ARTIFACT,
    INDEX,
    CacheDocument,
    CachePlace,
    decode_document,
    of_annotation,
)
from oakum.errors import InvalidImage, NotFound, OakumError
from oakum.layer import LayerIndex
from oakum.layer.entry import decode_index
from oakum.oci import Descriptor, Digest, Index, Manifest, Platform
from oakum.oci.digest import hasher_for
from oakum.oci.media import INDEXES, is_layer
from oakum.progress import Event, Progress
from oakum.repository.archive_files import ArchiveFiles
from oakum.store import Store
from oakum.transport import ImageSource, RegistryOptions, layout_origin, open_source
from oakum.transport.pull import is_attestation

_MOST_INDEX = 512 << 20


class ImportedCache:
    """One cache, read from where it is."""

    def __init__(
        self,
        store: Store,
        source: ImageSource,
        origin: str,
        manifest: Manifest,
        document: CacheDocument,
    ) -> None:
        self._store = store
        self._origin = origin
        self._source = source
        self._blobs = {blob.digest: blob for blob in manifest.layers}
        self._steps: dict[str, list[StepResult]] = {}
        for step in document.steps:
            layer = step.result.layer.descriptor
            # A result whose layer is not here too is of no use.
            if layer.digest in self._blobs and is_layer(layer.media_type):
                self._steps.setdefault(step.key, []).append(step.result)
        self._document = document
        self._lock = threading.Lock()
        self._indexes: dict[str, LayerIndex | None] = {}

    def results(self, key: str) -> list[StepResult]:
        """The results for a key; their layers can be fetched from now on."""
        found = self._steps.get(key, [])
        for result in found:
            self._store.remember_origin(result.layer.descriptor.digest, self._origin)
        return found

    def index(self, diff_id: Digest) -> LayerIndex | None:
        """What the cache says that a layer holds; None when it says nothing."""
        with self._lock:
            if diff_id not in self._indexes:
                self._indexes[diff_id] = self._index(diff_id)
            return self._indexes[diff_id]

    def _index(self, diff_id: Digest) -> LayerIndex | None:
        import zstandard

        blob = self._blobs.get(self._document.indexes.get(diff_id, Digest("")))
        if blob is None or blob.media_type != INDEX or blob.size > _MOST_INDEX:
            return None
        try:
            raw = b"".join(self._pieces(blob))
            index = decode_index(
                zstandard.ZstdDecompressor().decompress(raw, max_output_size=_MOST_INDEX)
            )
        except (OakumError, zstandard.ZstdError):
            return None
        return index if index is not None and index.diff_id == diff_id else None

    def bring_file(self, archive: ArchiveFiles, digest: str) -> bool:
        """Fetch a file that a step was installed from; whether it is here now."""
        blob = self._blobs.get(Digest(f"sha256:{digest}"))
        if blob is None:
            return False
        try:
            with archive.receiving() as (file, path):
                for piece in self._pieces(blob):
                    file.write(piece)
                file.flush()
                archive.keep(path, digest, self._document.times.get(digest, 0))
        except OakumError:
            return False
        return True

    def _pieces(self, blob: Descriptor) -> Iterator[bytes]:
        """The blob's bytes; `InvalidImage` at the end when they are not of its digest."""
        hasher, size = hasher_for(blob.digest), 0
        for piece in self._source.blob(blob):
            size += len(piece)
            if size > blob.size:
                break
            hasher.update(piece)
            yield piece
        if size != blob.size or not blob.digest.endswith(f":{hasher.hexdigest()}"):
            raise InvalidImage(f"blob {blob.digest} of the cache is damaged", "write it anew")

    def close(self) -> None:
        """Let go of connections."""
        self._source.close()


def import_caches(
    store: Store,
    places: Iterable[CachePlace],
    platform: Platform,
    options: RegistryOptions,
    progress: Progress,
) -> list[ImportedCache]:
    """The caches that can be read; one that cannot is told of, and the build goes on without."""
    found = []
    for place in places:
        try:
            imported = _import(store, place, platform, options, progress)
        except OakumError as error:
            progress(Event("cache", "note", f"no cache from {place.where}: {error.what}"))
            continue
        found.append(imported)
    return found


def _import(
    store: Store,
    place: CachePlace,
    platform: Platform,
    options: RegistryOptions,
    progress: Progress,
) -> ImportedCache:
    source = open_source(place.location, store, options, progress)
    try:
        manifest = _manifest(source, platform)
        what = f"the cache at {place.where}"
        if manifest.artifact_type == ARTIFACT:
            document = decode_document(source.document(manifest.config), what)
        elif ANNOTATION in manifest.annotations:
            document = of_annotation(manifest.annotations[ANNOTATION], what)
        else:
            raise InvalidImage(
                f"{place.where} has no cache of oakum's",
                "write one with --cache-to; caches of BuildKit hold no keys that oakum could ask",
            )
        origin = source.origin()
        name = origin.name if origin is not None else layout_origin(Path(place.where))
        return ImportedCache(store, source, name, manifest, document)
    except BaseException:
        source.close()
        raise


def _manifest(source: ImageSource, platform: Platform) -> Manifest:
    root = source.resolve()
    raw = source.document(root)
    if root.media_type not in INDEXES:
        return Manifest.parse(raw, root.media_type)
    index = Index.parse(raw, root.media_type)
    for child in index.manifests:
        if not is_attestation(child) and (child.platform is None or child.platform == platform):
            return Manifest.parse(source.document(child), child.media_type)
    raise NotFound(f"the index has no image for {platform}", "write the cache with this platform")
