"""Where an image is: a transport's name and what it needs, written as skopeo does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from oakum.errors import UsageError
from oakum.oci import Digest, Reference, is_digest, parse_reference

Transport = Literal["", "docker", "oci", "oci-archive", "docker-archive", "docker-daemon", "store"]
TRANSPORTS = ("docker", "oci", "oci-archive", "docker-archive", "docker-daemon", "store")
_WITH_PATH = ("oci", "oci-archive", "docker-archive")


class Location(msgspec.Struct, frozen=True):
    """One place of an image."""

    transport: Transport
    """Kind of place; empty for a bare name."""
    reference: Reference | None = None
    """Name of the image, where the place has names of images."""
    path: Path | None = None
    """File or directory, where the place is one."""
    tag: str | None = None
    """Name within an OCI layout."""
    digest: Digest | None = None
    """A manifest of the store that is meant by its digest alone."""

    def __str__(self) -> str:
        if self.transport == "":
            return str(self.reference)
        if self.path is not None:
            name = self.tag or (str(self.reference) if self.reference else "")
            return f"{self.transport}:{self.path}{f':{name}' if name else ''}"
        slashes = "//" if self.transport == "docker" else ""
        return f"{self.transport}:{slashes}{self.reference or self.digest}"


def parse_location(text: str) -> Location:
    """The place in `text`; a name without a transport is bare.

    Raises `UsageError` naming the transports, or what is wrong with the name.
    """
    transport, colon, rest = text.partition(":")
    if text.startswith("docker://"):
        return Location("docker", parse_reference(text.removeprefix("docker://")))
    if not colon or transport not in TRANSPORTS or rest.startswith("//"):
        if "://" in text:
            raise UsageError(f"unknown transport in {text[:100]!r}", _known())
        return Location("", parse_reference(text))
    if transport == "docker":
        raise UsageError(f"{text[:100]!r} lacks its slashes", "write docker://NAME")
    if not rest:
        raise UsageError(f"{transport}: names nothing", _known())
    if transport in _WITH_PATH:
        return _with_path(transport, rest)
    if transport == "store" and is_digest(rest):
        return Location("store", digest=Digest(rest))
    return Location("store" if transport == "store" else "docker-daemon", parse_reference(rest))


def _known() -> str:
    return "one of " + ", ".join(
        "docker://" if name == "docker" else f"{name}:" for name in TRANSPORTS
    )


def _with_path(transport: str, rest: str) -> Location:
    """``PATH[:NAME]``: the name begins at the first colon."""
    path, _, name = rest.partition(":")
    if not path:
        raise UsageError(f"{transport}:{rest} has no path", f"write {transport}:PATH[:NAME]")
    if transport == "docker-archive":
        return Location("docker-archive", parse_reference(name) if name else None, Path(path))
    kind: Transport = "oci" if transport == "oci" else "oci-archive"
    return Location(kind, None, Path(path), name or None)
