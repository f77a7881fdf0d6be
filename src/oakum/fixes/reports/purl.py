"""Package URLs, ``pkg:type/namespace/name@version?qualifiers#subpath`` (the purl specification)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import unquote_to_bytes

import msgspec

_LONGEST = 4096
_TYPE = re.compile(r"[a-z][a-z0-9.+-]*")
_KEY = re.compile(r"[a-z][a-z0-9._-]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Purl(msgspec.Struct, frozen=True):
    """A package URL, taken apart and decoded; the subpath is left out."""

    type: str
    """Lower case: deb, rpm, npm …"""
    namespace: str
    """Segments joined by ``/``; empty when there is none."""
    name: str
    version: str | None
    qualifiers: Mapping[str, str]
    """Such as arch, distro, epoch, upstream; never empty values."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Taken apart from the right, as the specification says; None if it is not a purl."""
        if len(text) > _LONGEST or _BAD_ESCAPE.search(text):
            return None
        try:
            return cls._parse(text)
        except ValueError:
            return None

    @classmethod
    def _parse(cls, text: str) -> Self:
        rest, _, _ = text.partition("#")
        rest, _, query = rest.partition("?")
        scheme, colon, rest = rest.partition(":")
        kind, slash, rest = rest.strip("/").partition("/")
        kind = kind.lower()
        if scheme.lower() != "pkg" or not colon or not slash or not _TYPE.fullmatch(kind):
            raise ValueError(text)
        version = None
        at = rest.rfind("@")
        if at > rest.rfind("/") and at > 0:
            rest, version = rest[:at], _decoded(rest[at + 1 :])
        *namespace, name = (_decoded(part) for part in rest.strip("/").split("/") if part)
        if not name:
            raise ValueError(text)
        return cls(kind, "/".join(namespace), name, version or None, _qualifiers(query))


def _decoded(part: str) -> str:
    return unquote_to_bytes(part).decode()


def _qualifiers(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        key, _, value = pair.partition("=")
        key = key.lower()
        if not _KEY.fullmatch(key) or key in found:
            raise ValueError(query)
        if value:
            found[key] = _decoded(value)
    return found
