"""Logging in: basic logins, and bearer tokens for the scopes that a request needs.

The token flow is the one of the distribution project's "Token Authentication" pages.
"""

from __future__ import annotations

import base64
import threading
import time
from urllib.parse import urlsplit

import httpx
import msgspec

from oakum.errors import AccessDenied, TransportError
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.challenge import Challenge, parse_challenges
from oakum.transport.registry.credentials import Login, find_login

_DEFAULT_SECONDS = 60
_MARGIN = 5.0
_CLIENT = "oakum"
_MAX_ANSWER = 1 << 20


class Tokens:
    """What one host accepted or gave, by scope."""

    def __init__(self, http: httpx.Client, host: str, options: RegistryOptions) -> None:
        self._http = http
        self._host = host
        self._options = options
        self._lock = threading.Lock()
        self._basic: str | None = None
        self._known: dict[tuple[str, ...], tuple[str, float]] = {}

    def known(self, scopes: tuple[str, ...]) -> str | None:
        """The ``Authorization`` that worked for these scopes and still holds."""
        with self._lock:
            found = self._known.get(scopes)
            if found and found[1] > time.monotonic():
                return found[0]
            return self._basic

    def renew(self, scopes: tuple[str, ...], offered: list[str], base: str) -> str | None:
        """Answer a 401: a new ``Authorization``, or None when there is nothing to offer."""
        challenges = parse_challenges(offered)
        repository = scopes[0].split(":")[1] if scopes else ""
        login = find_login(self._host, repository, self._options.docker_config)
        for challenge in challenges:
            if challenge.scheme == "bearer":
                token, seconds = self._token(challenge, scopes, login, base)
                value = f"Bearer {token}"
                with self._lock:
                    until = time.monotonic() + max(seconds - _MARGIN, 1.0)
                    self._known[scopes] = (value, until)
                return value
            if challenge.scheme == "basic" and login is not None and login.username:
                value = basic(login)
                with self._lock:
                    if self._basic == value:
                        return None
                    self._basic = value
                return value
        return None

    def _token(
        self, challenge: Challenge, scopes: tuple[str, ...], login: Login | None, base: str
    ) -> tuple[str, float]:
        realm = challenge.parameters.get("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise TransportError(f"{self._host} names no place for tokens", "it is misconfigured")
        if urlsplit(realm).scheme == "http" and base.startswith("https:"):
            raise TransportError(
                f"{self._host} wants the login sent over http", "it is misconfigured or hostile"
            )
        service = challenge.parameters.get("service", "")
        asked = list(scopes) or [s for s in [challenge.parameters.get("scope", "")] if s]
        try:
            response = self._ask(realm, service, asked, login)
        except httpx.TransportError as error:
            raise TransportError(
                f"cannot reach {urlsplit(realm).hostname} for a token of {self._host}", "try again"
            ) from error
        if response.status_code in (400, 401, 403):
            raise AccessDenied(
                f"{self._host} does not accept the login"
                if login
                else f"{self._host} wants a login",
                f"log in with 'docker login {self._host}'",
            )
        if response.status_code != 200 or len(response.content) > _MAX_ANSWER:
            raise TransportError(
                f"the token service of {self._host} answered {response.status_code}", "try again"
            )
        return _read(response.content, self._host)

    def _ask(
        self, realm: str, service: str, scopes: list[str], login: Login | None
    ) -> httpx.Response:
        if login is not None and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "client_id": _CLIENT,
                "service": service,
                "scope": " ".join(scopes),
            }
            return self._http.post(realm, data=form)
        query: list[tuple[str, str | int | float | bool | None]] = [("service", service)]
        query += [("scope", scope) for scope in scopes]
        headers = {"Authorization": basic(login)} if login else {}
        merged = httpx.URL(realm).copy_merge_params(query)
        return self._http.get(merged, headers=headers)


def basic(login: Login) -> str:
    """The value of ``Authorization`` for a basic login."""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _read(raw: bytes, host: str) -> tuple[str, float]:
    try:
        document = msgspec.json.decode(raw)
        token = document.get("token") or document["access_token"]
        seconds = document.get("expires_in") or _DEFAULT_SECONDS
        if not isinstance(token, str) or any(c in token for c in "\r\n\0"):
            raise TypeError("token")
        return token, float(seconds)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TransportError(f"the token service of {host} gave no token", "try again") from error
