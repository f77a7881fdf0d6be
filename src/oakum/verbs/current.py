"""The image that the sources make as they stand, out of the build cache."""

from __future__ import annotations

import msgspec

from oakum.builder import BuildRequest, Built, Images, NotCached, build
from oakum.dockerfile import Lock
from oakum.store import Store
from oakum.transport import RegistryOptions


def current_image(
    store: Store, request: BuildRequest, lock: Lock | None, registry: RegistryOptions
) -> Built | None:
    """The image as its sources stand, when every step of it is in the cache."""
    cached = msgspec.structs.replace(
        request, only_cached=True, lock=lock, pull=False, no_cache=False, no_cache_filter=()
    )
    try:
        built = build(store, cached, options=registry)
    except NotCached:
        return None
    # A step's result may be known from a cache elsewhere; what is looked at must be here.
    stacks = [state.stack.layers for state in built.stages.values()]
    Images(store, registry).fetch([layer for layers in stacks for layer in layers])
    return built
