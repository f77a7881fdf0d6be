"""One registry host: requests with login, retries and redirects (OCI distribution spec v1.1)."""

from __future__ import annotations

import email.utils
import ipaddress
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from oakum.errors import AccessDenied, NotFound, OakumError, TransportError, UsageError
from oakum.progress import Event, Progress
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.tokens import Tokens

PASSING = {408, 429, 500, 502, 503, 504}
"""Answers that may be others later."""
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 10
_MOST_PAUSE = 60.0
_ERROR_BYTES = 64 * 1024
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
        self.host = host
        self._address = _HUB if host == "docker.io" else host
        self._options = options
        self._progress = progress
        self._retries = options.retries if retries is None else retries
        self._lock = threading.Lock()
        self._base: str | None = None
        self._http = _http_client(options, self._insecure)
        self._tokens = Tokens(self._http, host, options)

    @property
    def _insecure(self) -> bool:
        return self.host in self._options.insecure or self._address in self._options.insecure

    @property
    def retries(self) -> int:
        """How often a request is tried again."""
        return self._retries

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def base(self) -> str:
        """``https://host``, or ``http://host`` where that is allowed and is what answers."""
        with self._lock:
            if self._base is None:
                self._base = self._find_base()
            return self._base

    def _find_base(self) -> str:
        loopback = is_loopback(self._address)
        if not (loopback or self._insecure):
            return f"https://{self._address}"
        schemes = ("http", "https") if loopback else ("https", "http")
        for scheme in schemes:
            try:
                answer = self._http.get(f"{scheme}://{self._address}/v2/")
            except httpx.TransportError:
                continue
            if scheme == "http" and answer.status_code == 400:
                continue
            return f"{scheme}://{self._address}"
        return f"{schemes[0]}://{self._address}"

    def pause_before(self, attempt: int, why: str, retry_after: str | None = None) -> None:
        """Wait before attempt number `attempt` (from 1), as long as the server asks or longer."""
        wait = min(_MOST_PAUSE, self.pause * 2 ** (attempt - 1)) * (0.75 + random.random() / 2)
        wait = max(wait, min(_MOST_PAUSE, _seconds_of(retry_after)))
        self._progress(
            Event("registry", "note", f"{self.host}: {why}; trying again in {wait:.1f} s")
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
        (401, 403) and `TransportError` (everything else).
        """
        most = (self._retries if attempts is None else attempts - 1) + 1
        for attempt in range(1, most + 1):
            try:
                response = self._once(method, path, scopes, dict(headers or {}), body)
            except httpx.TransportError as error:
                failure = self._unreachable(error, what)
                if attempt == most or not isinstance(failure, TransportError):
                    raise failure from error
                self.pause_before(attempt, type(error).__name__)
                continue
            if response.status_code in PASSING and response.status_code not in accept:
                retry_after = response.headers.get("retry-after")
                if attempt < most:
                    response.close()
                    self.pause_before(attempt, f"answered {response.status_code}", retry_after)
                    continue
            try:
                if response.status_code not in accept:
                    raise self.failure(response, what)
                yield response
            finally:
                response.close()
            return

    def _once(
        self,
        method: str,
        path: str,
        scopes: tuple[str, ...],
        headers: dict[str, str],
        body: Body | bytes | None,
    ) -> httpx.Response:
        url = urljoin(self.base(), path)
        own = _origin(url) == _origin(self.base())
        authorization = self._tokens.known(scopes) if own else None
        response = self._follow(method, url, headers, body, authorization)
        if response.status_code != 401 or not own:
            return response
        offered = response.headers.get_list("www-authenticate")
        response.close()
        renewed = self._tokens.renew(scopes, offered, self.base())
        if renewed is None:
            return response
        return self._follow(method, url, headers, body, renewed)

    def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body | bytes | None,
        authorization: str | None,
    ) -> httpx.Response:
        home = _origin(url)
        for _ in range(_MOST_REDIRECTS):
            sent = dict(headers)
            if authorization and _origin(url) == home:
                sent["Authorization"] = authorization
            content = body() if callable(body) else body
            request = self._http.build_request(method, url, headers=sent, content=content)
            response = self._http.send(request, stream=True)
            place = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not place or method not in ("GET", "HEAD"):
                return response
            response.close()
            target = urljoin(url, place)
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise TransportError(
                    f"{self.host} redirects from https to {urlsplit(target).scheme}",
                    "that would give the transfer away; the registry is misconfigured",
                )
            if urlsplit(target).scheme not in ("http", "https"):
                raise TransportError(f"{self.host} redirects to an unknown place", "check it")
            url = target
        raise TransportError(f"{self.host} redirects in a circle", "the registry is misconfigured")

    def _unreachable(self, error: httpx.TransportError, what: str) -> OakumError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return AccessDenied(
                    f"{what}: the certificate of {self.host} is not trusted: "
                    f"{cause.verify_message}",
                    "name its authority with --ca-certificates, or the host with "
                    "--insecure-registry",
                )
            cause = cause.__cause__ or cause.__context__
        reason = plain(str(error)) or type(error).__name__
        return TransportError(
            f"{what}: cannot reach {self.host}: {reason}",
            "check the name, the network and the proxy variables, then try again",
        )

    def failure(self, response: httpx.Response, what: str) -> OakumError:
        """The error that an answer means."""
        code, said = _said(response)
        detail = f"{response.status_code}{f' {said}' if said else ''}"
        if response.status_code == 404:
            return NotFound(
                f"{what}: {self.host} does not have it ({said or 'not found'})",
                "check the name; a private image needs a login ('docker login')",
            )
        if response.status_code in (401, 403):
            return AccessDenied(
                f"{what}: {self.host} refuses it ({detail})",
                f"log in with 'docker login {self.host}', or ask for access",
            )
        if code == "TOOMANYREQUESTS" or response.status_code == 429:
            return TransportError(
                f"{what}: {self.host} allows no more requests now ({detail})",
                "wait, log in, or use a mirror (--registry-mirror)",
            )
        return TransportError(
            f"{what}: {self.host} answered {detail}",
            "try again later, or ask who runs the registry",
        )


def plain(text: str, most: int = 200) -> str:
    """Text from a server on one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:most]).strip()


