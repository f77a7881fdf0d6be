"""Reading images from a registry (distribution spec v1.1, "Pull"), mirrors first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import quote

import httpx

from oakum.errors import (
    AccessDenied,
    DigestMismatch,
    InvalidImage,
    NotFound,
    TransportError,
)
from oakum.oci import Descriptor, Digest, Reference, check, parse_reference
from oakum.oci.digest import digest_of, is_digest
from oakum.oci.image import MAX_DOCUMENT, load_json
from oakum.oci.media import INDEXES, MANIFESTS, OCI_INDEX, OCI_MANIFEST
from oakum.progress import Progress, silent
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.client import Client
from oakum.transport.registry.tags import read_tags

ACCEPT = ", ".join((*sorted(MANIFESTS), *sorted(INDEXES)))
_OLD = "application/vnd.docker.distribution.manifest.v1+"
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_TOLD_BY_GET = (400, 403, 404, 405, 501)
"""Refusals of a HEAD, which has no body: the GET that follows tells why, or works."""
_BYTES_A_RETRY = 64 << 20

T = TypeVar("T")


class RegistrySource:
    """One name of a registry."""

    def __init__(
        self, reference: Reference, options: RegistryOptions, progress: Progress = silent
    ) -> None:
        self._reference = reference
        mirrors = options.mirrors.get(reference.host, ())
        self._clients = [Client(mirror, options, progress, retries=1) for mirror in mirrors]
        self._clients.append(Client(reference.host, options, progress))
        self._scopes = (f"repository:{reference.repository}:pull",)
        self._path = f"/v2/{reference.repository}"

    @classmethod
    def for_repository(
        cls, name: str, options: RegistryOptions, progress: Progress = silent
    ) -> RegistrySource:
        """The repository ``host/path``, to read blobs from."""
        return cls(parse_reference(name), options, progress)

    def origin(self) -> Reference | None:
        """The reference."""
        return self._reference

    def close(self) -> None:
        """Let go of connections."""
        for client in self._clients:
            client.close()

    def _each(self, read: Callable[[Client], T]) -> T:
        """The first answer of the mirrors and the registry; the registry's own error if none."""
        for client in self._clients[:-1]:
            try:
                return read(client)
            except (NotFound, AccessDenied, TransportError, InvalidImage):
                continue
        return read(self._clients[-1])

    def tags(self) -> list[str]:
        """All tags of the repository, in the registry's order."""
        return self._each(lambda client: read_tags(client, self._reference))

    def resolve(self) -> Descriptor:
        """The manifest or index that the name stands for now."""
        return self._each(self._resolve)

    def _resolve(self, client: Client) -> Descriptor:
        path = f"{self._path}/manifests/{quote(self._reference.identifier, safe=':')}"
        what = f"read {self._reference}"
        headers = {"Accept": ACCEPT}
        with client.request(
            "HEAD",
            path,
            scopes=self._scopes,
            what=what,
            headers=headers,
            accept=(200, *_TOLD_BY_GET),
        ) as response:
            if response.status_code == 200:
                found = self._head(response)
                if found is not None:
                    return found
        response, raw = client.read(
            path, scopes=self._scopes, what=what, headers=headers, most=MAX_DOCUMENT
        )
        kind = _media_type(response) or _kind_of(raw)
        wanted = self._reference.digest
        if wanted:
            check(raw, wanted, f"the manifest of {self._reference}")
        return Descriptor(kind, wanted or digest_of(raw), len(raw))

    def _head(self, response: httpx.Response) -> Descriptor | None:
        """The descriptor out of the headers of a HEAD, when they tell all of it."""
        digest = response.headers.get("docker-content-digest", "")
        length = response.headers.get("content-length", "")
        kind = _media_type(response)
        if kind is None or not is_digest(digest) or not re.fullmatch("[0-9]{1,15}", length):
            return None
        wanted = self._reference.digest
        if wanted and digest != wanted:
            raise DigestMismatch(
                f"{self._reference.name} answers with digest {digest} when asked for {wanted}",
                "the registry is damaged or hostile; use another",
            )
        return Descriptor(kind, Digest(digest), int(length))

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest, an index or a config, checked against its descriptor."""
        if descriptor.size > MAX_DOCUMENT:
            raise InvalidImage(
                f"{descriptor.digest} has {descriptor.size} bytes, more than the {MAX_DOCUMENT} "
                "that are read of a document",
                "no image needs such a document; the source is broken or hostile",
            )
        known = descriptor.media_type in MANIFESTS or descriptor.media_type in INDEXES
        kind = "manifests" if known else "blobs"
        headers = {"Accept": f"{descriptor.media_type}, {ACCEPT}"} if known else {}
        what = f"read {descriptor.digest} of {self._reference.name}"

        def read(client: Client) -> bytes:
            _, raw = client.read(
                f"{self._path}/{kind}/{descriptor.digest}",
                scopes=self._scopes,
                what=what,
                headers=headers,
                most=descriptor.size,
            )
            return check(raw, descriptor.digest, f"a document of {self._reference.name}")

        return self._each(read)

    def holds(self, descriptor: Descriptor) -> bool:
        """Whether the repository has the blob."""

        def look(client: Client) -> bool:
            with client.request(
                "HEAD",
                f"{self._path}/blobs/{descriptor.digest}",
                scopes=self._scopes,
                what=f"look for a blob in {self._reference.name}",
                accept=(200,),
            ) as response:
                return response.status_code == 200

        try:
            return self._each(look)
        except NotFound:
            return False

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `offset` on; a connection that is cut is taken up again."""
        position = offset
        for number, client in enumerate(self._clients):
            last = number == len(self._clients) - 1
            try:
                for chunk in self._resumed(client, descriptor, position):
                    position += len(chunk)
                    yield chunk
                return
            except (NotFound, AccessDenied, TransportError):
                if last:
                    raise

    def _resumed(self, client: Client, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        position = offset
        failures = 0
        allowed = client.retries + descriptor.size // _BYTES_A_RETRY
        what = f"read {descriptor.digest} of {self._reference.name}"
        while position < descriptor.size or not descriptor.size:
            try:
                for chunk in self._stream(client, descriptor, position, what):
                    position += len(chunk)
                    yield chunk
                if position >= descriptor.size:
                    return
                reason = f"the connection ended after {position} of {descriptor.size} bytes"
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            failures += 1
            if failures > allowed:
                raise TransportError(
                    f"{what}: cut off {failures} times: {reason}", "try again later"
                )
            client.pause_before(min(failures, 6), reason)

    def _stream(
        self, client: Client, descriptor: Descriptor, position: int, what: str
    ) -> Iterator[bytes]:
        headers = {"Range": f"bytes={position}-"} if position else {}
        with client.request(
            "GET",
            f"{self._path}/blobs/{descriptor.digest}",
            scopes=self._scopes,
            what=what,
            headers=headers,
            accept=(200, 206),
        ) as response:
            skip = _skipped(response, position, descriptor.size, what)
            read = position - skip
            for chunk in response.iter_raw():
                read += len(chunk)
                if read > descriptor.size:
                    raise DigestMismatch(
                        f"{what}: more than the {descriptor.size} bytes that were promised",
                        "the source is damaged or hostile; fetch it from elsewhere",
                    )
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                yield chunk[skip:] if skip else chunk
                skip = 0


def _skipped(response: httpx.Response, position: int, size: int, what: str) -> int:
    """Bytes to leave out before the answer is at `position`."""
    if response.status_code == 200:
        return position
    match = _RANGE.fullmatch(response.headers.get("content-range", "").strip())
    wrong = match is None or int(match[1]) != position or match[3] not in ("*", str(size))
    if wrong:
        raise TransportError(
            f"{what}: asked for the bytes from {position} on, the registry sent others",
            "it lies about ranges; fetch the image from elsewhere",
        )
    return 0


def _media_type(response: httpx.Response) -> str | None:
    """The type of manifest or index that the answer says it is; None when it says another."""
    kind = str(response.headers.get("content-type", "")).partition(";")[0].strip()
    if kind.startswith(_OLD):
        raise InvalidImage(
            "the image has a manifest of Docker's schema 1", "push it again with a current client"
        )
    return kind if kind in MANIFESTS or kind in INDEXES else None


def _kind_of(raw: bytes) -> str:
    """The type that a document says of itself, or shows by what it has."""
    document = load_json(raw, "the manifest")
    kind = document.get("mediaType")
    if isinstance(kind, str) and (kind in MANIFESTS or kind in INDEXES):
        return kind
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST
