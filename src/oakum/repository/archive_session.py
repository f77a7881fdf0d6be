"""One step's reading of package archives: from what is kept, or from the archive, and recorded."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.archive_files import ArchiveFiles, Served, seconds_of
from oakum.repository.configuration import Configuration
from oakum.repository.proxies import proxy_for
from oakum.repository.seeds import SignedFiles, is_index, keep_list

if TYPE_CHECKING:
    import httpx

_THREADS = 12
_CHUNK = 256 * 1024
_LARGEST = 16 << 30
_PAUSE = 60.0
_REDIRECTS = 6
_PASSED = ("www-authenticate", "retry-after")


class Upstream(msgspec.Struct, frozen=True):
    """How a step reaches archives."""

    env: Mapping[str, str] = {}
    """The step's environment, for its proxy variables."""
    hosts: Mapping[str, str] = {}
    """Names that the step has addresses of its own for (``--add-host``)."""
    recorded: Mapping[str, str] | None = None
    """Nothing but these is served: URL → SHA-256; None: whatever the archives have."""
    offline: bool = False
    """No archive is asked: what they gave before is served."""

    @property
    def silent(self) -> bool:
        """Whether no archive is asked."""
        return self.offline or self.recorded is not None


class Reply(msgspec.Struct):
    """An answer to one request."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = {}
    body: Body | None = None


class Body:
    """A body that may still be on its way: what came so far stands in a file."""

    def __init__(self, file: IO[bytes], size: int | None, *, whole: bool = False) -> None:
        self._file = file
        self._changed = threading.Condition()
        self.size = size
        self._have = size or 0 if whole else 0
        self._done = whole
        self._failed = False

    def came(self, count: int) -> None:
        with self._changed:
            self._have += count
            self._changed.notify_all()

    def ended(self, *, failed: bool) -> None:
        with self._changed:
            self._done, self._failed = True, failed
            self._changed.notify_all()

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes; `ConnectionError` when it breaks off."""
        at = 0
        while True:
            with self._changed:
                while self._have <= at and not self._done:
                    self._changed.wait(_PAUSE)
                have, failed = self._have, self._failed
            if failed:
                raise ConnectionError("the archive broke off")
            if have <= at:
                return
            self._file.seek(at)
            while at < have:
                piece = self._file.read(min(_CHUNK, have - at))
                if not piece:
                    raise ConnectionError("a kept file shrank")
                at += len(piece)
                yield piece

    def close(self) -> None:
        self._file.close()


