"""Writing images to a registry (distribution spec v1.1, "Push")."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote

import httpx

from oakum.errors import AccessDenied, NotFound, OakumError, TransportError
from oakum.oci import Descriptor, Digest, Platform, Reference, is_digest
from oakum.oci.digest import digest_of
from oakum.progress import Progress, silent
from oakum.transport.interface import Opener
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.client import Client
from oakum.transport.registry.passing import Passing
from oakum.transport.registry.source import ACCEPT

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


class _UploadLost(Passing):
    """The registry forgot an upload, or has other bytes of it than were sent."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the registry lost it", "try again later", "lost an upload")


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
        """Cancel uploads that were not finished; let go of connections."""
        for session in list(self._sessions.values()):
            self._cancel(session)
        self._client.close()

    def _cancel(self, session: str) -> None:
        with (
            # After an interrupt, transfers that were left may close connections meanwhile.
            contextlib.suppress(OakumError, httpx.HTTPError, OSError, RuntimeError),
            self._client.request(
                "DELETE",
                session,
                scopes=(self._own,),
                what="cancel an upload",
                accept=(200, 202, 204, 404, 405),
                attempts=1,
            ),
        ):
            pass

    def stands_for(self) -> Digest | None:
        """What the tag stands for now, as far as the registry tells it in a header."""
        name = self._reference.tag or self._reference.digest
        try:
            with self._client.request(
                "HEAD",
                f"{self._path}/manifests/{quote(str(name), safe=':')}",
                scopes=(self._own,),
                what=f"look at {self._reference}",
                headers={"Accept": ACCEPT},
                accept=(200, 404, 405),
            ) as response:
                told = response.headers.get("docker-content-digest", "")
                return Digest(told) if response.status_code == 200 and is_digest(told) else None
        except NotFound:
            return None

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
                        self._sessions.setdefault(descriptor.digest, self._upload(place))
        except (AccessDenied, NotFound, TransportError):
            return False
        return False

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Upload the blob; what the registry has of it already is not sent again.

        Raises what `opener` raises, and what the registry answers when trying again is no use.
        """
        what = f"upload {descriptor.digest} to {self._reference.name}"
        with self._lock:
            session = self._sessions.pop(descriptor.digest, None)
        for attempt in itertools.count(1):
            try:
                resumed = session is not None and attempt > 1
                session = session or self._start(what)
                offset = self._offset(session, what) if resumed else 0
                self._send(session, descriptor, opener, offset, what)
                return
            except Passing as error:
                if self._arrived(descriptor):
                    return
                if attempt > self._client.retries:
                    self._abandon(descriptor, session)
                    raise
                if isinstance(error, _UploadLost) and session is not None:
                    self._cancel(session)
                    session = None
                self._client.pause_before(attempt, error.reason, error.retry_after)
            except BaseException:
                self._abandon(descriptor, session)
                raise

    def _abandon(self, descriptor: Descriptor, session: str | None) -> None:
        """Leave an upload that will not be finished to `close`."""
        if session is not None:
            with self._lock:
                self._sessions[descriptor.digest] = session

    def _arrived(self, descriptor: Descriptor) -> bool:
        """Whether the registry has the blob though its answer got lost."""
        try:
            return self.has_blob(descriptor)
        except (TransportError, AccessDenied, NotFound):
            return False

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
        return self._upload(place)

    def _upload(self, place: str) -> str:
        return self._client.absolute(place, f"{self._path}/blobs/uploads/")

    def _offset(self, session: str, what: str) -> int:
        """Bytes that an upload has already; `_UploadLost` when the session is gone."""
        try:
            with self._client.request(
                "GET", session, scopes=(self._own,), what=what, accept=(204,), attempts=1
            ) as response:
                match = _RANGE.fullmatch(response.headers.get("range", "").strip())
        except (NotFound, AccessDenied, TransportError) as error:
            raise _UploadLost(what) from error
        if match is None or match[1] == "0":
            # An empty upload says 0-0, which also means one byte: start such a one anew.
            raise _UploadLost(what)
        return int(match[1]) + 1

    def _send(
        self, session: str, descriptor: Descriptor, opener: Opener, offset: int, what: str
    ) -> None:
        if offset > descriptor.size:
            raise _UploadLost(what)
        place = self._patch(session, descriptor, opener, offset, what) if offset else session

        def body() -> Iterator[bytes]:
            return iter(()) if offset else _settled(opener, 0)

        lost = (400, 404, 416) if offset else (404, 416)
        separator = "&" if "?" in place else "?"
        with self._client.request(
            "PUT",
            f"{place}{separator}digest={quote(descriptor.digest)}",
            scopes=(self._own,),
            what=what,
            headers=_bytes_header(0 if offset else descriptor.size),
            body=body,
            accept=(201, 204, *lost),
            attempts=1,
        ) as response:
            if response.status_code in lost:
                raise _UploadLost(what)

    def _patch(
        self, session: str, descriptor: Descriptor, opener: Opener, offset: int, what: str
    ) -> str:
        """Send the rest of an upload; where to finish it."""
        if offset == descriptor.size:
            return session
        lost = (400, 404, 416)
        headers = _bytes_header(descriptor.size - offset)
        headers["Content-Range"] = f"{offset}-{descriptor.size - 1}"
        with self._client.request(
            "PATCH",
            session,
            scopes=(self._own,),
            what=what,
            headers=headers,
            body=lambda: _settled(opener, offset),
            accept=(202, *lost),
            attempts=1,
        ) as response:
            if response.status_code in lost:
                raise _UploadLost(what)
            place = response.headers.get("location")
        return self._upload(place) if place else session

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


def _settled(opener: Opener, offset: int) -> Iterator[bytes]:
    """The bytes to send; a source that gave up is not asked again for the target's sake."""
    try:
        yield from opener(offset)
    except Passing as error:
        raise TransportError(error.what, error.todo) from error


def _bytes_header(length: int) -> dict[str, str]:
    return {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
