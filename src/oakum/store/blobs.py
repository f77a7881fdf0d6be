"""Content by digest: written under a temporary name, checked, synced, renamed; never changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from oakum.errors import DigestMismatch, InvalidImage, NotFound
from oakum.oci import Digest, hasher_for, short
from oakum.store.place import Place, guarded


class BlobWriter:
    """A blob on its way into the store; nothing is visible before `commit`."""

    def __init__(self, place: Place, directory: Path, expected: Digest | None) -> None:
        self._directory = directory
        self._expected = expected
        self._hasher = hasher_for(expected) if expected else hashlib.sha256()
        self.size = 0
        with guarded("write a blob"):
            handle, self._name = tempfile.mkstemp(dir=place.scratch)
            os.fchmod(handle, 0o644)
            self._file = os.fdopen(handle, "wb", buffering=0)

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`."""
        with guarded("write a blob"):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self._hasher.update(data)
        self.size += len(data)

    def check(self, size: int | None = None) -> Digest:
        """The digest of what was written; `DigestMismatch` unless it and the size are right."""
        algorithm = self._expected.split(":", 1)[0] if self._expected else "sha256"
        actual = Digest(f"{algorithm}:{self._hasher.hexdigest()}")
        if size is not None and size != self.size:
            raise DigestMismatch(
                f"blob {short(actual)} has {self.size} bytes, {size} were promised",
                "the source is damaged or cut off; try again, or fetch it from elsewhere",
            )
        if self._expected and actual != self._expected:
            raise DigestMismatch(
                f"got bytes with digest {actual} instead of {self._expected}",
                "the source is damaged or was tampered with; fetch it from a source you trust",
            )
        return actual

    def commit(self, size: int | None = None) -> Digest:
        """Check digest and size, make the blob durable and visible, and return its digest."""
        actual = self.check(size)
        with guarded("write a blob"):
            os.fdatasync(self._file.fileno())
            self._file.close()
            os.rename(self._name, blob_path(self._directory, actual))
        return actual

    def abort(self) -> None:
        """Forget what was written; harmless after `commit`."""
        self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._name)


def blob_path(directory: Path, digest: Digest) -> Path:
    """Where the blob of that digest is or would be."""
    algorithm, _, encoded = digest.partition(":")
    return directory / algorithm / encoded


class Blobs:
    """The blobs of a store."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._directory = place.root / "blobs"

    def path(self, digest: Digest) -> Path:
        """Where the blob is or would be."""
        return blob_path(self._directory, digest)

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is here (with that size)."""
        try:
            found = self.path(digest).stat().st_size
        except OSError:
            return False
        return size is None or found == size

    def open(self, digest: Digest) -> IO[bytes]:
        """The blob for reading; `NotFound` if it is not here."""
        with guarded(f"read blob {digest}"):
            try:
                return self.path(digest).open("rb")
            except FileNotFoundError as error:
                raise NotFound(
                    f"blob {digest} is not in the store",
                    "pull the image again, or run 'oakum store check --repair'",
                ) from error

    def read(self, digest: Digest, limit: int) -> bytes:
        """The whole blob, checked against its digest; for documents of at most `limit` bytes."""
        with self.open(digest) as file, guarded(f"read blob {digest}"):
            data = file.read(limit + 1)
        if len(data) > limit:
            raise InvalidImage(f"blob {digest} has more than {limit} bytes", "not a document")
        hasher = hasher_for(digest)
        hasher.update(data)
        if not digest.endswith(":" + hasher.hexdigest()):
            raise DigestMismatch(
                f"blob {digest} in the store is damaged", "run 'oakum store check --repair'"
            )
        return data

    @contextlib.contextmanager
    def writing(self, expected: Digest | None = None) -> Iterator[BlobWriter]:
        """A writer that is thrown away unless it was committed."""
        if expected:
            with guarded("write a blob"):
                self.path(expected).parent.mkdir(parents=True, exist_ok=True)
        writer = BlobWriter(self._place, self._directory, expected)
        try:
            yield writer
        finally:
            writer.abort()

    def put(self, data: bytes, expected: Digest | None = None) -> Digest:
        """Keep `data` and return its digest."""
        with self.writing(expected) as writer:
            writer.write(data)
            return writer.commit()

    def remove(self, digest: Digest) -> int:
        """Remove the blob, return the bytes that it took."""
        with guarded(f"remove blob {digest}"):
            path = self.path(digest)
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return 0
        return size

    def all(self) -> Iterator[tuple[Digest, int]]:
        """Every blob with its size."""
        with guarded("list the store's blobs"):
            for algorithm in sorted(filter(Path.is_dir, self._directory.iterdir())):
                for path in sorted(algorithm.iterdir()):
                    yield Digest(f"{algorithm.name}:{path.name}"), path.stat().st_size
