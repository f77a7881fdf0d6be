"""Logging in: where logins come from, how they are offered, and that nobody else sees them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.errors import AccessDenied, OakumError, TransportError, UsageError
from oakum.oci import Manifest, parse_reference
from oakum.progress import Event
from oakum.store import Store
from oakum.transport import RegistryOptions, pull
from oakum.transport.registry import RegistrySource
from oakum.transport.registry.challenge import parse_challenges
from oakum.transport.registry.credentials import find_login
from support.faulty import Answer, FaultyRegistry, running_faulty
from support.images import copy, fetch, is_untouched, publish
from support.registry import running_registry

SECRET = "s3cret-pass-word"
HASHED = "$2b$05$abcdefghijklmnopqrstuuCY0HKBMXoPuDRqJ8QoGhdNRz.1jPsC."
"""The secret as ``htpasswd -B`` would write it."""
USER = "alice"


def auth(user: str = USER, password: str = SECRET) -> dict[str, str]:
    """What ``docker login`` writes."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def configure(place: Path, **document: object) -> None:
    (place / "config.json").write_text(json.dumps(document))


def helper(place: Path, name: str, script: str) -> None:
    """A credential helper on PATH."""
    program = place / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture(params=["basic", "bearer"])
def locked(request: pytest.FixtureRequest) -> Iterator[FaultyRegistry]:
    """A registry that lets one user in."""
    with running_faulty() as registry:
        registry.login = request.param
        registry.users[USER] = SECRET
        yield registry


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory at the front of PATH."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


def test_anonymous_tokens_are_fetched_for_pulls(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    faulty.login, faulty.anonymous = "bearer", True
    name = publish(faulty, "team/app", store, image)
    fetch(fresh, name, RegistryOptions(jobs=1))
    asked = [r.query for r in faulty.requests if r.path == "/token"]
    assert asked == [{"service": "faulty", "scope": "repository:team/app:pull"}]


@pytest.mark.parametrize("form", ["host", "url", "v2", "name-and-password", "repository"])
def test_a_login_is_found_in_dockers_configuration(
    locked: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    form: str,
) -> None:
    key = {
        "url": f"https://{locked.host}",
        "v2": f"http://{locked.host}/v2/",
        "repository": f"{locked.host}/team",
    }.get(form, locked.host)
    entry = {"username": USER, "password": SECRET} if form.startswith("name") else auth()
    configure(nobodys_logins, auths={key: entry, "other.example": auth("mallory")})
    name = publish(locked, "team/app", store, image)
    fetch(fresh, name)
    copy(store, f"store:{image.digest}", f"docker://{locked.host}/team/pushed:1")
    assert locked.manifests["team/pushed", "1"][0] == image.raw


def test_a_push_asks_for_the_right_to_push(
    locked: FaultyRegistry, store: Store, image: Manifest, nobodys_logins: Path
) -> None:
    configure(nobodys_logins, auths={locked.host: auth()})
    copy(store, f"store:{image.digest}", f"docker://{locked.host}/app:1")
    scopes = {r.query.get("scope") for r in locked.requests if r.path == "/token"}
    assert scopes == ({"repository:app:pull,push"} if locked.login == "bearer" else set())


def test_podmans_files_are_read_too(
    locked: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {locked.host: auth()}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    fetch(fresh, publish(locked, "app", store, image))


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_credential_helper_is_asked(
    locked: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    programs: Path,
    key: str,
) -> None:
    answer = json.dumps({"ServerURL": locked.host, "Username": USER, "Secret": SECRET})
    helper(programs, "vault", f"test \"$1\" = get; cat > {programs}/asked; echo '{answer}'")
    configure(
        nobodys_logins,
        auths={locked.host: {}},
        **{key: {locked.host: "vault"} if key == "credHelpers" else "vault"},
    )
    fetch(fresh, publish(locked, "app", store, image))
    assert (programs / "asked").read_text() == locked.host


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo broken >&2; exit 1", "failed"),
        ("echo not json", "gave no login"),
        ("echo '[]'", "gave no login"),
        ("printf '\\377'", "gave no login"),
    ],
)
def test_a_credential_helper_that_fails_is_named(
    locked: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    programs: Path,
    script: str,
    said: str,
) -> None:
    helper(programs, "broken", script)
    configure(nobodys_logins, credHelpers={locked.host: "broken"})
    name = publish(locked, "app", store, image)
    with pytest.raises(AccessDenied, match=f"docker-credential-broken.*{said}"):
        fetch(fresh, name)
    assert is_untouched(fresh)


