"""Names of images in the store: each stands for one descriptor and changes atomically."""

from __future__ import annotations

import hashlib
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from oakum.errors import InvalidImage, StoreError
from oakum.oci import Descriptor, Reference, parse_digest
from oakum.store.place import Place, guarded, write_atomically

_LONGEST = 240
"""Longest file name that is a whole quoted name, in bytes; a longer name ends in its hash."""


class Named(msgspec.Struct, frozen=True):
    """What a name stands for."""

    name: str
    """The reference, complete, without a digest."""
    descriptor: Descriptor
    """The manifest or index."""
    updated: float
    """When the name was last set, in seconds since the epoch."""
    origin: str | None = None
    """Registry reference that it was pulled from, where missing layers can be fetched."""


class Names:
    """The names of a store."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._directory = place.root / "names"

    def _path(self, name: str) -> Path:
        quoted = urllib.parse.quote(name, safe="")
        if len(quoted) > _LONGEST:
            quoted = quoted[:100] + "-" + hashlib.sha256(name.encode()).hexdigest()
        return self._directory / quoted

    def get(self, reference: Reference) -> Named | None:
        """What the reference's name and tag stand for, or None."""
        name = _key(reference)
        with guarded(f"read the store's entry for {name}"):
            try:
                raw = self._path(name).read_bytes()
            except FileNotFoundError:
                return None
        return _whole(_decode(raw), name)

    def set(
        self, reference: Reference, descriptor: Descriptor, origin: Reference | None = None
    ) -> None:
        """Let the name stand for `descriptor`, atomically."""
        named = Named(_key(reference), descriptor, time.time(), str(origin) if origin else None)
        with guarded(f"name {_key(reference)}"):
            write_atomically(
                self._path(named.name), msgspec.json.encode(named), self._place.scratch
            )

    def remove(self, reference: Reference) -> bool:
        """Forget the name; whether it was there."""
        with guarded(f"remove {_key(reference)}"):
            try:
                self._path(_key(reference)).unlink()
            except FileNotFoundError:
                return False
        return True

    def readable(self) -> Iterator[tuple[Path, Named | None]]:
        """Every entry, with None for one that is damaged."""
        with guarded("list the store's names"):
            paths = sorted(self._directory.iterdir())
        for path in paths:
            try:
                yield path, _decode(path.read_bytes())
            except FileNotFoundError:
                continue
            except OSError:
                yield path, None

    def all(self) -> Iterator[Named]:
        """Every name, sorted."""
        for path, named in self.readable():
            yield _whole(named, urllib.parse.unquote(path.name))


def _decode(raw: bytes) -> Named | None:
    try:
        named = msgspec.json.decode(raw, type=Named)
        parse_digest(named.descriptor.digest)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidImage):
        return None
    return named


def _whole(named: Named | None, name: str) -> Named:
    if named is None:
        raise StoreError(
            f"the store's entry for {name} is damaged", "run 'oakum store check --repair'"
        )
    return named


def _key(reference: Reference) -> str:
    if reference.tag is None and reference.digest:
        return str(reference)
    return f"{reference.name}:{reference.tag or 'latest'}"