class Session:
    """One step's use of the proxy."""

    def __init__(self, files: ArchiveFiles, upstream: Upstream, verify: Callable[[], Any]) -> None:
        self.password = secrets.token_hex(16)
        self.used: dict[str, str] = {}
        """What was served: URL → SHA-256."""
        self.refused: list[str] = []
        """What was asked for where no archive may be asked, and is not kept."""
        self.signed: SignedFiles | None = None
        """Digests by which a package file is known to be the one that is wanted."""
        self._files = files
        self._upstream = upstream
        self._verify = verify
        self._clients: dict[tuple[str, bool], httpx.Client] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.pool = ThreadPoolExecutor(_THREADS, "archive")
        # Answers wait for bodies to begin, so bodies have threads of their own.
        self._bodies = ThreadPoolExecutor(_THREADS, "archive body")

    def reply(self, url: str, headers: Mapping[str, str]) -> Reply:
        """The answer to a request for `url`, which begins with ``http://``."""
        known = self.served(url)
        if self._upstream.silent:
            if known is None:
                self.refused.append(url)
                return refusal(504, "oakum asks no archive and has no copy of this")
            return self._kept(url, known, headers)
        digest = _by_hash(url) or (self.signed.digest(url) if self.signed else "")
        if digest and known and not known.private and known.digest == digest:
            return self._kept(url, known, headers)
        try:
            return self._asked(url, known, headers)
        except RepositoryError as error:
            return refusal(502, error.what)

    def served(self, url: str) -> Served | None:
        """What a URL gave before: when it was asked last, or as it was recorded."""
        recorded = self._upstream.recorded
        if recorded is None:
            return self._files.known(self._key(url))
        digest = recorded.get(url)
        return self._files.of_digest(digest) if digest else None

    def _key(self, url: str) -> str:
        """What the kept files know a URL by: a name with another address is another server."""
        address = self._upstream.hosts.get(urlsplit(url).hostname or "")
        return f"{url} at {address}" if address else url

    def _kept(self, url: str, served: Served, headers: Mapping[str, str]) -> Reply:
        file = self._files.open(served.digest)
        if file is None and self._upstream.silent:
            self.refused.append(url)
            return refusal(504, "oakum's copy of this file is damaged")
        if file is None:
            return self._asked(url, None, headers)
        if _not_newer(served.last_modified, headers.get("if-modified-since", "")):
            file.close()
            self.used[url] = served.digest
            return Reply(304, "Not Modified", _validators(served))
        return self._whole(url, file, served)

    def _whole(self, url: str, file: IO[bytes], served: Served) -> Reply:
        self.used[url] = served.digest
        body = Body(file, served.size, whole=True)
        return Reply(200, "OK", _validators(served), body)

    def _asked(self, url: str, known: Served | None, headers: Mapping[str, str]) -> Reply:
        """What the archive says now; a file that is known is asked for only if it changed."""
        import httpx

        sent = {"Accept-Encoding": "identity"}
        login = headers.get("authorization", "")
        if login:
            sent["Authorization"] = login
        if known and known.etag:
            sent["If-None-Match"] = known.etag
        if known and known.last_modified:
            sent["If-Modified-Since"] = known.last_modified
        response: httpx.Response | None = None
        try:
            response = self._response(url, sent)
            if response.status_code == 304 and known:
                response.close()
                return self._kept(url, known, headers)
            if response.status_code == 200:
                return self._received(url, response, private=bool(login))
            response.close()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:
            if response is not None:
                response.close()
            host = urlsplit(url).hostname or "the archive"
            return refusal(502, f"cannot read from {host}: {type(error).__name__}")
        passed = {k: v for k, v in response.headers.items() if k.lower() in _PASSED}
        return Reply(response.status_code, response.reason_phrase, passed)

    def _response(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """The archive's answer; where it points elsewhere, the answer of that place."""
        for _ in range(_REDIRECTS):
            client, plain, named = self._client(url)
            request = client.build_request("GET", plain, headers={**headers, **named})
            response = client.send(request, stream=True)
            if not response.has_redirect_location:
                return response
            response.close()
            old, url = urlsplit(url), urljoin(url, response.headers["location"])
            if urlsplit(url).netloc != old.netloc:
                headers = {k: v for k, v in headers.items() if k != "Authorization"}
        raise ValueError("too many redirects")

    def _received(self, url: str, response: httpx.Response, *, private: bool) -> Reply:
        """The body, sent on while it comes and kept when it is whole."""
        length = response.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 18 else None
        served = Served(
            "",
            0,
            response.headers.get("etag", ""),
            response.headers.get("last-modified", ""),
            private,
        )
        ready: Future[Body] = Future()
        self._bodies.submit(self._pump, url, response, size, served, ready)
        return Reply(200, "OK", _validators(served), ready.result())

    def _pump(
        self,
        url: str,
        response: httpx.Response,
        size: int | None,
        served: Served,
        ready: Future[Body],
    ) -> None:
        import httpx

        with contextlib.ExitStack() as stack:
            stack.callback(response.close)
            try:
                file, path = stack.enter_context(self._files.receiving())
                body = Body(path.open("rb"), size)
            except BaseException as error:
                ready.set_exception(error)
                return
            ready.set_result(body)
            failed = True
            try:
                hasher, count = hashlib.sha256(), 0
                for chunk in response.iter_raw(_CHUNK):
                    file.write(chunk)
                    file.flush()
                    hasher.update(chunk)
                    count += len(chunk)
                    body.came(len(chunk))
                    if self._closed or count > _LARGEST:
                        return
                digest = hasher.hexdigest()
                self._files.keep(path, digest, seconds_of(served.last_modified))
                kept = msgspec.structs.replace(served, digest=digest, size=count)
                self._files.remember(self._key(url), kept)
                self.used[url] = digest
                failed = False
            except (httpx.HTTPError, OSError, RepositoryError):
                return
            finally:
                body.ended(failed=failed)
            if is_index(url):
                keep_list(self._files, kept)

    def _client(self, url: str) -> tuple[httpx.Client, str, dict[str, str]]:
        """The client for a URL, the URL to ask it for, and the host to name."""
        import httpx

        proxy = proxy_for(url, Configuration(), self._upstream.env)
        parts = urlsplit(url)
        tls = "https" in (parts.scheme, urlsplit(proxy).scheme)
        with self._lock:
            if self._closed:
                raise ValueError("the step has ended")
            if (proxy, tls) not in self._clients:
                self._clients[proxy, tls] = httpx.Client(
                    proxy=proxy or None,
                    verify=self._verify() if tls else False,
                    timeout=httpx.Timeout(30.0, connect=15.0),
                    follow_redirects=False,
                    trust_env=False,
                    headers={"User-Agent": "oakum"},
                )
            client = self._clients[proxy, tls]
        address = self._upstream.hosts.get(parts.hostname or "")
        if not address:
            return client, url, {}
        host = f"[{address}]" if ":" in address else address
        netloc = f"{host}:{parts.port}" if parts.port else host
        return client, urlunsplit(parts._replace(netloc=netloc)), {"Host": parts.netloc}

    def close(self) -> None:
        """Let go of connections; downloads that nobody waits for any more end."""
        with self._lock:
            self._closed = True
        for client in self._clients.values():
            client.close()
        self.pool.shutdown(wait=True, cancel_futures=True)
        self._bodies.shutdown(wait=True, cancel_futures=True)


def refusal(status: int, reason: str) -> Reply:
    """An answer that gives nothing, and says why on its first line."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in reason)[:200]
    return Reply(status, shown)


def _validators(served: Served) -> dict[str, str]:
    pairs = {"ETag": served.etag, "Last-Modified": served.last_modified}
    return {name: value for name, value in pairs.items() if value}


def _by_hash(url: str) -> str:
    """The SHA-256 that a by-hash URL names; empty for any other."""
    directory, _, name = url.rpartition("/")
    return name.lower() if directory.endswith("/by-hash/SHA256") else ""


def _not_newer(last_modified: str, since: str) -> bool:
    try:
        return parsedate_to_datetime(last_modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError, IndexError, OverflowError):
        return False
