"""Files from http(s) addresses, kept as blobs and asked for again only as far as they changed."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from oakum.builder.request import BuildRequest
from oakum.errors import BuildError, TransportError, UsageError
from oakum.oci import Digest
from oakum.progress import Event, Progress, silent
from oakum.store import Store
from oakum.version import version

if TYPE_CHECKING:
    import ssl

_MAX_DOWNLOAD = 64 << 30
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")


class Download(msgspec.Struct, frozen=True):
    """What an address gave."""

    digest: Digest
    """Digest of the blob that holds it."""
    etag: str
    """The server's mark of it, or empty."""
    modified: str
    """The server's time of it, or empty."""
    size: int
    """Bytes."""
    mtime: int
    """The same time in seconds; 0 where the server has none."""


def is_web_address(text: str) -> bool:
    """Whether a source is an http(s) address."""
    return text.startswith(("http://", "https://"))


def file_name(url: str) -> str:
    """The name that ADD gives to the file at an address: the last part of its path."""
    path = unquote(urlsplit(url).path, errors="surrogateescape").rstrip("/")
    name = posixpath.basename(path) or "__unnamed__"
    usable = name not in (".", "..") and all(c.isprintable() or c > "\x9f" for c in name)
    return name if usable else "download"


def shown_address(url: str) -> str:
    """An address for people: without name and password."""
    return re.sub(r"//[^/]*@", "//", url)[:200]


class Downloads:
    """Downloads of one build."""

    def __init__(
        self,
        store: Store,
        request: BuildRequest,
        progress: Progress = silent,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._progress = progress
        self._request = request
        self._stopped = stopped

    def fetch(self, url: str, checksum: str | None = None) -> Download:
        """The file at an address.

        One whose sha256 checksum is given and that is here already is not asked for.
        `BuildError` for an answer other than 200, a redirect from https to http and a checksum
        that does not hold; `TransportError` for a network that fails.
        """
        if checksum is not None and _CHECKSUM.fullmatch(checksum) is None:
            raise BuildError(
                f"invalid checksum digest: --checksum={checksum[:80]!r}",
                "write sha256:…, sha384:… or sha512:…",
            )
        key = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
        known = self._known(key)
        if known is not None and known.digest == checksum:
            return known
        got = self._ask(url, known)
        if got is not known:
            self._store.records.put("http", key, msgspec.msgpack.encode(got))
        if checksum is not None and (actual := self._checksum(got, checksum)) != checksum:
            raise BuildError(
                f"digest mismatch: {shown_address(url)} has {actual}, --checksum says {checksum}",
                "check the address and the checksum",
            )
        return got

    def path(self, download: Download) -> Path:
        """Where the file is on disk; it is the store's, not to be changed."""
        return self._store.blobs.path(download.digest)

    def _known(self, key: str) -> Download | None:
        raw = self._store.records.get("http", key)
        with contextlib.suppress(msgspec.DecodeError):
            known = msgspec.msgpack.decode(raw, type=Download) if raw else None
            if known is not None and self._store.blobs.has(known.digest, known.size):
                return known
        return None

    def _checksum(self, got: Download, wanted: str) -> str:
        algorithm = wanted.partition(":")[0]
        if algorithm == "sha256":
            return got.digest
        with self.path(got).open("rb") as file:
            return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"

    def _ask(self, url: str, known: Download | None) -> Download:
        import httpx

        shown = shown_address(url)
        if self._request.offline:
            if known is not None:
                return known
            raise TransportError(
                f"{shown} is not asked: oakum was told to stay offline",
                "it was never fetched here; run once without --offline",
            )
        headers = {
            "Accept-Encoding": "gzip",
            "User-Agent": f"oakum/{version()}",
            **self._login(url),
            **_conditions(known),
        }
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [_stays_encrypted(url)]}
        try:
            with (
                httpx.Client(
                    follow_redirects=True, timeout=60, verify=self._trust(), event_hooks=hooks
                ) as client,
                client.stream("GET", url, headers=headers) as answer,
            ):
                if answer.status_code == 304 and known is not None:
                    return known
                if answer.status_code != 200:
                    raise BuildError(
                        f"{shown} answered {answer.status_code}", _advice(answer.status_code)
                    )
                return self._keep(shown, answer)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise TransportError(
                f"cannot fetch {shown}: {self._without_login(url, str(error))[:300]}",
                "check the address and the network",
            ) from None

    def _keep(self, shown: str, answer: Any) -> Download:
        task = f"download {shown}"
        length = answer.headers.get("content-length", "")
        total = int(length) if length.isdecimal() else None
        self._progress(Event(task, "start", shown, total=total))
        with self._store.blobs.writing() as writer:
            for piece in answer.iter_bytes(1 << 20):
                writer.write(piece)
                self._progress(Event(task, "advance", "", writer.size, total))
                if writer.size > _MAX_DOWNLOAD:
                    raise BuildError(f"{shown} is larger than 64 GiB", "fetch it in a RUN step")
                if self._stopped():
                    raise BuildError(f"{shown} was not fetched to its end", "another stage failed")
            size = writer.size
            digest = writer.commit()
        self._progress(Event(task, "done", "", size, size))
        modified = answer.headers.get("last-modified", "")
        mtime = 0
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            mtime = int(email.utils.parsedate_to_datetime(modified).timestamp())
        return Download(digest, answer.headers.get("etag", ""), modified, size, mtime)

    def _login(self, url: str) -> dict[str, str]:
        """The secret that is for the address's host, as BuildKit names it."""
        with contextlib.suppress(ValueError):
            host = urlsplit(url).hostname or ""
            for kind, before in (("HEADER", ""), ("TOKEN", "Bearer ")):
                value = self._request.secret(f"HTTP_AUTH_{kind}_{host}")
                if value is not None:
                    return {"Authorization": before + os.fsdecode(value).strip()}
        return {}

    def _without_login(self, url: str, text: str) -> str:
        for value in self._login(url).values():
            text = text.replace(value, "***").replace(value.partition(" ")[2] or value, "***")
        return text.replace(url, shown_address(url))

    def _trust(self) -> ssl.SSLContext:
        import ssl

        context = ssl.create_default_context()
        named = self._request.ca_certificates or os.environ.get("SSL_CERT_FILE")
        try:
            if named:
                context.load_verify_locations(named)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"the CA certificates {named} cannot be read: {error}",
                "name a file of PEM certificates",
            ) from error
        return context


def _conditions(known: Download | None) -> dict[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.modified} if known.modified else {}


def _stays_encrypted(url: str) -> Callable[[Any], None]:
    """Refuses to be sent from https to http."""
    encrypted = url.lower().startswith("https:")

    def look(request: Any) -> None:
        nonlocal encrypted
        if encrypted and request.url.scheme != "https":
            raise BuildError(
                f"{shown_address(url)} redirects to {shown_address(str(request.url))}, which is "
                "not encrypted",
                "use the address that it has now, if you trust it",
            )
        encrypted = request.url.scheme == "https"

    return look


def _advice(status: int) -> str:
    if status in (401, 403):
        return "pass --secret id=HTTP_AUTH_TOKEN_HOST,env=NAME with a token for its host"
    return "check the address"
