"""Small images of every format, and moving them about."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile

import zstandard

from oakum.oci import Compression, Config, Descriptor, Manifest, Platform, digest_of
from oakum.oci.image import Index
from oakum.oci.media import DOCKER_CONFIG, OCI_CONFIG, layer_media_type
from oakum.store import Store, check_store
from oakum.transport import (
    Copied,
    Pulled,
    RegistryOptions,
    copy_image,
    open_source,
    open_target,
    parse_location,
    pull,
)
from support.faulty import FaultyRegistry


def layer(text: str, kind: Compression = Compression.GZIP) -> tuple[bytes, str]:
    """A layer with one file, and its diff ID."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    raw = out.getvalue()
    if kind is Compression.GZIP:
        return gzip.compress(raw, mtime=0), digest_of(raw)
    packed = zstandard.compress(raw) if kind is Compression.ZSTD else raw
    return packed, digest_of(raw)


def make_image(
    store: Store,
    *texts: str,
    architecture: str = "amd64",
    kind: Compression = Compression.GZIP,
    docker: bool = False,
) -> Manifest:
    """An image in the store with a layer for each text."""
    layers, diff_ids = [], []
    for text in texts:
        blob, diff_id = layer(text, kind)
        digest = store.blobs.put(blob)
        layers.append(Descriptor(layer_media_type(kind, docker=docker), digest, len(blob)))
        diff_ids.append(diff_id)
    config = Config.make(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/file"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": text[:40]} for text in texts],
            "x-unknown": ["kept"],
        }
    )
    store.blobs.put(config.raw)
    config_type = DOCKER_CONFIG if docker else OCI_CONFIG
    manifest = Manifest.make(Descriptor(config_type, config.digest, len(config.raw)), tuple(layers))
    store.blobs.put(manifest.raw)
    return manifest


def publish(
    registry: FaultyRegistry, name: str, store: Store, image: Manifest | Index, tag: str = "1"
) -> str:
    """Lay an image of the store into a faulty registry; its reference."""
    if isinstance(image, Index):
        for child in image.manifests:
            publish(registry, name, store, Manifest.parse(store.manifest_bytes(child)), tag)
        registry.tags[name].clear()
    else:
        for blob in (*image.layers, image.config):
            registry.put_blob(name, store.blobs.path(blob.digest).read_bytes())
    registry.put_manifest(name, tag, image.raw, image.media_type)
    return f"{registry.host}/{name}:{tag}"


def copy(
    store: Store,
    source: str,
    target: str,
    options: RegistryOptions = RegistryOptions(),
    **more: object,
) -> Copied:
    """Copy from place to place."""
    read = open_source(parse_location(source), store, options)
    try:
        write = open_target(parse_location(target), store, options)
        try:
            return copy_image(read, write, store=store, options=options, **more)  # type: ignore[arg-type]
        finally:
            write.close()
    finally:
        read.close()


def fetch(
    store: Store, name: str, options: RegistryOptions = RegistryOptions(), **more: object
) -> Pulled:
    """Pull an image of a registry into the store."""
    source = open_source(parse_location(f"docker://{name}"), store, options)
    more.setdefault("platform", Platform("amd64"))
    try:
        return pull(store, source, name=source.origin(), options=options, **more)  # type: ignore[arg-type]
    finally:
        source.close()


def is_untouched(store: Store) -> bool:
    """Whether a store that something failed in is whole and names nothing."""
    return check_store(store).outcome == "nothing-to-do" and not list(store.names.all())


def skopeo_digest(place: str) -> str:
    """The digest that skopeo finds at a place."""
    command = ["skopeo", "inspect", "--tls-verify=false", "--raw", place]
    return digest_of(subprocess.run(command, check=True, capture_output=True).stdout)
