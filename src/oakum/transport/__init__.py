"""Where images live: registries, OCI layouts, archives, docker's daemon, oakum's own store."""

from __future__ import annotations

from oakum.oci import Reference
from oakum.transport.copy import Copied, copy_image
from oakum.transport.interface import ImageSource, ImageTarget
from oakum.transport.layers import ensure_layers
from oakum.transport.location import Location, parse_location
from oakum.transport.open import open_source, open_target
from oakum.transport.options import RegistryOptions
from oakum.transport.origins import Origins, layout_origin
from oakum.transport.pull import Pulled, is_attestation, pull

__all__ = [
    "Copied",
    "ImageSource",
    "ImageTarget",
    "Location",
    "Origins",
    "Pulled",
    "RegistryOptions",
    "copy_image",
    "ensure_layers",
    "is_attestation",
    "layout_origin",
    "list_tags",
    "open_source",
    "open_target",
    "parse_location",
    "pull",
]


def list_tags(reference: Reference, options: RegistryOptions) -> list[str]:
    """All tags of a repository of a registry."""
    from oakum.transport.registry import RegistrySource

    source = RegistrySource(reference, options)
    try:
        return source.tags()
    finally:
        source.close()
