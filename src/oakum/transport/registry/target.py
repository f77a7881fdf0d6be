"""Writing images to a registry (distribution spec v1.1, "Push")."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, urljoin

import httpx

from oakum.errors import AccessDenied, NotFound, TransportError
from oakum.oci import Descriptor, Platform, Reference
from oakum.oci.digest import digest_of
from oakum.progress import Progress, silent
from oakum.transport.interface import Opener
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.client import Client

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class RegistryTarget:
    """One name of a registry that an image is written to."""

    def __init__(
        self, reference: Reference, options: RegistryOptions, progress: Progress = silent
    ) -> None:
        self._reference = reference
        self._client = Client(reference.host, options, progress)
        self._own = f"repository:{reference.repository}:pull,push"
        self._path = f"/v2/{reference.repository}"
        self._sessions: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def repository(self) -> str:
        """``host/path`` of the repository."""
        return self._reference.name

    def close(self) -> None:
        """Cancel uploads that were opened and not used; let go of connections."""
        for session in self._sessions.values():
            try:
                with self._client.request(
                    "DELETE",
                    session,
                    scopes=(self._own,),
                    what="cancel an upload",
                    accept=(200, 202, 204, 404, 405),
                    attempts=1,
                ):
                    continue
            except (TransportError, AccessDenied, NotFound):
                continue
        self._client.close()

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the repository holds the blob."""
        with self._client.request(
            "HEAD",
            f"{self._path}/blobs/{descriptor.digest}",
            scopes=(self._own,),
            what=f"look for a blob in {self._reference.name}",
            accept=(200, 404),
        ) as response:
            return response.status_code == 200

    def mount_blob(self, descriptor: Descriptor, repositories: tuple[str, ...]) -> bool:
        """Take the blob over from another repository of the same registry; whether that worked."""
        prefix = f"{self._reference.host}/"
        for name in repositories:
            other = name.removeprefix(prefix)
            if other == name or other == self._reference.repository:
                continue
            if self._mount(descriptor, other):
                return True
        return False

    def _mount(self, descriptor: Descriptor, other: str) -> bool:
        query = f"mount={quote(descriptor.digest)}&from={quote(other, safe='')}"
        try:
            with self._client.request(
                "POST",
                f"{self._path}/blobs/uploads/?{query}",
                scopes=(self._own, f"repository:{other}:pull"),
                what=f"mount a blob in {self._reference.name}",
                headers={"Content-Length": "0"},
                accept=(201, 202),
                attempts=2,
            ) as response:
                if response.status_code == 201:
                    return True
                place = response.headers.get("location")
                if place:
                    with self._lock:
                        self._sessions.setdefault(descriptor.digest, self._absolute(place))
        except (AccessDenied, NotFound, TransportError):
            return False
        return False

    def _absolute(self, place: str) -> str:
        return urljoin(self._client.base() + self._path + "/", place)

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Upload the blob; what the registry has of it already is not sent again."""
        what = f"upload {descriptor.digest} to {self._reference.name}"
        with self._lock:
            session = self._sessions.pop(descriptor.digest, None)
        for attempt in range(1, self._client.retries + 2):
            last = attempt > self._client.retries
            try:
                if session is None:
                    session = self._start(what)
                offset = self._offset(session, what) if attempt > 1 else 0
                if offset is None:
                    session = self._start(what)
                    offset = 0
                self._send(session, descriptor, opener, offset, what)
                return
            except TransportError as error:
                if last:
                    raise
                session = self._after_failure(descriptor, session)
                if session is _COMPLETE:
                    return
                self._client.pause_before(attempt, error.what)

    def _after_failure(self, descriptor: Descriptor, session: str | None) -> str | None:
        """Where to continue; `_COMPLETE` when the registry has the blob after all."""
        try:
            if self.has_blob(descriptor):
                return _COMPLETE
        except (TransportError, AccessDenied, NotFound):
            return session
        return session

    def _start(self, what: str) -> str:
        with self._client.request(
            "POST",
            f"{self._path}/blobs/uploads/",
            scopes=(self._own,),
            what=what,
            headers={"Content-Length": "0"},
            accept=(202,),
        ) as response:
            place = response.headers.get("location")
        if not place:
            raise TransportError(f"{what}: no place to upload to", "the registry is broken")
        return self._absolute(place)

    def _offset(self, session: str, what: str) -> int | None:
        """Bytes that an upload has already; None when the session is gone."""
        try:
            with self._client.request(
                "GET", session, scopes=(self._own,), what=what, accept=(204, 404), attempts=1
            ) as response:
                if response.status_code == 404:
                    return None
                match = _RANGE.fullmatch(response.headers.get("range", "").strip())
        except (TransportError, NotFound, AccessDenied):
            return None
        # A session that is empty may say 0-0, which also means one byte: start such a one anew.
        return int(match[1]) + 1 if match and int(match[1]) > 0 else None

    def _send(
        self, session: str, descriptor: Descriptor, opener: Opener, offset: int, what: str
    ) -> None:
        if offset > descriptor.size:
            raise TransportError(f"{what}: the registry has more than was sent", "try again")
        place = session
        if offset:
            place = self._patch(session, descriptor, opener, offset, what)

        def body() -> Iterator[bytes]:
            return iter(()) if offset else opener(0)

        length = 0 if offset else descriptor.size
        separator = "&" if "?" in place else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        try:
            with self._client.request(
                "PUT",
                f"{place}{separator}digest={quote(descriptor.digest)}",
                scopes=(self._own,),
                what=what,
                headers=headers,
                body=body,
                accept=(201, 204),
                attempts=1,
            ):
                return
        except httpx.HTTPError as error:
            raise TransportError(f"{what}: {error}", "try again") from error

    def _patch(
        self, session: str, descriptor: Descriptor, opener: Opener, offset: int, what: str
    ) -> str:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{offset}-{descriptor.size - 1}",
            "Content-Length": str(descriptor.size - offset),
        }
        with self._client.request(
            "PATCH",
            session,
            scopes=(self._own,),
            what=what,
            headers=headers,
            body=lambda: opener(offset),
            accept=(202,),
            attempts=1,
        ) as response:
            place = response.headers.get("location")
        return self._absolute(place) if place else session

    def put_manifest(self, raw: bytes, media_type: str, *, root: bool) -> None:
        """Write a manifest or index by digest; with `root` under the reference's tag."""
        digest = digest_of(raw)
        name = self._reference.tag if root and self._reference.tag else digest
        with self._client.request(
            "PUT",
            f"{self._path}/manifests/{name}",
            scopes=(self._own,),
            what=f"write the manifest of {self._reference}",
            headers={"Content-Type": media_type, "Content-Length": str(len(raw))},
            body=raw,
            accept=(201, 200, 202),
        ) as response:
            stored = response.headers.get("docker-content-digest")
        if stored and stored != digest_of(raw) and not stored.startswith("sha512:"):
            raise TransportError(
                f"{self._reference.name} stored the manifest as {stored}, not {digest_of(raw)}",
                "the registry changes what it stores; use another",
            )

    def finish(self, root: Descriptor, platform: Platform | None) -> None:
        """The tag was written with the root manifest, the last of all."""
        return


_COMPLETE = "complete"
