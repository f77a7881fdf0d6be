"""Logging in: basic logins, and bearer tokens for the scopes that a request needs.

The token flow is the one of the distribution project's "Token Authentication" pages.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import msgspec

from oakum.errors import AccessDenied, InvalidImage, TransportError
from oakum.transport.registry.address import next_address
from oakum.transport.registry.answer import bounded, plain
from oakum.transport.registry.challenge import Challenge, parse_challenges
from oakum.transport.registry.credentials import Login, find_login
from oakum.transport.registry.passing import PASSING, Passing

_DEFAULT_SECONDS = 60
_MARGIN = 5.0
_CLIENT = "oakum"
_MAX_ANSWER = 1 << 20
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Tokens:
    """What one host accepted or gave, by scope."""

    def __init__(
        self, http: httpx.Client, host: str, insecure: tuple[str, ...], docker_config: Path | None
    ) -> None:
        self._http = http
        self._host = host
        self._insecure = insecure
        self._docker_config = docker_config
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._basic: str | None = None
        self._known: dict[tuple[str, ...], tuple[str, float]] = {}

    def known(self, scopes: tuple[str, ...]) -> str | None:
        """The ``Authorization`` that worked for these scopes and still holds."""
        with self._lock:
            found = self._known.get(scopes)
            if found and found[1] > time.monotonic():
                return found[0]
            return self._basic

    def renew(
        self, scopes: tuple[str, ...], tried: str | None, offered: list[str], base: str
    ) -> str | None:
        """Answer a 401 to a request that was sent with `tried`: another ``Authorization``.

        None when there is nothing else to offer.  Threads that were refused at once share one
        answer.
        """
        with self._renewing:
            known = self.known(scopes)
            if known is not None and known != tried:
                return known
            return self._renewed(scopes, tried, parse_challenges(offered), base)

    def _renewed(
        self, scopes: tuple[str, ...], tried: str | None, offered: list[Challenge], base: str
    ) -> str | None:
        repository = scopes[0].split(":")[1] if scopes else ""
        login = find_login(self._host, repository, self._docker_config)
        for challenge in offered:
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
                    self._basic = value
                return value if value != tried else None
        return None

    def _token(
        self, challenge: Challenge, scopes: tuple[str, ...], login: Login | None, base: str
    ) -> tuple[str, float]:
        realm = challenge.parameters.get("realm", "")
        if not realm:
            raise TransportError(f"{self._host} names no place for tokens", "it is misconfigured")
        address = next_address(base, realm, self._host, self._insecure)
        service = challenge.parameters.get("service", "")
        asked = list(scopes) or [s for s in [challenge.parameters.get("scope", "")] if s]
        request = self._request(address, service, asked, login)
        there = f"the token service of {self._host}"
        try:
            response = self._http.send(request, stream=True)
            with closing(response):
                raw = bounded(response, _MAX_ANSWER, there)
        except httpx.TransportError as error:
            why = plain(str(error))
            raise Passing(f"cannot reach {there}: {why}", "try again later", why) from error
        except InvalidImage as error:
            raise TransportError(error.what, "it is misconfigured or hostile") from error
        status = response.status_code
        if status in (400, 401, 403):
            raise AccessDenied(
                f"{self._host} does not accept the login"
                if login
                else f"{self._host} wants a login",
                f"log in with 'docker login {self._host}'",
            )
        if status in PASSING:
            raise Passing(
                f"{there} answered {status}",
                "try again later",
                f"its token service answered {status}",
                response.headers.get("retry-after"),
            )
        if status != 200:
            raise TransportError(f"{there} answered {status}", "ask who runs the registry")
        return _read(raw, self._host)

    def _request(
        self, realm: str, service: str, scopes: list[str], login: Login | None
    ) -> httpx.Request:
        if login is not None and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "client_id": _CLIENT,
                "service": service,
                "scope": " ".join(scopes),
            }
            return self._http.build_request("POST", realm, data=form)
        query: list[tuple[str, str | int | float | bool | None]] = [("service", service)]
        query += [("scope", scope) for scope in scopes]
        headers = {"Authorization": basic(login)} if login else {}
        merged = httpx.URL(realm).copy_merge_params(query)
        return self._http.build_request("GET", merged, headers=headers)


def basic(login: Login) -> str:
    """The value of ``Authorization`` for a basic login."""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _read(raw: bytes, host: str) -> tuple[str, float]:
    try:
        document = msgspec.json.decode(raw)
        token = document.get("token") or document["access_token"]
        seconds = document.get("expires_in") or _DEFAULT_SECONDS
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TypeError("token")
        return token, float(seconds)
    except (
        msgspec.DecodeError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise TransportError(f"the token service of {host} gave no token", "try again") from error
