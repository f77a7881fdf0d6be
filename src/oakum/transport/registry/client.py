"""One registry host: requests with login, retries and redirects (OCI distribution spec v1.1)."""

from __future__ import annotations

import email.utils
import itertools
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

import httpx

from oakum.errors import AccessDenied, NotFound, OakumError, TransportError
from oakum.progress import Event, Progress
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.address import (
    checked_host,
    is_loopback,
    may_be_plain,
    next_address,
    origin_of,
    refused,
)
from oakum.transport.registry.answer import bounded, plain, said
from oakum.transport.registry.connection import connect
from oakum.transport.registry.passing import PASSING, Passing
from oakum.transport.registry.tokens import Tokens

_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 10
_MOST_CONNECTS = 3
"""Attempts to reach a host that refuses or has no address: a name may be mistyped."""
_MOST_PAUSE = 60.0
_HUB = "registry-1.docker.io"

Body = Callable[[], Iterable[bytes]]
"""Opens what is sent; called again for every attempt."""


class Client:
    """Speaks to one host; may be used from several threads."""

    pause = 0.5
    """Seconds before the first retry; doubled for each further one."""

    def __init__(
        self, host: str, options: RegistryOptions, progress: Progress, retries: int | None = None
    ) -> None:
        self.host = checked_host(host)
        if options.offline:
            raise TransportError(
                f"{host} is not asked: oakum was told to stay offline",
                "what is needed from there is not in the store; run once without --offline",
            )
        self._address = _HUB if host == "docker.io" else host
        self._progress = progress
        self._retries = options.retries if retries is None else retries
        self._lock = threading.Lock()
        self._base: str | None = None
        named = {host, self._address} & set(options.insecure)
        self._insecure = (*options.insecure, self._address) if named else options.insecure
        self._http = connect(self._address, options)
        self._tokens = Tokens(self._http, host, self._insecure, options.docker_config)

    @property
    def retries(self) -> int:
        """How often a request is tried again."""
        return self._retries

    def close(self) -> None:
        """Let go of connections, those too that a transfer still uses which nobody waits for."""
        with suppress(OSError, RuntimeError):
            self._http.close()

    def base(self) -> str:
        """``https://host``, or ``http://host`` where that is allowed and is what answers."""
        with self._lock:
            if self._base is None:
                self._base = self._find_base()
            return self._base

    def _find_base(self) -> str:
        if not may_be_plain(self._address, self._insecure):
            return f"https://{self._address}"
        schemes = ("http", "https") if is_loopback(self._address) else ("https", "http")
        for scheme in schemes:
            try:
                with self._http.stream("GET", f"{scheme}://{self._address}/v2/") as answer:
                    # A server that expects TLS answers so to http.
                    if scheme == "http" and answer.status_code == 400:
                        continue
            except httpx.TransportError as error:
                if _distrust(error) is None:
                    continue
            return f"{scheme}://{self._address}"
        return f"{schemes[0]}://{self._address}"

    def absolute(self, path: str, below: str = "/") -> str:
        """The URL that a path, or a place that the registry named at `below`, means.

        Raises `TransportError` for a place that must not be gone to.
        """
        return next_address(self.base() + below, path, self.host, self._insecure)

    def is_home(self, url: str) -> bool:
        """Whether the URL is on this registry itself, where its credentials belong."""
        return origin_of(url) == origin_of(self.base())

    def pause_before(self, attempt: int, why: str, retry_after: str | None = None) -> None:
        """Wait before attempt number `attempt` (from 1), as long as the server asks or longer."""
        wait = min(_MOST_PAUSE, self.pause * 2 ** (attempt - 1)) * (0.75 + random.random() / 2)
        wait = max(wait, min(_MOST_PAUSE, _seconds_of(retry_after)))
        self._progress(
            Event("registry", "note", f"{self.host}: {plain(why)}; trying again in {wait:.1f} s")
        )
        time.sleep(wait)

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        scopes: tuple[str, ...],
        what: str,
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        accept: tuple[int, ...] = (200,),
        attempts: int | None = None,
    ) -> Iterator[httpx.Response]:
        """Send a request and give its answer, whose status is one of `accept`, unread.

        `path` is absolute on the host, or a whole URL.  Raises `NotFound` (404), `AccessDenied`
        (401, 403), `Passing` for what was tried often enough, and `TransportError` for the rest.
        """
        most = self._retries + 1 if attempts is None else attempts
        for attempt in itertools.count(1):
            try:
                response = self._attempt(method, path, scopes, dict(headers or {}), body, what)
                if response.status_code in PASSING and response.status_code not in accept:
                    with closing(response):
                        raise self.failure(response, what)
                break
            except Passing as error:
                if attempt >= min(most, error.most or most):
                    raise
                self.pause_before(attempt, error.reason, error.retry_after)
        with closing(response):
            if response.status_code not in accept:
                raise self.failure(response, what)
            yield response

    def read(
        self,
        path: str,
        *,
        scopes: tuple[str, ...],
        what: str,
        most: int,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[httpx.Response, bytes]:
        """GET an answer of at most `most` bytes; one whose connection is cut is asked for again.

        Raises what `request` raises, and `InvalidImage` for a longer answer, which is not read
        any further.
        """
        for attempt in itertools.count(1):
            try:
                with self.request(
                    "GET", path, scopes=scopes, what=what, headers=headers
                ) as response:
                    return response, bounded(response, most, what)
            except httpx.TransportError as error:
                failure = self._unreachable(error, what)
                if attempt > self._retries:
                    raise failure from error
                self.pause_before(attempt, str(error))
        raise AssertionError("unreachable")

    def _attempt(
        self,
        method: str,
        path: str,
        scopes: tuple[str, ...],
        headers: dict[str, str],
        body: Body | bytes | None,
        what: str,
    ) -> httpx.Response:
        try:
            return self._authorised(method, self.absolute(path), scopes, headers, body)
        except httpx.TransportError as error:
            raise self._unreachable(error, what) from error
        except httpx.InvalidURL as error:
            # httpx reads where a redirect leads to, although it does not follow it.
            raise refused(f"{self.host} names a place that is no URL") from error

    def _authorised(
        self,
        method: str,
        url: str,
        scopes: tuple[str, ...],
        headers: dict[str, str],
        body: Body | bytes | None,
    ) -> httpx.Response:
        own = self.is_home(url)
        authorization = self._tokens.known(scopes) if own else None
        response = self._follow(method, url, headers, body, authorization)
        if response.status_code != 401 or not own:
            return response
        offered = response.headers.get_list("www-authenticate")
        renewed = self._tokens.renew(scopes, authorization, offered, self.base())
        if renewed is None:
            return response
        response.close()
        return self._follow(method, url, headers, body, renewed)

    def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body | bytes | None,
        authorization: str | None,
    ) -> httpx.Response:
        home = origin_of(url)
        for _ in range(_MOST_REDIRECTS):
            sent = dict(headers)
            if authorization and origin_of(url) == home:
                sent["Authorization"] = authorization
            content = body() if callable(body) else body
            request = self._http.build_request(method, url, headers=sent, content=content)
            response = self._http.send(request, stream=True)
            place = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not place or method not in ("GET", "HEAD"):
                return response
            response.close()
            url = next_address(url, place, self.host, self._insecure)
        raise TransportError(f"{self.host} redirects in a circle", "the registry is misconfigured")

    def _unreachable(self, error: httpx.TransportError, what: str) -> OakumError:
        distrust = _distrust(error)
        if distrust is not None:
            return AccessDenied(
                f"{what}: the certificate of {self.host} is not trusted: {distrust.verify_message}",
                "name its authority with --ca-certificates, or the host with --insecure-registry",
            )
        reason = plain(str(error)) or type(error).__name__
        return Passing(
            f"{what}: cannot reach {self.host}: {reason}",
            "check the name, the network and the proxy variables, then try again",
            reason,
            most=_MOST_CONNECTS if isinstance(error, httpx.ConnectError) else None,
        )

    def failure(self, response: httpx.Response, what: str) -> OakumError:
        """The error that an answer means."""
        code, told = said(response)
        status = response.status_code
        detail = f"{status} {told}".strip()
        if status == 404:
            return NotFound(
                f"{what}: {self.host} does not have it ({told or 'not found'})",
                "check the name; a private image needs a login ('docker login')",
            )
        if status in (401, 403):
            return AccessDenied(
                f"{what}: {self.host} refuses it ({detail})",
                f"log in with 'docker login {self.host}', or ask for access",
            )
        how, todo = f"answered {detail}", "try again later, or ask who runs the registry"
        if code == "TOOMANYREQUESTS" or status == 429:
            how = f"allows no more requests now ({detail})"
            todo = "wait, log in, or use a mirror (--registry-mirror)"
        if status in PASSING:
            retry_after = response.headers.get("retry-after")
            return Passing(f"{what}: {self.host} {how}", todo, f"answered {status}", retry_after)
        return TransportError(f"{what}: {self.host} {how}", todo)


def _seconds_of(retry_after: str | None) -> float:
    if not retry_after:
        return 0.0
    if re.fullmatch(r"[0-9]{1,6}", retry_after.strip()):
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, moment - time.time())


def _distrust(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The refusal of a certificate that an error comes from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
