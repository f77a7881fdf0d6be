"""References: names of images, ``[host/]repository[:tag][@digest]`` (distribution spec)."""

from __future__ import annotations

import re

import msgspec

from oakum.errors import InvalidReference
from oakum.oci.digest import Digest, is_digest

DEFAULT_HOST = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
    r"(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)


class Reference(msgspec.Struct, frozen=True):
    """A name of an image, complete: host and repository are never empty."""

    host: str
    """Registry host with its port, such as ``docker.io`` or ``localhost:5000``."""
    repository: str
    """Repository within the registry, such as ``library/debian``."""
    tag: str | None = None
    """Tag; None when there is only a digest."""
    digest: Digest | None = None
    """Digest; wins over the tag where both are given."""

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + self._digest_suffix()

    def _digest_suffix(self) -> str:
        return f"@{self.digest}" if self.digest else ""

    @property
    def name(self) -> str:
        """Host and repository."""
        return f"{self.host}/{self.repository}"

    @property
    def familiar(self) -> str:
        """As people write it: without ``docker.io/library/``, where that reads back the same."""
        name = self.repository
        if name.count("/") == 1:
            name = name.removeprefix("library/")
        if self.host != DEFAULT_HOST or _begins_with_host(name):
            name = self.name
        return name + (f":{self.tag}" if self.tag else "") + self._digest_suffix()

    @property
    def identifier(self) -> str:
        """What a registry is asked for: the digest if there is one, else the tag."""
        return self.digest or self.tag or "latest"

    def with_digest(self, digest: Digest | None) -> Reference:
        """The same name and tag at another digest."""
        return msgspec.structs.replace(self, digest=digest)

    def with_tag(self, tag: str) -> Reference:
        """The same repository, another tag, no digest."""
        if not _TAG.fullmatch(tag):
            raise InvalidReference(f"not a tag: {tag[:140]!r}", "letters, digits, '.', '_', '-'")
        return Reference(self.host, self.repository, tag)


def parse_reference(text: str) -> Reference:
    """The reference in `text`, completed as docker does (docker.io, library/, latest).

    Raises `InvalidReference` with what is wrong.
    """
    rest, at, digest_text = text.partition("@")
    if at and not is_digest(digest_text):
        raise _invalid(text, f"{digest_text[:80]!r} is not a digest")
    host, _, path = rest.partition("/")
    if not _begins_with_host(rest):
        host, path = DEFAULT_HOST, rest
    if not _HOST.fullmatch(host):
        raise _invalid(text, f"{host[:80]!r} is not a registry host")
    if host == "index.docker.io":
        host = DEFAULT_HOST
    repository, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _invalid(text, f"{tag[:140]!r} is not a tag")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        hint = "repository names are lower case" if repository.lower() != repository else ""
        raise _invalid(text, hint or f"{repository[:80]!r} is not a repository name")
    if host == DEFAULT_HOST and "/" not in repository:
        repository = f"library/{repository}"
    if re.fullmatch(r"[0-9a-f]{64}", rest):
        raise _invalid(text, "a bare digest needs a repository before it, or sha256: in front")
    named = tag if colon else (None if at else "latest")
    return Reference(host, repository, named, Digest(digest_text) if at else None)


def _begins_with_host(text: str) -> bool:
    """Whether docker takes what stands before the first slash for a registry host."""
    host, slash, _ = text.partition("/")
    telling = "." in host or ":" in host or host == "localhost" or host != host.lower()
    return bool(slash) and telling


def _invalid(text: str, why: str) -> InvalidReference:
    return InvalidReference(
        f"not an image reference: {text[:200]!r}: {why}",
        "write [host/]repository[:tag][@sha256:…], such as localhost:5000/app:1.0",
    )
