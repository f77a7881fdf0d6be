"""Media types of OCI image-spec v1.1 and Docker image manifest v2 schema 2."""

from __future__ import annotations

from enum import StrEnum

from oakum.errors import InvalidImage

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"
OCI_NONDISTRIBUTABLE_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)


class Compression(StrEnum):
    """How the bytes of a layer blob are compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_SUFFIXES = {
    f"{OCI_LAYER}": Compression.NONE,
    f"{OCI_LAYER}+gzip": Compression.GZIP,
    f"{OCI_LAYER}+zstd": Compression.ZSTD,
    f"{OCI_NONDISTRIBUTABLE_LAYER}": Compression.NONE,
    f"{OCI_NONDISTRIBUTABLE_LAYER}+gzip": Compression.GZIP,
    f"{OCI_NONDISTRIBUTABLE_LAYER}+zstd": Compression.ZSTD,
    f"{DOCKER_LAYER}": Compression.NONE,
    f"{DOCKER_LAYER}.gzip": Compression.GZIP,
    f"{DOCKER_LAYER}.zstd": Compression.ZSTD,
    f"{DOCKER_FOREIGN_LAYER}": Compression.NONE,
    f"{DOCKER_FOREIGN_LAYER}.gzip": Compression.GZIP,
}


def is_layer(media_type: str) -> bool:
    """Whether the media type is that of a file system layer."""
    return media_type in _SUFFIXES


def layer_compression(media_type: str) -> Compression:
    """The compression that a layer's media type promises; `InvalidImage` if it is no layer."""
    try:
        return _SUFFIXES[media_type]
    except KeyError:
        raise InvalidImage(
            f"media type {media_type[:120]!r} is not a file system layer",
            "this is an artifact rather than a container image, or a format oakum does not know",
        ) from None


def layer_media_type(compression: Compression, *, docker: bool = False) -> str:
    """The media type of a layer with this compression, in OCI's or Docker's words."""
    if docker and compression is not Compression.ZSTD:
        return DOCKER_LAYER if compression is Compression.NONE else f"{DOCKER_LAYER}.gzip"
    return OCI_LAYER if compression is Compression.NONE else f"{OCI_LAYER}+{compression}"
