"""The local content store: blobs, names and records under one directory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from oakum.errors import InvalidImage
from oakum.oci import Config, Descriptor, Digest, Index, Manifest
from oakum.oci.image import MAX_DOCUMENT
from oakum.oci.media import INDEXES
from oakum.store.blobs import Blobs
from oakum.store.names import Names
from oakum.store.place import Place, default_root, discard, guarded
from oakum.store.records import Records


class Store:
    """Everything that oakum keeps on a machine.  Use as a context manager; safe to share."""

    def __init__(self, root: Path | None = None) -> None:
        self.place = Place(root or default_root())
        self.blobs = Blobs(self.place)
        self.names = Names(self.place)
        self.records = Records(self.place)

    @property
    def root(self) -> Path:
        """The store's directory."""
        return self.place.root

    def cache(self, room: str) -> Path:
        """A directory for what `room` may keep and lose."""
        path = self.root / "cache" / room
        with guarded(f"make the cache directory of {room}"):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def manifest(self, descriptor: Descriptor) -> Manifest | Index:
        """The manifest or index that the store keeps under `descriptor`."""
        raw = self.blobs.read(descriptor.digest, MAX_DOCUMENT)
        if descriptor.media_type in INDEXES:
            return Index.parse(raw, descriptor.media_type)
        return Manifest.parse(raw, descriptor.media_type)

    def described(self, digest: Digest) -> Descriptor:
        """The descriptor of the manifest or index that the store has under a digest.

        Raises `NotFound`, and `InvalidImage` for a blob that is neither.
        """
        raw = self.blobs.read(digest, MAX_DOCUMENT)
        for parse in (Manifest.parse, Index.parse):
            try:
                parsed = parse(raw)
            except InvalidImage:
                continue
            return Descriptor(parsed.media_type, digest, len(raw))
        raise InvalidImage(f"{digest} is neither a manifest nor an index", "name an image")

    def manifest_bytes(self, descriptor: Descriptor) -> bytes:
        """The raw bytes of a manifest, index or config, checked."""
        return self.blobs.read(descriptor.digest, MAX_DOCUMENT)

    def config(self, manifest: Manifest) -> Config:
        """The config of a manifest."""
        return Config.parse(self.blobs.read(manifest.config.digest, MAX_DOCUMENT))

    def diff_id_of(self, blob: Digest) -> Digest | None:
        """The diff ID of a layer blob that was read once; None when it is not known."""
        body = self.records.get("diffid", blob)
        return Digest(body.decode()) if body else None

    def remember_diff_id(self, blob: Digest, diff_id: Digest) -> None:
        """Keep which uncompressed layer a blob holds."""
        self.records.put("diffid", blob, diff_id.encode())

    def remember_origin(self, blob: Digest, name: str) -> None:
        """Keep one registry repository (host/path) that is known to hold the blob."""
        body = self.records.get("origin", blob)
        known = body.decode().split("\n") if body else []
        if name not in known:
            self.records.put("origin", blob, "\n".join([name, *known][:8]).encode())

    def origins(self, blob: Digest) -> tuple[str, ...]:
        """Registry repositories (host/path) that are known to hold the blob."""
        body = self.records.get("origin", blob)
        return tuple(body.decode().split("\n")) if body else ()

    def clean_abandoned(self) -> None:
        """Remove what killed processes left half-made."""
        for path in self.place.abandoned():
            discard(path)

    def close(self) -> None:
        """Let go of locks and temporary files."""
        self.place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