def _said(response: httpx.Response) -> tuple[str, str]:
    """Code and message of an error body (distribution spec, "Error codes")."""
    body = b""
    try:
        for piece in response.iter_bytes(8192):
            body += piece
            if len(body) > _ERROR_BYTES:
                break
        document = msgspec.json.decode(body)
        first = document["errors"][0]
        code, message = str(first.get("code", "")), str(first.get("message", ""))
    except (
        httpx.HTTPError,
        httpx.StreamError,
        msgspec.DecodeError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ):
        return "", ""
    except (RecursionError, UnicodeDecodeError):
        return "", ""
    return plain(code, 60), plain(f"{code}: {message}" if message else code)


def _seconds_of(retry_after: str | None) -> float:
    if not retry_after:
        return 0.0
    if re.fullmatch(r"\d{1,6}", retry_after.strip()):
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, moment - time.time())


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine, so that http needs no permission."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _http_client(options: RegistryOptions, insecure: bool) -> httpx.Client:
    context: ssl.SSLContext | bool = httpx.create_ssl_context(trust_env=True)
    if insecure:
        context = False
    elif options.ca_certificates is not None and isinstance(context, ssl.SSLContext):
        try:
            context.load_verify_locations(cafile=str(options.ca_certificates))
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"cannot use the certificates {options.ca_certificates}: {error}", "a PEM file"
            ) from error
    from oakum.version import version

    direct: dict[str, httpx.BaseTransport | None] = dict.fromkeys(
        ("all://localhost", "all://127.0.0.1", "all://[::1]")
    )
    return httpx.Client(
        verify=context,
        timeout=httpx.Timeout(options.timeout, connect=min(options.timeout, 20.0)),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=options.jobs + 2),
        headers={"User-Agent": f"oakum/{version()}"},
        mounts=direct,
    )
