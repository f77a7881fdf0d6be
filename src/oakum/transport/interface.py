"""A place where images live: what can be read from it and written to it.

Adding a place means one file that implements these two protocols; `copy` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from oakum.oci import Descriptor, Digest, Platform, Reference

Opener = Callable[[int], Iterator[bytes]]
"""Opens a blob's bytes from an offset on, in chunks."""


class ImageSource(Protocol):
    """One image (or index) somewhere that it can be read from."""

    def resolve(self) -> Descriptor:
        """The manifest or index that the name stands for; `NotFound` if there is none."""

    def document(self, descriptor: Descriptor) -> bytes:
        """Raw bytes of a manifest, index or config, checked against the descriptor."""

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `offset` on, in chunks.  The reader checks the digest."""

    def origin(self) -> Reference | None:
        """The registry reference, when it is one."""

    def close(self) -> None:
        """Let go of connections and temporary files."""


class ImageTarget(Protocol):
    """One name (or place) that an image can be written to."""

    def stands_for(self) -> Digest | None:
        """Digest of what the name stands for now; None when it is new or cannot be told."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the target already holds the blob, so that it need not be sent."""

    def mount_blob(self, descriptor: Descriptor, repositories: tuple[str, ...]) -> bool:
        """Take the blob over from one of these ``host/path`` repositories; whether it worked."""

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Write the blob; `opener` may be called again, for a retry."""

    def put_manifest(self, raw: bytes, media_type: str, *, root: bool) -> None:
        """Write a manifest or index; with `root`, let the name stand for it from now on."""

    def finish(self, root: Descriptor, platform: Platform | None) -> None:
        """All is written: make it visible."""

    def close(self) -> None:
        """Let go of connections; what was not finished is not visible."""
