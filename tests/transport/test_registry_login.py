"""Where logins come from, and that a wrong one is one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oakum.errors import AccessDenied, OakumError, UsageError
from oakum.oci import Manifest
from oakum.store import Store
from oakum.transport import RegistryOptions
from support.faulty import FaultyRegistry
from support.images import copy, fetch, is_untouched, publish
from support.logins import HASHED, SECRET, USER, auth, configure, helper
from support.registry import running_registry


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
