"""Reading files of package repositories over HTTP, patiently: proxies, retries, resumption."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from oakum.errors import RepositoryError
from oakum.progress import Event, Progress
from oakum.repository.configuration import Configuration
from oakum.repository.interface import ImageFiles
from oakum.repository.proxies import proxy_for
from oakum.repository.sources import without_credentials

if TYPE_CHECKING:
    import ssl

    import httpx

T = TypeVar("T")

ATTEMPTS = 4
_PAUSE = 0.3
_TRANSIENT = {408, 429, 500, 502, 503, 504}
_CHUNK = 256 * 1024


class Answer(msgspec.Struct, frozen=True):
    """What a server said."""

    status: int
    body: bytes
    etag: str
    last_modified: str


class _Transient(Exception):
    """A failure that may pass."""


class Web:
    """Connections for one image's repositories; may be used from several threads."""

    def __init__(
        self,
        configuration: Configuration,
        logins: Mapping[str, tuple[str, str]],
        env: Mapping[str, str],
        ca_certificates: Path | None,
        progress: Progress,
        offline: bool,
    ) -> None:
        self._configuration = configuration
        self._logins = logins
        self._env = env
        self._ca_certificates = ca_certificates
        self._progress = progress
        self._offline = offline
        self._clients: dict[str, httpx.Client] = {}
        self._lock = threading.Lock()

    def get(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        """A small file whole; statuses 200, 304, and 4xx are answers, the rest is raised."""

        def attempt() -> Answer:
            with self._stream(url, headers or {}) as response:
                body = bytearray()
                if response.status_code == 200:
                    for chunk in response.iter_bytes(_CHUNK):
                        body += chunk
                        if len(body) > limit:
                            raise _too_long(url, limit)
                return Answer(
                    response.status_code,
                    bytes(body),
                    response.headers.get("etag", ""),
                    response.headers.get("last-modified", ""),
                )

        return self._patiently(url, attempt)

    def save(self, url: str, file: IO[bytes], size: int, task: str, resume: bool = False) -> int:
        """Write a file of `size` bytes to `file` and return the status: 200, or 4xx.

        With `resume`, what `file` already holds is kept where the server can continue there.
        A body of another size is an error.
        """
        self._progress(Event(task, "start", task, total=size))

        def attempt() -> int:
            have = file.seek(0, 2) if resume else 0
            headers = {"Range": f"bytes={have}-"} if 0 < have < size else {}
            with self._stream(url, headers) as response:
                if response.status_code not in (200, 206):
                    return int(response.status_code)
                start = have if response.status_code == 206 else 0
                if start and not _continues(response.headers.get("content-range", ""), start):
                    raise _Transient("the server continued at another place")
                file.seek(start)
                file.truncate()
                self._receive(response, file, start, size, url, task)
                return 200

        status = self._patiently(url, attempt)
        self._progress(Event(task, "done" if status == 200 else "failed", "", size, size))
        return status

    def _receive(
        self, response: httpx.Response, file: IO[bytes], done: int, size: int, url: str, task: str
    ) -> None:
        for chunk in response.iter_bytes(_CHUNK):
            done += len(chunk)
            if done > size:
                raise _too_long(url, size)
            file.write(chunk)
            self._progress(Event(task, "advance", "", done, size))
        file.flush()
        if done < size:
            raise _Transient(f"{done} of {size} bytes came")

    @contextmanager
    def _stream(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        import httpx

        plain, login = self._login(url)
        client = self._client(url)
        auth = httpx.BasicAuth(*login) if login else None
        sent = {"Accept-Encoding": "identity", **headers}
        try:
            with client.stream("GET", plain, headers=sent, auth=auth) as response:
                if response.status_code in _TRANSIENT:
                    raise _Transient(f"the server said {response.status_code}")
                yield response
        except httpx.TransportError as error:
            raise _Transient(f"{type(error).__name__}: {error}"[:300]) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RepositoryError(
                f"{without_credentials(url)} cannot be read: {error}"[:500],
                "check the URI in the image's sources",
            ) from error

    def _patiently(self, url: str, attempt: Callable[[], T]) -> T:
        shown = without_credentials(url)
        if self._offline:
            raise RepositoryError(
                f"{shown} is not in the cache, and oakum was told to stay offline",
                "run once without --offline",
            )
        for number in range(1, ATTEMPTS + 1):
            try:
                return attempt()
            except _Transient as error:
                if number == ATTEMPTS:
                    raise RepositoryError(
                        f"{shown} cannot be read, tried {ATTEMPTS} times: {error}",
                        "check the network, the proxy and the mirror, and try again",
                    ) from error
                time.sleep(_PAUSE * 2 ** (number - 1))
        raise AssertionError("unreachable")

    def _login(self, url: str) -> tuple[str, tuple[str, str] | None]:
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        plain = urlunsplit(parts._replace(netloc=host))
        if at:
            name, _, password = user.partition(":")
            return plain, (unquote(name), unquote(password))
        return plain, login_for(self._logins, parts.scheme, host, parts.path)

    def _client(self, url: str) -> httpx.Client:
        import httpx

        proxy = proxy_for(url, self._configuration, self._env)
        with self._lock:
            if proxy not in self._clients:
                try:
                    self._clients[proxy] = httpx.Client(
                        proxy=proxy or None,
                        verify=tls_context(self._ca_certificates, self._env),
                        timeout=httpx.Timeout(30.0, connect=15.0),
                        follow_redirects=True,
                        trust_env=False,
                        limits=httpx.Limits(max_connections=16),
                        headers={"User-Agent": "oakum"},
                    )
                except (ValueError, ImportError, httpx.InvalidURL) as error:
                    raise RepositoryError(
                        f"the proxy {without_credentials(proxy)} cannot be used: {error}",
                        "give the proxy as http://host:port",
                    ) from error
            return self._clients[proxy]

    def close(self) -> None:
        """Let go of all connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()


def _continues(content_range: str, start: int) -> bool:
    return content_range.startswith(f"bytes {start}-")


def _too_long(url: str, limit: int) -> RepositoryError:
    return RepositoryError(
        f"{without_credentials(url)} is longer than the {limit} bytes that it may have",
        "the mirror is damaged or out of step; try again or use another mirror",
    )


def tls_context(ca_certificates: Path | None, env: Mapping[str, str]) -> ssl.SSLContext:
    import ssl

    named = str(ca_certificates) if ca_certificates else env.get("SSL_CERT_FILE") or None
    try:
        context = ssl.create_default_context()
        if named:
            context.load_verify_locations(named)
    except (OSError, ssl.SSLError) as error:
        raise RepositoryError(
            f"the CA certificates {named} cannot be read: {error}",
            "name a file of PEM certificates",
        ) from error
    return context


def read_logins(files: ImageFiles) -> dict[str, tuple[str, str]]:
    """Logins by machine from the image's ``etc/apt/auth.conf`` files (apt_auth.conf(5))."""
    logins: dict[str, tuple[str, str]] = {}
    names = [n for n in files.list("etc/apt/auth.conf.d") if n.endswith(".conf")]
    for path in ["etc/apt/auth.conf", *(f"etc/apt/auth.conf.d/{n}" for n in names)]:
        words = iter((files.read(path) or b"").decode("utf-8", "replace").split())
        machine, login = "", ""
        for word in words:
            if word == "machine":
                machine, login = next(words, ""), ""
            elif word == "login":
                login = next(words, "")
            elif word == "password" and machine:
                logins.setdefault(machine, (login, next(words, "")))
    return logins


def login_for(
    logins: Mapping[str, tuple[str, str]], scheme: str, host: str, path: str
) -> tuple[str, str] | None:
    """The login of the first machine that fits; without a scheme it is for https only (apt)."""
    for machine, login in logins.items():
        named, _, rest = machine.rpartition("://")
        if (named or "https") != scheme.lower():
            continue
        machine_host, slash, machine_path = rest.partition("/")
        if machine_host not in (host, host.partition(":")[0]):
            continue
        if not slash or path.startswith("/" + machine_path):
            return login
    return None