def test_a_credential_helper_that_is_missing_or_no_name(
    locked: FaultyRegistry, store: Store, image: Manifest, fresh: Store, nobodys_logins: Path
) -> None:
    name = publish(locked, "app", store, image)
    configure(nobodys_logins, credsStore="nowhere-to-be-found")
    with pytest.raises(AccessDenied, match="not installed"):
        fetch(fresh, name)
    configure(nobodys_logins, credsStore="../../bin/sh")
    with pytest.raises(UsageError, match="helper"):
        fetch(fresh, name)


def test_a_helper_without_a_login_means_anonymous(
    faulty: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    programs: Path,
) -> None:
    helper(programs, "empty", "echo credentials not found in native keychain; exit 1")
    configure(nobodys_logins, credsStore="empty")
    faulty.login, faulty.anonymous = "bearer", True
    fetch(fresh, publish(faulty, "app", store, image))


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


@pytest.mark.parametrize("login", [None, ("alice", "wrong"), ("eve", SECRET)])
def test_a_wrong_or_missing_login_is_one_error_that_tells_what_to_do(
    locked: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    nobodys_logins: Path,
    login: tuple[str, str] | None,
) -> None:
    if login:
        configure(nobodys_logins, auths={locked.host: auth(*login)})
    name = publish(locked, "app", store, image)
    with pytest.raises(AccessDenied) as caught:
        fetch(fresh, name)
    assert f"docker login {locked.host}" in caught.value.todo
    assert "wrong" not in caught.value.what and SECRET not in caught.value.what
    assert is_untouched(fresh)
    with pytest.raises(AccessDenied):
        copy(store, f"store:{image.digest}", f"docker://{locked.host}/pushed:1")
    assert ("pushed", "1") not in locked.manifests


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", UsageError),
        ("[]", UsageError),
        ("[" * 5000, UsageError),
        ('{"auths": {"HOST": {"auth": "%%%"}}}', UsageError),
        ('{"auths": {"HOST": {"auth": "/////w=="}}}', UsageError),
        ('{"auths": {"HOST": {"auth": "YWxpY2U="}}}', AccessDenied),
        ('{"auths": [], "credHelpers": 7, "credsStore": {}}', AccessDenied),
        ('{"auths": {"HOST": 7}}', AccessDenied),
        ("", AccessDenied),
    ],
)
def test_a_damaged_configuration_is_told_by_name(
    locked: FaultyRegistry,
    fresh: Store,
    nobodys_logins: Path,
    text: str,
    error: type[OakumError],
) -> None:
    path = nobodys_logins / "config.json"
    path.write_text(text.replace("HOST", locked.host))
    with pytest.raises(error) as caught:
        fetch(fresh, f"{locked.host}/app:1")
    if error is UsageError:
        assert str(path) in caught.value.what
    assert "YWxpY2U" not in caught.value.what


def test_a_named_configuration_must_exist(locked: FaultyRegistry, fresh: Store) -> None:
    options = RegistryOptions(docker_config=Path("/nowhere/config.json"))
    with pytest.raises(UsageError, match="/nowhere/config"):
        fetch(fresh, f"{locked.host}/app:1", options)


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


def test_credentials_go_to_their_own_registry_only(
    locked: FaultyRegistry, faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store,
    nobodys_logins: Path,
) -> None:  # fmt: skip
    configure(nobodys_logins, auths={locked.host: auth(), "127.0.0.1": auth("root", "toor")})
    publish(faulty, "app", store, image)
    name = publish(locked, "app", store, image)
    for digest in (image.layers[0].digest, image.config.digest):
        place = f"{faulty.url}/v2/app/blobs/{digest}"
        locked.answer(f"GET .*{digest}", Answer(307, {"Location": place}))
    fetch(fresh, name)
    assert faulty.requests
    assert not any("authorization" in r.headers for r in faulty.requests)
    copy(store, f"docker://{name}", f"docker://{faulty.host}/copied:1")
    assert not any("authorization" in r.headers for r in faulty.requests)


