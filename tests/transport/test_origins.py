"""Layers that were never fetched come, when they are needed, from a registry that has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oakum.errors import AccessDenied, NotFound
from oakum.oci import Manifest
from oakum.store import Store
from oakum.transport import ensure_layers
from support.faulty import Answer, FaultyRegistry, running_faulty
from support.images import copy, fetch, publish


@pytest.fixture
def second() -> Iterator[FaultyRegistry]:
    """Another registry."""
    with running_faulty() as registry:
        yield registry


def test_layers_are_fetched_when_a_step_needs_them(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    fetch(fresh, publish(faulty, "app", store, image), layers="none")
    assert not any(fresh.blobs.has(layer.digest) for layer in image.layers)
    fetched = ensure_layers(fresh, image.layers, None)
    assert fetched == sum(layer.size for layer in image.layers)
    assert all(fresh.blobs.has(layer.digest, layer.size) for layer in image.layers)
    assert ensure_layers(fresh, image.layers, None) == 0


@pytest.mark.parametrize("answer", [Answer(404), Answer(403), Answer(400), Answer(500)])
def test_where_one_registry_fails_the_next_one_goes_on(
    faulty: FaultyRegistry,
    second: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    answer: Answer,
) -> None:
    for registry in (faulty, second):
        fetch(fresh, publish(registry, "app", store, image), layers="none")
    second.answer("GET .*blobs", answer)
    copy(fresh, f"store:{image.digest}", f"docker://{second.host}/elsewhere:1")
    assert second.manifests["elsewhere", "1"][0] == image.raw
    ensure_layers(fresh, image.layers, None)
    assert all(fresh.blobs.has(layer.digest, layer.size) for layer in image.layers)


def test_a_layer_that_no_registry_has_any_more_is_named(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    fetch(fresh, publish(faulty, "app", store, image), layers="none")
    faulty.answer("GET .*blobs", Answer(404))
    with pytest.raises(NotFound, match=image.layers[0].digest):
        ensure_layers(fresh, image.layers[:1], None)
    faulty.forget_faults()
    faulty.answer("GET .*blobs", Answer(403))
    with pytest.raises(AccessDenied, match=faulty.host):
        ensure_layers(fresh, image.layers[:1], None)


def test_a_layer_that_nobody_is_known_to_have_is_named(fresh: Store, image: Manifest) -> None:
    with pytest.raises(NotFound, match="no registry is known"):
        ensure_layers(fresh, image.layers, None)


def test_layers_that_the_target_can_mount_are_never_fetched(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    fetch(fresh, publish(faulty, "app", store, image), layers="none")
    faulty.requests.clear()
    copied = copy(fresh, f"store:{image.digest}", f"docker://{faulty.host}/other:1")
    assert copied.bytes_mounted == sum(layer.size for layer in image.layers)
    assert not faulty.lines("GET .*blobs/sha256")
