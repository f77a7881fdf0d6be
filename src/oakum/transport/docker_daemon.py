"""The images of a docker daemon, over its socket (Docker Engine API)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec

from oakum.errors import AccessDenied, NotFound, OakumError, TransportError, UsageError
from oakum.oci import Descriptor, Digest, Platform, Reference
from oakum.progress import Event, Progress
from oakum.store import guarded
from oakum.store.place import Place
from oakum.transport.archive import ArchiveSource, ArchiveTarget
from oakum.transport.interface import Opener

DEFAULT = "unix:///var/run/docker.sock"
_CHUNK = 1 << 20
_SECONDS = 600.0


def _client() -> httpx.Client:
    host = os.environ.get("DOCKER_HOST") or DEFAULT
    if not host.startswith("unix://"):
        raise UsageError(
            f"DOCKER_HOST is {host!r}: only a unix socket can be spoken to",
            "set DOCKER_HOST=unix:///path/of/docker.sock",
        )
    transport = httpx.HTTPTransport(uds=host.removeprefix("unix://"))
    return httpx.Client(transport=transport, base_url="http://docker", timeout=_SECONDS)


def _unreachable(error: httpx.HTTPError) -> OakumError:
    host = os.environ.get("DOCKER_HOST") or DEFAULT
    if "Permission" in str(error):
        return AccessDenied(f"no permission to use docker's socket {host}", "join the group docker")
    return TransportError(
        f"cannot reach a docker daemon at {host}: {error}", "start docker, or set DOCKER_HOST"
    )


def daemon_source(reference: Reference, place: Place, progress: Progress) -> ArchiveSource:
    """An image of the daemon, saved to a temporary file first."""
    with guarded("make room for the daemon's image"):
        handle, name = tempfile.mkstemp(dir=place.scratch, suffix=".tar")
    task = f"save {reference}"
    progress(Event(task, "start", f"{reference.familiar} from docker"))
    try:
        with (
            _client() as client,
            os.fdopen(handle, "wb") as file,
            client.stream("GET", f"/images/{quote(reference.familiar, safe='')}/get") as response,
        ):
            _refuse(response, reference)
            for chunk in response.iter_raw(_CHUNK):
                with guarded("save the daemon's image"):
                    file.write(chunk)
                progress(Event(task, "advance", done=file.tell()))
        progress(Event(task, "done"))
        return ArchiveSource(Path(name), None, reference, place)
    except httpx.HTTPError as error:
        raise _unreachable(error) from error
    finally:
        os.unlink(name)


def _refuse(response: httpx.Response, reference: Reference) -> None:
    if response.status_code == 200:
        return
    said = _message(response.read())
    if response.status_code == 404:
        raise NotFound(f"docker has no image {reference.familiar}", "'docker images' lists what is")
    raise TransportError(f"docker answered {response.status_code}: {said}", "see docker's log")


def _message(raw: bytes) -> str:
    try:
        text = str(msgspec.json.decode(raw)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        text = raw[:200].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text[:300])


class DaemonTarget:
    """A name of the daemon: the image is gathered in a file and loaded as a whole."""

    def __init__(self, reference: Reference, place: Place) -> None:
        self._reference = reference
        with guarded("make room for the image"):
            directory = Path(tempfile.mkdtemp(dir=place.scratch))
        self._path = directory / "image.tar"
        self._archive = ArchiveTarget(self._path, None, reference, place, docker=True)
        with _client() as client:
            try:
                client.get("/_ping", timeout=10.0)
            except httpx.HTTPError as error:
                self._archive.close()
                raise _unreachable(error) from error

    def stands_for(self) -> Digest | None:
        """The daemon does not tell by which manifest it got an image."""
        return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether it was gathered already."""
        return self._archive.has_blob(descriptor)

    def mount_blob(self, descriptor: Descriptor, repositories: tuple[str, ...]) -> bool:
        """The daemon takes whole images only."""
        return False

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Gather the blob."""
        self._archive.put_blob(descriptor, opener)

    def put_manifest(self, raw: bytes, media_type: str, *, root: bool) -> None:
        """Gather the manifest."""
        self._archive.put_manifest(raw, media_type, root=root)

    def finish(self, root: Descriptor, platform: Platform | None) -> None:
        """Load the image; an error in the daemon's answer is an error."""
        self._archive.finish(root, platform)
        try:
            with _client() as client:
                response = client.post(
                    "/images/load?quiet=1",
                    content=self._chunks(),
                    headers={"Content-Type": "application/x-tar"},
                )
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        finally:
            self._path.unlink(missing_ok=True)
        if response.status_code != 200:
            said = _message(response.content)
            raise TransportError(f"docker answered {response.status_code}: {said}", "see its log")
        for line in response.content.splitlines():
            self._refuse_line(line)

    def _refuse_line(self, line: bytes) -> None:
        try:
            document = msgspec.json.decode(line)
        except msgspec.DecodeError:
            return
        if isinstance(document, dict) and document.get("error"):
            said = "".join(c if c.isprintable() else " " for c in str(document["error"])[:300])
            raise TransportError(
                f"docker did not load {self._reference.familiar}: {said}", "see docker's log"
            )

    def _chunks(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def close(self) -> None:
        """Remove what was gathered."""
        self._archive.close()
        self._path.unlink(missing_ok=True)