def test_an_upload_that_is_sent_elsewhere_carries_no_credentials(
    locked: FaultyRegistry, faulty: FaultyRegistry, store: Store, image: Manifest,
    nobodys_logins: Path,
) -> None:  # fmt: skip
    configure(nobodys_logins, auths={locked.host: auth()})
    faulty.uploads["there"] = bytearray()
    place = f"{faulty.url}/v2/app/blobs/uploads/there"

    def elsewhere(request: object, right: Answer) -> Answer:
        return right.having(Location=place) if right.status == 202 else right

    locked.change("POST ", elsewhere)
    with pytest.raises(OakumError):
        copy(
            store,
            f"store:{image.digest}",
            f"docker://{locked.host}/app:1",
            RegistryOptions(retries=0),
        )
    assert not any("authorization" in r.headers for r in faulty.requests)


def test_a_challenge_of_another_host_is_not_answered(
    locked: FaultyRegistry, faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store,
    nobodys_logins: Path,
) -> None:  # fmt: skip
    configure(nobodys_logins, auths={locked.host: auth(), faulty.host: auth("bob", "other-secret")})
    faulty.login = "basic"
    name = publish(locked, "app", store, image)
    place = f"{faulty.url}/v2/app/blobs/x"
    locked.answer(f"GET .*{image.layers[0].digest}", Answer(307, {"Location": place}))
    with pytest.raises(OakumError):
        fetch(fresh, name, RegistryOptions(retries=1))
    assert not any("authorization" in r.headers for r in faulty.requests)


def test_no_secret_is_ever_told(
    locked: FaultyRegistry, store: Store, image: Manifest, fresh: Store, nobodys_logins: Path
) -> None:
    configure(nobodys_logins, auths={locked.host: auth()})
    name = publish(locked, "app", store, image)
    told: list[Event] = []
    locked.cut("GET .*blobs", 5, times=2)
    locked.answer("GET .*manifests", Answer(503), times=1)
    source = RegistrySource(parse_reference(name), RegistryOptions(), told.append)
    pull(fresh, source, progress=told.append)
    locked.answer("GET .*manifests", Answer(raw=b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n"))
    with pytest.raises(TransportError) as caught:
        source.document(image.descriptor())
    source.close()
    texts = [event.text for event in told] + [str(caught.value), repr(caught.value)]
    login = find_login(locked.host, "app", None)
    texts += [repr(login), str(login)]
    secrets = [SECRET, auth()["auth"], "token-1"]
    assert len(told) > 4 and not [t for t in texts if any(s in t for s in secrets)]


def test_the_command_tells_no_secret_even_with_debug(
    locked: FaultyRegistry, image: Manifest, nobodys_logins: Path, tmp_path: Path
) -> None:
    configure(nobodys_logins, auths={locked.host: auth()})
    locked.answer("manifests", Answer(raw=b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n"))
    command = [sys.executable, "-m", "oakum", "--debug", "--store", str(tmp_path / "s"), "pull"]
    script = "from oakum.transport.registry.client import Client; Client.pause = 0.001\n"
    (tmp_path / "sitecustomize.py").write_text(script)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*command, f"{locked.host}/app:1"], capture_output=True, text=True, env=env
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "error: " in said
    assert SECRET not in said and auth()["auth"] not in said and "token-1" not in said


def test_a_real_registry_with_a_password_file(
    store: Store, image: Manifest, fresh: Store, tmp_path: Path, nobodys_logins: Path
) -> None:
    users = tmp_path / "users"
    users.write_text(f"{USER}:{HASHED}\n")
    extra = f"auth: {{htpasswd: {{realm: here, path: {users}}}}}\n"
    with running_registry(tmp_path / "registry", extra) as host:
        configure(nobodys_logins, auths={host: auth(password="wrong")})
        with pytest.raises(AccessDenied, match="401"):
            copy(store, f"store:{image.digest}", f"docker://{host}/app:1")
        configure(nobodys_logins, auths={host: auth()})
        copy(store, f"store:{image.digest}", f"docker://{host}/app:1")
        assert fetch(fresh, f"{host}/app:1").descriptor.digest == image.digest


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
