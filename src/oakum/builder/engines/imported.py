"""An image that another builder made, brought into the store with the layers that are known."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import msgspec

from oakum.builder.assemble import oci_descriptor
from oakum.builder.images import Image, Images
from oakum.builder.request import BuildRequest
from oakum.errors import InvalidImage, NotFound
from oakum.layer import IndexingTee, Layer, known_index, read_layer
from oakum.layer.compression import ChunkReader, Readable, compressor
from oakum.layer.compression import Compressor as Packer
from oakum.layer.read import check_diff_id, remember_layer
from oakum.oci import Compression, Config, Descriptor, Digest, Manifest, short
from oakum.oci.media import OCI_CONFIG, layer_compression, layer_media_type
from oakum.progress import Event, Progress
from oakum.store import Store
from oakum.transport import ImageSource, Location, ensure_layers, open_source, pull

PACKED = {kind: f"packed-{kind}" for kind in (Compression.GZIP, Compression.ZSTD)}
"""Kinds of records: by the diff ID of a layer that came uncompressed, its blob."""


def bring_in(
    images: Images, place: Location, request: BuildRequest, root: Image | None
) -> tuple[Image, frozenset[str]]:
    """The image at `place`, and the diff IDs of the layers that were new to the store.

    The config stays as it is, byte for byte.  Blobs are kept as they come, but for layers that
    come uncompressed: those of the base image `root` are the base's own blobs, others are
    compressed once.
    """
    store = images.store
    source = open_source(place, store, images.options, images.progress)
    try:
        pulled = pull(store, source, platform=request.platform, layers="none")
        manifest, config = pulled.manifest, pulled.config
        if manifest is None or config is None or len(manifest.layers) != len(config.diff_ids):
            raise InvalidImage(f"what {request.engine} built is no image", "see its output")
        listed = list(zip(manifest.layers, config.diff_ids, strict=True))
        new = frozenset(str(d) for _, d in listed if known_index(store, d) is None)
        _fetch_compressed(images, source, listed)
        below = {layer.diff_id: layer for layer in root.layers} if root else {}
        layers = [
            below.get(diff_id) or _layer(images, source, descriptor, diff_id, request.compression)
            for descriptor, diff_id in listed
        ]
    finally:
        source.close()
    return _assembled(store, config, layers), new


def _fetch_compressed(
    images: Images, source: ImageSource, listed: list[tuple[Descriptor, Digest]]
) -> None:
    promised = {d.digest: diff_id for d, diff_id in listed if not _is_plain(d)}
    with ThreadPoolExecutor(images.options.jobs) as pool:

        def tee(descriptor: Descriptor) -> IndexingTee:
            return IndexingTee(images.store, descriptor, promised[descriptor.digest], pool)

        ensure_layers(
            images.store,
            [descriptor for descriptor, _ in listed if descriptor.digest in promised],
            source,
            images.options,
            progress=images.progress,
            consumer=tee,
        )


def _is_plain(descriptor: Descriptor) -> bool:
    return layer_compression(descriptor.media_type) is Compression.NONE


def _layer(
    images: Images,
    source: ImageSource,
    descriptor: Descriptor,
    diff_id: Digest,
    compression: Compression,
) -> Layer:
    if not _is_plain(descriptor):
        return Layer(descriptor, diff_id, 0)
    store, kind = images.store, PACKED[compression]
    raw = store.records.get(kind, diff_id)
    if raw and known_index(store, diff_id) is not None:
        known = msgspec.msgpack.decode(raw, type=Descriptor)
        if store.blobs.has(known.digest, known.size):
            return Layer(known, diff_id, 0)
    packed = _packed(store, source, descriptor, diff_id, compression, images.progress)
    store.records.put(kind, diff_id, msgspec.msgpack.encode(packed))
    return Layer(packed, diff_id, 0)


class _Copied:
    """A readable whose bytes go into a compressor as they are read."""

    def __init__(self, source: Readable, packer: Packer) -> None:
        self._source = source
        self._packer = packer

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if data:
            self._packer.write(data)
        return data


def _packed(
    store: Store,
    source: ImageSource,
    descriptor: Descriptor,
    diff_id: Digest,
    compression: Compression,
    progress: Progress,
) -> Descriptor:
    """Compress a layer into the store, and index it in the same pass."""
    task = f"pack {diff_id}"
    progress(Event(task, "start", f"compress layer {short(diff_id)}", total=descriptor.size))
    workers = max(2, os.cpu_count() or 2)
    with store.blobs.writing() as blob, ThreadPoolExecutor(workers) as pool:
        packer = compressor(compression, blob, pool)
        plain = ChunkReader(source.blob(descriptor))
        index, kept = read_layer(_Copied(plain, packer))
        check_diff_id(index, descriptor, diff_id)
        packer.finish()
        digest = blob.commit()
        size = blob.size
    remember_layer(store, index, kept)
    store.remember_diff_id(digest, diff_id)
    progress(Event(task, "done"))
    return Descriptor(layer_media_type(compression), digest, size)


def _assembled(store: Store, config: Config, layers: list[Layer]) -> Image:
    descriptor = Descriptor(OCI_CONFIG, config.digest, len(config.raw))
    manifest = Manifest.make(descriptor, tuple(oci_descriptor(layer) for layer in layers))
    store.blobs.put(manifest.raw)
    return Image("", manifest.descriptor(), manifest, config)


def known_image(store: Store, digest: Digest) -> Image | None:
    """An image that was brought in before, while the store has it and its layers' indexes."""
    try:
        manifest = store.manifest(store.described(digest))
        if not isinstance(manifest, Manifest):
            return None
        config = store.config(manifest)
    except (NotFound, InvalidImage):
        return None
    if any(known_index(store, diff_id) is None for diff_id in config.diff_ids):
        return None
    return Image("", manifest.descriptor(), manifest, config)
