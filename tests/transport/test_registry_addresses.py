"""Where requests may go: https, http for loopback and declared hosts, redirects, certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.errors import AccessDenied, OakumError, TransportError, UsageError
from oakum.oci import Manifest
from oakum.progress import silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.transport.registry.address import (
    checked_host,
    is_loopback,
    may_be_plain,
    next_address,
)
from oakum.transport.registry.client import Client
from support.authority import Authority
from support.faulty import Answer, FaultyRegistry, Request, running_faulty
from support.images import copy, fetch, is_untouched, publish
from support.registry import running_registry


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that no machine knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[FaultyRegistry]:
    """A registry with a certificate of that authority."""
    with running_faulty(authority.server) as registry:
        yield registry


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("registry.localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1:5000", False),
        ("[::2]", False),
        ("[::1", False),
        ("registry.example", False),
        ("", False),
    ],
)
def test_what_loopback_is(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert may_be_plain(host, ()) is expected


def test_a_declared_host_may_be_plain_at_that_port_only() -> None:
    assert may_be_plain("lan.example:5000", ("lan.example:5000",))
    assert not may_be_plain("lan.example:5001", ("lan.example:5000",))
    assert not may_be_plain("lan.example", ("lan.example:5000",))


@pytest.mark.parametrize("host", ["registry.example", "10.1.2.3:5000"])
def test_other_hosts_are_spoken_to_over_https_without_a_trial(host: str) -> None:
    client = Client(host, RegistryOptions(), silent)
    assert client.base() == f"https://{host}"
    client.close()


@pytest.mark.parametrize(
    "text",
    ["", "http://mirror.example", "mirror.example/path", "mirror", "a b.example", "a.b:x", "[::1"],
)
def test_a_host_that_is_none_is_a_wrong_argument(text: str) -> None:
    with pytest.raises(UsageError, match="not a registry host"):
        checked_host(text)
    with pytest.raises(UsageError):
        Client("r.example", RegistryOptions(insecure=(text,)), silent)


@pytest.mark.parametrize(
    ("now", "place", "expected"),
    [
        ("https://r.example/v2/a", "/v2/b?x=1", "https://r.example/v2/b?x=1"),
        ("https://r.example/v2/a/", "b", "https://r.example/v2/a/b"),
        ("https://r.example/v2/a", "https://cdn.example/b#c", "https://cdn.example/b"),
        ("https://r.example/v2/a", "//cdn.example/b", "https://cdn.example/b"),
        ("http://localhost:5000/v2/a", "https://cdn.example/b", "https://cdn.example/b"),
        ("http://localhost:5000/v2/a", "http://127.0.0.1:9/b", "http://127.0.0.1:9/b"),
        ("http://lan.example/v2/a", "/b", "http://lan.example/b"),
    ],
)
def test_places_that_may_be_gone_to(now: str, place: str, expected: str) -> None:
    assert next_address(now, place, "r.example", ("lan.example",)) == expected


@pytest.mark.parametrize(
    ("now", "place"),
    [
        ("https://r.example/v2/a", "http://r.example/b"),
        ("https://r.example/v2/a", "http://localhost/b"),
        ("https://r.example/v2/a", "http://lan.example/b"),
        ("http://localhost/v2/a", "http://r.example/b"),
        ("http://localhost/v2/a", "http://lan.example:81/b"),
        ("http://localhost/v2/a", "file:///etc/passwd"),
        ("http://localhost/v2/a", "javascript:x"),
        ("http://localhost/v2/a", "https:///x"),
        ("http://localhost/v2/a", "http://[::1"),
        ("http://localhost/v2/a", "http://h:99999999/"),
        ("http://localhost/v2/a", "http://h:port/"),
        ("http://localhost/v2/a", "http://\x00/"),
        ("http://localhost/v2/a", "https://xn--\udcff/"),
        ("http://localhost/v2/a", "http://" + "a" * 70_000),
    ],
)
def test_places_that_must_not_be_gone_to(now: str, place: str) -> None:
    with pytest.raises(TransportError) as caught:
        next_address(now, place, "r.example", ("lan.example",))
    assert caught.value.todo


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, status: int
) -> None:
    name = publish(faulty, "app", store, image)
    publish(faulty, "moved", store, image)

    def moved(request: Request, right: Answer) -> Answer:
        return Answer(status, {"Location": request.path.replace("/app/", "/moved/")})

    faulty.change("GET /v2/app/", moved)
    assert fetch(fresh, name).descriptor.digest == image.digest


def test_redirects_in_a_circle_end(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.change("GET .*blobs", lambda request, _: Answer(302, {"Location": request.path}))
    with pytest.raises(TransportError, match="circle"):
        fetch(fresh, name)
    assert len(faulty.lines("GET .*blobs")) <= 10
    assert is_untouched(fresh)


@pytest.mark.parametrize("place", ["http://192.0.2.9/x", "http://[::1", "gopher://x/", "\xff\xfe"])
def test_a_redirect_to_nowhere_is_one_error(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, place: str
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.answer("GET .*blobs", Answer(307, {"Location": place}))
    with pytest.raises(OakumError):
        fetch(fresh, name, RegistryOptions(retries=1))
    assert is_untouched(fresh)


def test_a_redirect_from_https_to_http_is_refused(
    secure: FaultyRegistry,
    faulty: FaultyRegistry,
    authority: Authority,
    store: Store,
    image: Manifest,
    fresh: Store,
) -> None:
    publish(faulty, "app", store, image)
    name = publish(secure, "app", store, image)
    secure.change(
        "GET .*blobs", lambda request, _: Answer(307, {"Location": faulty.url + request.path})
    )
    with pytest.raises(TransportError, match="from https to http"):
        fetch(fresh, name, RegistryOptions(ca_certificates=authority.certificate))
    assert faulty.requests == []
    assert is_untouched(fresh)


def test_an_own_authority_is_trusted_when_it_is_named(
    secure: FaultyRegistry, authority: Authority, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(secure, "app", store, image)
    options = RegistryOptions(ca_certificates=authority.certificate)
    fetch(fresh, name, options)
    copy(store, f"store:{image.digest}", f"docker://{secure.host}/pushed:1", options)
    assert secure.manifests["pushed", "1"][0] == image.raw


def test_an_own_authority_in_the_environment_is_trusted(
    secure: FaultyRegistry,
    authority: Authority,
    store: Store,
    image: Manifest,
    fresh: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    fetch(fresh, publish(secure, "app", store, image))


def test_an_unknown_authority_is_refused_before_anything_is_sent(
    secure: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(secure, "app", store, image)
    with pytest.raises(AccessDenied, match="certificate") as caught:
        fetch(fresh, name)
    assert "--ca-certificates" in caught.value.todo
    with pytest.raises(AccessDenied, match="certificate"):
        copy(store, f"store:{image.digest}", f"docker://{secure.host}/pushed:1")
    assert secure.requests == []
    assert is_untouched(fresh)


def test_a_certificate_for_another_name_is_refused(
    authority: Authority, store: Store, image: Manifest, fresh: Store
) -> None:
    with running_faulty(authority.issue("other", "DNS:other.example")) as registry:
        name = publish(registry, "app", store, image)
        with pytest.raises(AccessDenied, match="certificate"):
            fetch(fresh, name, RegistryOptions(ca_certificates=authority.certificate))
        assert registry.requests == []


def test_a_declared_host_needs_no_certificate_and_others_still_do(
    secure: FaultyRegistry, authority: Authority, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(secure, "app", store, image)
    options = RegistryOptions(insecure=(secure.host,))
    fetch(fresh, name, options)
    with running_faulty(authority.server) as other:
        place = f"{other.url}/v2/app/blobs/x"
        secure.answer("GET .*blobs", Answer(307, {"Location": place}))
        with Store(fresh.root.parent / "another") as third, pytest.raises(AccessDenied):
            fetch(third, name, options)
        assert other.requests == []


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_certificates_that_are_none(tmp_path: Path, fresh: Store, text: str) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(text)
    for named in (path, tmp_path / "absent.pem"):
        with pytest.raises(UsageError, match=named.name):
            fetch(fresh, "127.0.0.1:1/app:1", RegistryOptions(ca_certificates=named))


def test_a_real_registry_over_https(
    authority: Authority, store: Store, image: Manifest, fresh: Store, tmp_path: Path
) -> None:
    certificate, key = authority.server
    tls = f", tls: {{certificate: {certificate}, key: {key}}}"
    with running_registry(tmp_path / "registry", http=tls) as host:
        options = RegistryOptions(ca_certificates=authority.certificate)
        copy(store, f"store:{image.digest}", f"docker://{host}/app:1", options)
        assert fetch(fresh, f"{host}/app:1", options).descriptor.digest == image.digest
        with pytest.raises(AccessDenied, match="not trusted"):
            fetch(fresh, f"{host}/app:1")
