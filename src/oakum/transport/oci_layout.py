"""A directory in the OCI image layout."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from oakum.errors import DigestMismatch, InvalidImage, NotFound, StoreError
from oakum.oci import Descriptor, Digest, Platform, Reference, check
from oakum.oci.digest import hasher_for
from oakum.oci.image import MAX_DOCUMENT
from oakum.store import guarded, write_atomically
from oakum.transport.interface import Opener
from oakum.transport.layout import MARKER, blob_name, choose_root, with_image

_CHUNK = 1 << 20


class LayoutSource:
    """An image of a layout directory."""

    def __init__(self, path: Path, name: str | None) -> None:
        self._path = path
        self._name = name

    def resolve(self) -> Descriptor:
        """The manifest or index of that name."""
        if not self._path.is_dir():
            raise NotFound(f"there is no OCI layout at {self._path}", "name a directory")
        return choose_root(self._small("index.json"), self._name, str(self._path))

    def _small(self, name: str) -> bytes:
        with self._open(name) as handle:
            data = handle.read(MAX_DOCUMENT + 1)
        if len(data) > MAX_DOCUMENT:
            raise InvalidImage(f"{self._path / name} is larger than a document", "it is damaged")
        return data

    def _open(self, name: str) -> _Reader:
        return _Reader(self._path, name)

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest, an index or a config, checked."""
        name = blob_name(descriptor.digest)
        return check(self._small(name), descriptor.digest, f"{self._path / name}")

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes."""
        with self._open(blob_name(descriptor.digest)) as handle:
            handle.seek(offset)
            while chunk := handle.read(_CHUNK):
                yield chunk

    def holds(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there, with its size."""
        try:
            with self._open(blob_name(descriptor.digest)) as handle:
                return handle.size == descriptor.size
        except (NotFound, InvalidImage):
            return False

    def origin(self) -> Reference | None:
        """A directory is no registry."""
        return None

    def close(self) -> None:
        """Nothing is held."""
        return


class _Reader:
    """A regular file below a directory; links and devices are refused."""

    def __init__(self, root: Path, name: str) -> None:
        path = root / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise NotFound(f"{path} is not there", "the layout is incomplete") from error
        except OSError as error:
            raise InvalidImage(f"cannot read {path}: {error.strerror}", "check it") from error
        info = os.fstat(handle)
        self.size = info.st_size
        if not stat.S_ISREG(info.st_mode):
            os.close(handle)
            raise InvalidImage(f"{path} is not a file", "the layout is damaged")
        self._file = os.fdopen(handle, "rb", buffering=0)

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        with guarded("read an OCI layout"):
            return self._file.read(count) or b""

    def seek(self, offset: int) -> None:
        self._file.seek(offset)


class LayoutTarget:
    """A name of a layout directory, which is made when it is missing."""

    def __init__(self, path: Path, name: str | None) -> None:
        self._path = path
        self._name = name
        self._root: Descriptor | None = None
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path} is not a directory", "name another place")
        if path.is_dir() and any(path.iterdir()) and not (path / "oci-layout").exists():
            raise StoreError(f"{path} is neither empty nor an OCI layout", "name another directory")
        with guarded(f"make the OCI layout {path}"):
            (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            if not (path / "oci-layout").exists():
                write_atomically(path / "oci-layout", MARKER, path)

    def stands_for(self) -> Digest | None:
        """What the name stands for now."""
        try:
            return LayoutSource(self._path, self._name).resolve().digest
        except (NotFound, InvalidImage):
            return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the layout holds the blob."""
        try:
            info = os.lstat(self._path / blob_name(descriptor.digest))
        except OSError:
            return False
        return stat.S_ISREG(info.st_mode) and info.st_size == descriptor.size

    def mount_blob(self, descriptor: Descriptor, repositories: tuple[str, ...]) -> bool:
        """All images of a layout share its blobs already."""
        return False

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Write the blob under a temporary name, check it, rename it."""
        final = self._path / blob_name(descriptor.digest)
        hasher = hasher_for(descriptor.digest)
        with guarded(f"write {final}"):
            final.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path, prefix=".blob-")
            try:
                with os.fdopen(handle, "wb") as file:
                    for chunk in opener(0):
                        file.write(chunk)
                        hasher.update(chunk)
                    file.flush()
                    os.fdatasync(file.fileno())
                if not descriptor.digest.endswith(":" + hasher.hexdigest()):
                    raise DigestMismatch(f"blob {descriptor.digest} came damaged", "try again")
                os.chmod(name, 0o644)
                os.rename(name, final)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
                raise

    def put_manifest(self, raw: bytes, media_type: str, *, root: bool) -> None:
        """Write a manifest or index as a blob."""
        from oakum.oci import digest_of

        descriptor = Descriptor(media_type, digest_of(raw), len(raw))
        self.put_blob(descriptor, lambda offset: iter([raw[offset:]]))
        if root:
            self._root = descriptor

    def finish(self, root: Descriptor, platform: Platform | None) -> None:
        """Name the image in ``index.json``, atomically; other images stay."""
        if self._root is None:
            return
        index = self._path / "index.json"
        with guarded(f"write {index}"), (self._path / "oci-layout").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = index.read_bytes() if index.exists() else None
            write_atomically(index, with_image(before, self._root, self._name, None), self._path)
            os.chmod(index, 0o644)

    def close(self) -> None:
        """Nothing is held."""
        return
