"""Builds for several platforms: an image for each, and the index that lists them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oakum.builder.build import Built, build
from oakum.builder.images import Image
from oakum.builder.request import BuildRequest
from oakum.errors import UsageError
from oakum.oci import Descriptor, Index, Platform, Reference
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions


class BuiltIndex(msgspec.Struct, frozen=True):
    """Images of one Dockerfile for several platforms."""

    images: tuple[Built, ...]
    """The image for each platform, in the order in which they were asked for."""
    root: Descriptor
    """The index that lists them, in the store."""

    @property
    def first(self) -> Built:
        """The build of the first platform, whose image stands for the whole index."""
        built = self.images[0]
        image = built.image
        whole = Image(image.name, self.root, image.manifest, image.config, image.origin)
        return msgspec.structs.replace(built, image=whole)


def build_index(
    store: Store,
    request: BuildRequest,
    platforms: Sequence[Platform],
    *,
    tags: tuple[Reference, ...] = (),
    options: RegistryOptions | None = None,
    progress: Progress = silent,
) -> BuiltIndex:
    """Build for each platform, and name the index of the images when all are built.

    Raises what `build` raises; no name is changed then.
    """
    if len({str(platform.normalised()) for platform in platforms}) < len(platforms):
        raise UsageError("a platform is named twice", "name each once")
    images = []
    for platform in platforms:
        wanted = msgspec.structs.replace(request, platform=platform)
        images.append(build(store, wanted, options=options, progress=progress))
    listed = []
    for built in images:
        found = built.image.manifest.descriptor()
        listed.append(
            Descriptor(
                found.media_type, found.digest, found.size, platform=built.image.config.platform
            )
        )
    index = Index.make(tuple(listed))
    store.blobs.put(index.raw)
    root = Descriptor(index.media_type, index.digest, len(index.raw))
    for tag in tags:
        store.names.set(tag, root)
    return BuiltIndex(tuple(images), root)
