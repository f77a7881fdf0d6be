"""Names of images in the store: each stands for one descriptor and changes atomically."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from oakum.errors import StoreError
from oakum.oci import Descriptor, Reference, parse_reference
from oakum.store.place import Place, guarded, write_atomically


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

    def _path_name(self, name: str) -> str:
        return urllib.parse.quote(name, safe="")

    def get(self, reference: Reference) -> Named | None:
        """What the reference's name and tag stand for, or None."""
        path = self._directory / self._path_name(_key(reference))
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(raw, type=Named)
        except msgspec.DecodeError as error:
            raise StoreError(
                f"the store's entry for {_key(reference)} is damaged",
                "run 'oakum store check --repair'",
            ) from error

    def set(
        self, reference: Reference, descriptor: Descriptor, origin: Reference | None = None
    ) -> None:
        """Let the name stand for `descriptor`, atomically."""
        named = Named(_key(reference), descriptor, time.time(), str(origin) if origin else None)
        with guarded(f"name {_key(reference)}"):
            path = self._directory / self._path_name(named.name)
            write_atomically(path, msgspec.json.encode(named), self._place.scratch)

    def remove(self, reference: Reference) -> bool:
        """Forget the name; whether it was there."""
        with guarded(f"remove {_key(reference)}"):
            try:
                (self._directory / self._path_name(_key(reference))).unlink()
            except FileNotFoundError:
                return False
        return True

    def readable(self) -> Iterator[tuple[Path, Named | None]]:
        """Every entry, with None for one that is damaged."""
        with guarded("list the store's names"):
            paths = sorted(self._directory.iterdir())
        for path in paths:
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=Named)
            except FileNotFoundError:
                continue
            except msgspec.DecodeError:
                yield path, None

    def all(self) -> Iterator[Named]:
        """Every name, sorted."""
        with guarded("list the store's names"):
            paths = sorted(self._directory.iterdir())
        for path in paths:
            named = self.get(parse_reference(urllib.parse.unquote(path.name)))
            if named is not None:
                yield named


def _key(reference: Reference) -> str:
    if reference.tag is None and reference.digest:
        return str(reference)
    return f"{reference.name}:{reference.tag or 'latest'}"
