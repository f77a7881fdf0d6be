"""Bearer tokens: asked for by scope, renewed when they expire, from services of all kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oakum.errors import AccessDenied, OakumError, TransportError
from oakum.oci import Manifest
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.transport.registry.challenge import parse_challenges
from support.faulty import Answer, FaultyRegistry
from support.images import copy, fetch, is_untouched, publish
from support.logins import SECRET, USER, auth, configure, helper


def test_anonymous_tokens_are_fetched_for_pulls(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    faulty.login, faulty.anonymous = "bearer", True
    name = publish(faulty, "team/app", store, image)
    fetch(fresh, name, RegistryOptions(jobs=1))
    asked = [r.query for r in faulty.requests if r.path == "/token"]
    assert asked == [{"service": "faulty", "scope": "repository:team/app:pull"}]


def test_a_push_asks_for_the_right_to_push(
    locked: FaultyRegistry, store: Store, image: Manifest, nobodys_logins: Path
) -> None:
    configure(nobodys_logins, auths={locked.host: auth()})
    copy(store, f"store:{image.digest}", f"docker://{locked.host}/app:1")
    scopes = {r.query.get("scope") for r in locked.requests if r.path == "/token"}
    assert scopes == ({"repository:app:pull,push"} if locked.login == "bearer" else set())


@pytest.mark.parametrize("where", ["file", "helper"])
def test_an_identity_token_is_exchanged(
    faulty: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    programs: Path,
    where: str,
) -> None:
    faulty.login = "bearer"
    faulty.identity_tokens.add(SECRET)
    if where == "file":
        configure(nobodys_logins, auths={faulty.host: {"identitytoken": SECRET, **auth("x", "")}})
    else:
        answer = json.dumps({"Username": "<token>", "Secret": SECRET})
        helper(programs, "vault", f"echo '{answer}'")
        configure(nobodys_logins, credsStore="vault")
    fetch(fresh, publish(faulty, "app", store, image))
    assert all(r.method == "POST" for r in faulty.requests if r.path == "/token")
    assert not any("Basic" in r.headers.get("authorization", "") for r in faulty.requests)


@pytest.mark.parametrize("part", ["HEAD .*manifests", "GET .*manifests", "GET .*blobs"])
def test_a_token_that_expires_in_the_middle_of_a_pull_is_renewed(
    faulty: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    part: str,
) -> None:
    faulty.login, faulty.users[USER] = "bearer", SECRET
    configure(nobodys_logins, auths={faulty.host: auth()})
    name = publish(faulty, "app", store, image)
    faulty.expire(part)
    assert fetch(fresh, name).descriptor.digest == image.digest


@pytest.mark.parametrize("part", ["POST ", "PUT .*uploads", "PUT .*manifests", "HEAD .*blobs"])
def test_a_token_that_expires_in_the_middle_of_a_push_is_renewed(
    faulty: FaultyRegistry, store: Store, image: Manifest, nobodys_logins: Path, part: str
) -> None:
    faulty.login, faulty.users[USER] = "bearer", SECRET
    configure(nobodys_logins, auths={faulty.host: auth()})
    faulty.expire(part, times=1)
    copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1", RegistryOptions(jobs=1))
    assert faulty.manifests["app", "1"][0] == image.raw


def test_a_registry_that_never_accepts_its_own_tokens_ends(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    faulty.login, faulty.anonymous = "bearer", True
    faulty.expire("/v2/app", times=1000)
    with pytest.raises(AccessDenied):
        fetch(fresh, publish(faulty, "app", store, image))
    assert len(faulty.requests) < 20


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_service_that_is_busy_is_asked_again(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, status: int
) -> None:
    faulty.login, faulty.anonymous = "bearer", True
    faulty.answer(" /token", Answer(status, {"Retry-After": "0"}), times=3)
    faulty.cut(" /token", 3, times=1)
    fetch(fresh, publish(faulty, "app", store, image))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, b""),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b'{"token": 7}'),
        Answer(200, {}, b'{"token": ""}'),
        Answer(200, {}, b'{"token": "a\\r\\nX-Evil: 1"}'),
        Answer(200, {}, '{"token": "ключ"}'.encode()),
        Answer(200, {}, b'{"token": "t", "expires_in": "soon"}'),
        Answer(200, {}, b'{"token": "t", "expires_in": [1]}'),
        Answer(200, {}, b'{"a":' * 2000 + b"1" + b"}" * 2000),
        Answer(200, {"Content-Length": str(100 << 20)}, b" " * (2 << 20)),
        Answer(302, {"Location": "http://127.0.0.1:1/"}),
        Answer(500),
        Answer(raw=b"\xff\xff\xff\r\n\r\n"),
    ],
)
def test_a_token_service_that_gives_none_is_one_error(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, answer: Answer
) -> None:
    faulty.login = "bearer"
    faulty.answer(" /token", answer)
    name = publish(faulty, "app", store, image)
    with pytest.raises(TransportError, match="token service"):
        fetch(fresh, name, RegistryOptions(retries=1))
    assert is_untouched(fresh)


@pytest.mark.parametrize(
    "realm",
    ["", "nowhere", "ftp://127.0.0.1/token", "http://[::1", "http://192.0.2.1/token", "//"],
)
def test_a_token_service_at_no_proper_place_is_not_asked(
    faulty: FaultyRegistry, fresh: Store, nobodys_logins: Path, realm: str
) -> None:
    configure(nobodys_logins, auths={faulty.host: auth()})
    header = f'Bearer realm="{realm}",service="x"'
    faulty.answer("/v2/app", Answer(401, {"WWW-Authenticate": header}))
    faulty.answer(" /v2/nowhere", Answer(404))
    with pytest.raises(OakumError) as caught:
        fetch(fresh, f"{faulty.host}/app:1", RegistryOptions(retries=1))
    assert SECRET not in str(caught.value)
    assert all("192.0.2.1" not in r.headers.get("host", "") for r in faulty.requests)


@pytest.mark.parametrize(
    ("header", "schemes"),
    [
        ('Basic realm="a, b"', ["basic"]),
        ('Bearer realm="x",service="y", Basic realm="z"', ["bearer", "basic"]),
        ("Negotiate, Basic realm=z", ["negotiate", "basic"]),
        ('Bearer realm="a\\"b"', ["bearer"]),
        ("", []),
        (", ,", []),
        ('"Basic"', []),
        ("=" * 9000, []),
    ],
)
def test_challenges_are_read_as_the_standard_says(header: str, schemes: list[str]) -> None:
    assert [c.scheme for c in parse_challenges([header])] == schemes
