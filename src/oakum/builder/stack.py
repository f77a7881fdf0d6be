"""A stack of layers during a build, with an identity that is made of contents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from oakum.layer import Layer, LayerIndex, content_identity
from oakum.oci import chain_ids


class Stack(msgspec.Struct, frozen=True):
    """Layers, the lowest first."""

    layers: tuple[Layer, ...] = ()
    """The layers; those of a base image need not be in the store yet."""
    content: str = "empty"
    """Identity of what the stack holds, times left out: equal however it was made."""

    @classmethod
    def of_base(cls, layers: tuple[Layer, ...]) -> Stack:
        """The stack of a base image, identified by its chain ID."""
        if not layers:
            return cls()
        chain = chain_ids(tuple(layer.diff_id for layer in layers))
        return cls(layers, f"chain:{chain[-1]}")

    def plus(self, layer: Layer, content: str) -> Stack:
        """One more layer on top, whose own content has the identity `content`."""
        if content == EMPTY_CONTENT:
            return Stack((*self.layers, layer), self.content)
        joined = hashlib.sha256(f"{self.content}\n{content}".encode()).hexdigest()
        return Stack((*self.layers, layer), joined)


def identity(parts: Iterable[object]) -> str:
    """A digest of plain values: the same values in the same order give the same text."""
    return hashlib.sha256(msgspec.msgpack.encode(list(parts))).hexdigest()


def layer_content(index: LayerIndex) -> str:
    """Identity of a layer's content: names, types, modes, owners and bytes, but no times."""
    return identity(sorted(_plain(content_identity(entry)) for entry in index.entries))


def _plain(values: tuple[object, ...]) -> bytes:
    return msgspec.msgpack.encode(values)


EMPTY_CONTENT = identity([])
