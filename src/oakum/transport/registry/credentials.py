"""Logins of registries, out of docker's and podman's configuration and credential helpers."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from oakum.errors import AccessDenied, UsageError

_HELPER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HELPER_SECONDS = 30
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
_MAX_FILE = 1 << 20


class Login(msgspec.Struct, frozen=True):
    """What proves who somebody is."""

    username: str = ""
    """Name; empty with an identity token."""
    password: str = msgspec.field(default="", name="password")
    """Password or access token."""
    identity_token: str = ""
    """OAuth2 refresh token, which stands in for both."""

    def __repr__(self) -> str:
        return f"Login({self.username!r}, …)"


def configuration_files(given: Path | None, env: Mapping[str, str]) -> list[Path]:
    """Files that may hold logins, the most specific first."""
    if given is not None:
        return [given]
    docker = env.get("DOCKER_CONFIG")
    files = [Path(docker) / "config.json"] if docker else []
    if not docker and "HOME" in env:
        files.append(Path(env["HOME"]) / ".docker" / "config.json")
    if env.get("REGISTRY_AUTH_FILE"):
        files.append(Path(env["REGISTRY_AUTH_FILE"]))
    if env.get("XDG_RUNTIME_DIR"):
        files.append(Path(env["XDG_RUNTIME_DIR"]) / "containers" / "auth.json")
    return files


def find_login(host: str, repository: str, given: Path | None) -> Login | None:
    """The login for a registry, or None.

    `UsageError` for a file that cannot be read as what it is, `AccessDenied` for a credential
    helper that fails.
    """
    for path in configuration_files(given, os.environ):
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            if path == given:
                raise UsageError(f"there is no {path}", "name docker's config.json") from None
            continue
        except (PermissionError, NotADirectoryError, IsADirectoryError):
            continue
        login = _in_file(_parse(raw, path), path, host, repository)
        if login is not None:
            return login
    return None


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        document = json.loads(raw) if len(raw) <= _MAX_FILE else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UsageError(f"{path} is damaged: it is not a JSON object", "repair it or log in again")
    return document


def _in_file(document: dict[str, Any], path: Path, host: str, repository: str) -> Login | None:
    helpers = document.get("credHelpers")
    names = _names(host, repository)
    if isinstance(helpers, dict):
        for name in names:
            if isinstance(helpers.get(name), str):
                return _ask(helpers[name], name)
    auths = document.get("auths")
    found = _in_auths(auths, path, names) if isinstance(auths, dict) else None
    if found is not None:
        return found
    store = document.get("credsStore")
    if isinstance(store, str) and store:
        server = "https://index.docker.io/v1/" if host in _HUB else host
        return _ask(store, server)
    return None


def _names(host: str, repository: str) -> list[str]:
    """Keys that may hold the login, the most specific first (containers-auth.json(5))."""
    parts = repository.split("/")
    below = [f"{host}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    hosts = list(_HUB) if host in _HUB else [host]
    return [*below, *hosts]


def _in_auths(auths: dict[str, Any], path: Path, names: list[str]) -> Login | None:
    plain = {_bare(key): value for key, value in auths.items()}
    for name in names:
        entry = auths.get(name, plain.get(name))
        if isinstance(entry, dict) and entry:
            return _login(entry, path, name)
    return None


def _bare(key: str) -> str:
    """``https://index.docker.io/v1/`` and the like as a host."""
    text = re.sub(r"^https?://", "", key).rstrip("/")
    return re.sub(r"/v[12]$", "", text)


def _login(entry: dict[str, Any], path: Path, name: str) -> Login | None:
    token = entry.get("identitytoken")
    user, password = entry.get("username"), entry.get("password")
    packed = entry.get("auth")
    if isinstance(packed, str) and packed:
        try:
            text = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UsageError(
                f"{path}: the login of {name} is damaged", f"run 'docker login {name}' again"
            ) from error
        user, _, password = text.partition(":")
        password = password.strip("\0")
    if isinstance(token, str) and token:
        return Login(identity_token=token)
    if isinstance(user, str) and isinstance(password, str) and user:
        return Login(user, password)
    return None


def _ask(helper: str, server: str) -> Login | None:
    """Ask ``docker-credential-HELPER``; None when it has no login for the server."""
    if not _HELPER.fullmatch(helper):
        raise UsageError(f"{helper[:40]!r} is not a credential helper's name", "check config.json")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise AccessDenied(
            f"the credential helper {program} is not installed",
            "install it, or take it out of docker's config.json",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AccessDenied(
            f"the credential helper {program} failed for {server}", "run it by hand to see why"
        ) from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if "not found" in said.lower():
            return None
        raise AccessDenied(
            f"the credential helper {program} failed for {server}", "run it by hand to see why"
        )
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise AccessDenied(
            f"the credential helper {program} gave no login for {server}", "run it by hand"
        ) from error
    if not secret:
        return None
    return Login(identity_token=secret) if user == "<token>" else Login(user, secret)
