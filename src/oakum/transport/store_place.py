"""The local store as a place of images.

Layers that were never fetched are streamed from the registry that is known to have them.
"""

from __future__ import annotations

from collections.abc import Iterator

from oakum.errors import NotFound
from oakum.oci import Descriptor, Digest, Platform, Reference
from oakum.oci.image import MAX_DOCUMENT
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport.interface import Opener
from oakum.transport.location import Location
from oakum.transport.options import RegistryOptions
from oakum.transport.origins import Origins

_CHUNK = 1 << 20


class StoreSource:
    """An image of the store."""

    def __init__(
        self,
        store: Store,
        location: Location,
        options: RegistryOptions,
        progress: Progress = silent,
    ) -> None:
        self._store = store
        self._location = location
        self._origins = Origins(store, options, progress)

    def resolve(self) -> Descriptor:
        """What the name stands for; `NotFound` when the store does not have it."""
        reference = self._location.reference
        digest = self._location.digest or (reference.digest if reference else None)
        if digest is not None:
            return self._store.described(digest)
        assert reference is not None
        named = self._store.names.get(reference)
        if named is None:
            raise NotFound(
                f"{reference} is not in the store", "'oakum images' lists what is; 'oakum pull'"
            )
        return named.descriptor

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest, an index or a config."""
        return self._store.blobs.read(descriptor.digest, MAX_DOCUMENT)

    def holds(self, descriptor: Descriptor) -> bool:
        """Whether the blob is in the store itself."""
        return self._store.blobs.has(descriptor.digest, descriptor.size)

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes, out of the store or out of a registry that has it."""
        if not self.holds(descriptor):
            yield from self._origins.blob(descriptor, offset)
            return
        with self._store.blobs.open(descriptor.digest) as file:
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                yield chunk

    def origin(self) -> Reference | None:
        """The store is no registry."""
        return None

    def close(self) -> None:
        """Let go of connections."""
        self._origins.close()


class StoreTarget:
    """A name of the store."""

    def __init__(self, store: Store, reference: Reference) -> None:
        self._store = store
        self._reference = reference
        self._root: Descriptor | None = None

    def stands_for(self) -> Digest | None:
        """What the name stands for now."""
        named = self._store.names.get(self._reference)
        return named.descriptor.digest if named else None

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the store holds the blob."""
        return self._store.blobs.has(descriptor.digest, descriptor.size)

    def mount_blob(self, descriptor: Descriptor, repositories: tuple[str, ...]) -> bool:
        """All images of a store share its blobs already."""
        return False

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Write the blob, checked."""
        with self._store.blobs.writing(descriptor.digest) as writer:
            for chunk in opener(0):
                writer.write(chunk)
            writer.commit(descriptor.size)

    def put_manifest(self, raw: bytes, media_type: str, *, root: bool) -> None:
        """Keep the manifest as a blob."""
        digest = self._store.blobs.put(raw)
        if root:
            self._root = Descriptor(media_type, digest, len(raw))

    def finish(self, root: Descriptor, platform: Platform | None) -> None:
        """Set the name."""
        if self._root is not None:
            self._store.names.set(self._reference, self._root)

    def close(self) -> None:
        """Nothing is held."""
        return
