"""What differs between two layers that the same step made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from oakum.layer import Entry, Kind, Layer, LayerIndex
from oakum.layer.compression import BLOCK, decompressed
from oakum.store import Store

Aspect = Literal["added", "missing", "type", "content", "link", "mode", "owner", "mtime", "xattrs"]
_MOST_FILES = 48
_MOST_BYTES = 1 << 20


class Differing(msgspec.Struct, frozen=True):
    """A path that is not the same in two layers."""

    path: bytes
    """Relative path."""
    aspects: tuple[Aspect, ...]
    """In what: ``added`` is in the second alone, ``missing`` in the first alone."""
    one: Entry | None
    """It in the first layer."""
    other: Entry | None
    """It in the second layer."""

    @property
    def detail(self) -> str:
        """The values that differ, contents aside."""
        if self.one is None or self.other is None:
            return ""
        return ", ".join(
            f"{name} {was} and {now}"
            for name, was, now in _values(self.one, self.other)
            if name in self.aspects
        )


def differing(one: LayerIndex, other: LayerIndex) -> list[Differing]:
    """Every path that differs, sorted."""
    old, new = _by_path(one.entries), _by_path(other.entries)
    found = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        aspects = _aspects(was, now)
        if aspects:
            found.append(Differing(key[0], aspects, was, now))
    return found


def _by_path(entries: Sequence[Entry]) -> dict[tuple[bytes, bool], Entry]:
    """By path, and whether it is about what lies below."""
    gone = (Kind.WHITEOUT, Kind.OPAQUE)
    return {(entry.path, entry.kind in gone): entry for entry in entries}


def _aspects(one: Entry | None, other: Entry | None) -> tuple[Aspect, ...]:
    if one is None or other is None:
        return ("added",) if one is None else ("missing",)
    if one.kind is not other.kind:
        return ("type",)
    found: list[Aspect] = ["content"] if one.digest != other.digest else []
    found += [name for name, was, now in _values(one, other) if was != now]
    return tuple(found)


def _values(one: Entry, other: Entry) -> Iterator[tuple[Aspect, str, str]]:
    yield from (
        ("type", one.kind.name.lower(), other.kind.name.lower()),
        ("link", repr(one.link), repr(other.link)),
        ("mode", f"{one.mode:o}", f"{other.mode:o}"),
        ("owner", f"{one.uid}:{one.gid}", f"{other.uid}:{other.gid}"),
        ("mtime", str(one.mtime), str(other.mtime)),
        ("xattrs", _attributes(one), _attributes(other)),
    )


def _attributes(entry: Entry) -> str:
    found = sorted((entry.xattrs or {}).items())
    return " ".join(f"{name}={value[:40].hex()}" for name, value in found) or "none"


def contents(
    store: Store, pair: tuple[Layer, Layer], found: Sequence[Differing]
) -> Mapping[bytes, tuple[bytes, bytes]]:
    """The beginnings of the first files whose content differs, in both layers, by path."""
    files = [one for one in found if "content" in one.aspects][:_MOST_FILES]
    old = _beginnings(store, pair[0], [item.one for item in files if item.one])
    new = _beginnings(store, pair[1], [item.other for item in files if item.other])
    return {path: (old[path], new[path]) for path in old.keys() & new.keys()}


def _beginnings(store: Store, layer: Layer, entries: Sequence[Entry]) -> dict[bytes, bytes]:
    """The first bytes of files, read in one pass; nothing when the layer's blob is elsewhere."""
    if not store.blobs.has(layer.descriptor.digest):
        return {}
    found: dict[bytes, bytes] = {}
    with store.blobs.open(layer.descriptor.digest) as file:
        stream = decompressed(file)
        held, position = b"", 0
        for entry in sorted(entries, key=lambda one: one.offset):
            end = entry.offset + min(entry.size, _MOST_BYTES)
            while position + len(held) < end and (piece := stream.read(BLOCK)):
                drop = max(0, min(len(held), entry.offset - position))
                held, position = held[drop:] + piece, position + drop
                if position + len(held) <= entry.offset:
                    held, position = b"", position + len(held)
            begin = entry.offset - position
            found[entry.path] = held[begin : end - position]
    return found
