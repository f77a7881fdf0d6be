"""Mirrors are asked first and the registry when they fail; proxies are those of the environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oakum.errors import DigestMismatch, NotFound, OakumError
from oakum.oci import Manifest, parse_reference
from oakum.progress import silent
from oakum.store import Store
from oakum.transport import RegistryOptions, list_tags
from oakum.transport.registry.client import Client
from support.faulty import Answer, FaultyRegistry, running_faulty
from support.images import copy, fetch, is_untouched, make_image, publish


@pytest.fixture
def mirror() -> Iterator[FaultyRegistry]:
    """Another registry."""
    with running_faulty() as registry:
        yield registry


@pytest.fixture
def options(faulty: FaultyRegistry, mirror: FaultyRegistry) -> RegistryOptions:
    """A mirror of the registry."""
    return RegistryOptions(mirrors={faulty.host: (mirror.host,)})


def test_a_mirror_that_has_everything_is_the_only_one_asked(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    options: RegistryOptions,
    store: Store,
    image: Manifest,
    fresh: Store,
) -> None:
    publish(mirror, "app", store, image)
    pulled = fetch(fresh, f"{faulty.host}/app:1", options)
    assert pulled.descriptor.digest == image.digest
    assert faulty.requests == []
    assert list_tags(parse_reference(f"{faulty.host}/app"), options) == ["1"]
    assert [named.name for named in fresh.names.all()] == [f"{faulty.host}/app:1"]


@pytest.mark.parametrize(
    "answer", [Answer(404), Answer(401), Answer(403), Answer(500), Answer(429), Answer(raw=b"")]
)
@pytest.mark.parametrize("part", ["", "manifests", "blobs"])
def test_a_mirror_that_fails_is_replaced_by_the_registry(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    options: RegistryOptions,
    store: Store,
    image: Manifest,
    fresh: Store,
    answer: Answer,
    part: str,
) -> None:
    publish(mirror, "app", store, image)
    name = publish(faulty, "app", store, image)
    mirror.answer(part, answer)
    assert fetch(fresh, name, options).descriptor.digest == image.digest


def test_a_mirror_that_is_off_is_replaced_by_the_registry(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(faulty, "app", store, image)
    options = RegistryOptions(mirrors={faulty.host: ("127.0.0.1:1",)})
    assert fetch(fresh, name, options).descriptor.digest == image.digest


def test_a_layer_that_the_mirror_cuts_is_continued_at_the_registry(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    options: RegistryOptions,
    store: Store,
    fresh: Store,
) -> None:
    image = make_image(store, "x" * 50_000)
    publish(mirror, "app", store, image)
    name = publish(faulty, "app", store, image)
    mirror.cut(f"GET .*{image.layers[0].digest}", 30, times=1)
    mirror.answer(f"GET .*{image.layers[0].digest}", Answer(404), times=1000)
    assert fetch(fresh, name, options).descriptor.digest == image.digest


def test_a_document_that_the_mirror_damages_comes_from_the_registry(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    options: RegistryOptions,
    store: Store,
    image: Manifest,
    fresh: Store,
) -> None:
    publish(mirror, "app", store, image)
    name = publish(faulty, "app", store, image)
    mirror.change(
        f"GET .*{image.config.digest}", lambda _, right: Answer(200, {}, right.body[:-1] + b"x")
    )
    assert fetch(fresh, name, options).descriptor.digest == image.digest


def test_a_layer_that_the_mirror_damages_is_found_out(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    options: RegistryOptions,
    store: Store,
    image: Manifest,
    fresh: Store,
) -> None:
    publish(mirror, "app", store, image)
    name = publish(faulty, "app", store, image)
    mirror.change(
        f"GET .*{image.layers[0].digest}", lambda _, right: Answer(200, {}, right.body[:-1] + b"x")
    )
    with pytest.raises(DigestMismatch):
        fetch(fresh, name, options)
    assert is_untouched(fresh)


def test_what_neither_has_is_the_registrys_error(
    faulty: FaultyRegistry, mirror: FaultyRegistry, options: RegistryOptions, fresh: Store
) -> None:
    with pytest.raises(NotFound, match=f": {faulty.host} does not have it"):
        fetch(fresh, f"{faulty.host}/app:1", options)


def test_nothing_is_pushed_to_a_mirror(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    options: RegistryOptions,
    store: Store,
    image: Manifest,
) -> None:
    copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1", options)
    assert mirror.requests == []


def test_a_proxy_is_used_for_other_hosts_and_never_for_loopback(
    faulty: FaultyRegistry,
    mirror: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = mirror
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    fetch(fresh, publish(faulty, "app", store, image))
    port = faulty.host.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1"):
        fetch(fresh, f"{host}:{port}/app:1")
    assert proxy.requests == []
    proxy.answer("/proxied", Answer(404))
    with pytest.raises(NotFound):
        fetch(fresh, "lan.example:5000/app:1", RegistryOptions(insecure=("lan.example:5000",)))
    assert proxy.lines("HEAD /proxied")


def test_hosts_that_are_excepted_are_not_asked_through_the_proxy(
    mirror: FaultyRegistry, fresh: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, mirror.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "lan.invalid")
    with pytest.raises(OakumError, match="reach"):
        options = RegistryOptions(insecure=("lan.invalid:5000",), retries=0)
        fetch(fresh, "lan.invalid:5000/app:1", options)
    assert mirror.requests == []


def test_https_goes_through_the_proxy_as_a_tunnel(
    mirror: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, mirror.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for options in (RegistryOptions(retries=0), RegistryOptions(("r.example",), retries=0)):
        client = Client("r.example", options, silent)
        with (
            pytest.raises(OakumError, match="reach"),
            client.request("GET", "https://r.example/v2/", scopes=(), what="try"),
        ):
            pass
        client.close()
        assert set(mirror.lines("CONNECT")) == {"CONNECT r.example:443"}
        mirror.requests.clear()
