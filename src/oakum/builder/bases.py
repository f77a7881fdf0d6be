"""Base images by the names that a Dockerfile has for them."""

from __future__ import annotations

import msgspec

from oakum.builder.images import Image, Images, reference_of
from oakum.builder.request import BuildRequest
from oakum.errors import Unsupported
from oakum.oci import Digest, Platform


class FoundBase(msgspec.Struct, frozen=True):
    """The image that a name stands for."""

    plain: str
    """The name without the scheme of a build context."""
    image: Image
    """The image."""
    digest: Digest | None
    """What a lock keeps of it; None for a place on this machine."""


def find_base(images: Images, request: BuildRequest, name: str, platform: Platform) -> FoundBase:
    """The image at `name`: a reference, or the place of a build context.

    Raises `Unsupported` for a context of another kind, and what finding the image raises.
    """
    plain = name
    if name.startswith(("docker-image://", "oci-layout://")):
        plain = name.removeprefix("docker-image://")
        plain = plain.replace("oci-layout://", "oci:", 1)
    elif "://" in name:
        raise Unsupported(
            f"a build context at {name[:120]} is not built yet",
            "name a directory, docker-image://… or oci-layout://…",
        )
    locked = request.lock.base(plain, str(platform)) if request.lock else None
    refresh = request.pull and locked is None
    image = images.find(plain, platform, refresh=refresh, digest=locked)
    if plain.startswith("oci:"):
        return FoundBase(plain, image, None)
    return FoundBase(plain, image, reference_of(plain).digest or locked or image.root.digest)
