"""Images in a tar: OCI layouts, and what ``docker save`` writes and ``docker load`` reads."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import posixpath
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from oakum.errors import DigestMismatch, InvalidImage, NotFound, OakumError
from oakum.oci import (
    Descriptor,
    Digest,
    Index,
    Manifest,
    Platform,
    Reference,
    check,
    parse_reference,
)
from oakum.oci.digest import digest_of, hasher_for
from oakum.oci.image import MAX_DOCUMENT
from oakum.oci.media import INDEXES, OCI_CONFIG, Compression, layer_media_type
from oakum.store import Unfinished, guarded
from oakum.store.place import Place
from oakum.transport.interface import Opener
from oakum.transport.layout import (
    CONTAINERD_NAME,
    MARKER,
    blob_name,
    choose_root,
    docker_manifest,
    with_image,
)

_CHUNK = 1 << 20
_MAX_MEMBERS = 200_000
_MAX_UNPACKED = 64 << 30
_MAGIC = ((b"\x1f\x8b", Compression.GZIP), (b"\x28\xb5\x2f\xfd", Compression.ZSTD))
_MOST_LINKS = 20


class _Members:
    """The regular files of a tar, by normalised name; read in place."""

    def __init__(self, path: Path, place: Place) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"there is no archive {path}", "check the path") from error
        except OSError as error:
            raise InvalidImage(f"cannot read {path}: {error.strerror}", "check it") from error
        self._lock = threading.Lock()
        self._plain = self._decompressed(place)
        self._at: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            self._index()
        except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
            self.close()
            raise InvalidImage(
                f"{path} is not a whole tar archive: {error}", "make it again"
            ) from error

    def _decompressed(self, place: Place) -> IO[bytes]:
        magic = self._file.read(2)
        self._file.seek(0)
        if magic != b"\x1f\x8b":
            return self._file
        with guarded(f"decompress {self.path}"):
            spool = tempfile.TemporaryFile(dir=place.scratch)  # noqa: SIM115
            try:
                total = 0
                with gzip.GzipFile(fileobj=self._file) as packed:
                    while chunk := packed.read(_CHUNK):
                        total += len(chunk)
                        if total > _MAX_UNPACKED:
                            raise InvalidImage(f"{self.path} unpacks to too much", "a bomb?")
                        spool.write(chunk)
            except (EOFError, gzip.BadGzipFile) as error:
                raise InvalidImage(f"{self.path} is cut off: {error}", "make it again") from error
        return spool

    def _index(self) -> None:
        self._plain.seek(0)
        size = os.fstat(self._plain.fileno()).st_size
        with tarfile.open(fileobj=self._plain, mode="r:") as tar:
            for count, member in enumerate(tar):
                if count > _MAX_MEMBERS:
                    raise InvalidImage(f"{self.path} has too many members", "it is hostile")
                name = posixpath.normpath(member.name).lstrip("/")
                if member.isreg():
                    if member.offset_data + member.size > size:
                        raise InvalidImage(f"{self.path} is cut off in {name!r}", "make it again")
                    self._at[name] = (member.offset_data, member.size)
                elif member.issym() or member.islnk():
                    base = posixpath.dirname(name) if member.issym() else ""
                    self._links[name] = posixpath.normpath(posixpath.join(base, member.linkname))

    def find(self, name: str) -> tuple[int, int] | None:
        """Offset and size of a file; links are followed within the archive."""
        at = posixpath.normpath(name).lstrip("/")
        for _ in range(_MOST_LINKS):
            if at in self._at:
                return self._at[at]
            if at not in self._links:
                return None
            at = self._links[at]
        return None

    def chunks(self, name: str, start: int = 0) -> Iterator[bytes]:
        """A file's bytes from `start` on."""
        found = self.find(name)
        if found is None:
            raise NotFound(f"{self.path} has no {name!r}", "the archive is incomplete")
        offset, size = found
        position = start
        while position < size:
            with self._lock, guarded(f"read {self.path}"):
                self._plain.seek(offset + position)
                chunk = self._plain.read(min(_CHUNK, size - position))
            if not chunk:
                raise InvalidImage(f"{self.path} was cut off while it was read", "make it again")
            position += len(chunk)
            yield chunk

    def small(self, name: str) -> bytes:
        """A document of at most `MAX_DOCUMENT` bytes."""
        found = self.find(name)
        if found is not None and found[1] > MAX_DOCUMENT:
            raise InvalidImage(f"{name!r} in {self.path} is no document", "the archive is damaged")
        return b"".join(self.chunks(name))

    def close(self) -> None:
        self._plain.close()
        self._file.close()


class ArchiveSource:
    """An image of an archive; an OCI layout inside is preferred, since it keeps digests."""

    def __init__(
        self, path: Path, name: str | None, reference: Reference | None, place: Place
    ) -> None:
        self._members = _Members(path, place)
        self._name = name
        self._reference = reference
        self._made: dict[str, bytes] = {}
        self._paths: dict[str, str] = {}

    def resolve(self) -> Descriptor:
        """The manifest or index of that name; the only one without a name."""
        if self._members.find("index.json") is not None:
            return self._in_layout(self._members.small("index.json"))
        if self._members.find("manifest.json") is not None:
            return self._saved()
        raise InvalidImage(
            f"{self._members.path} is neither an OCI archive nor made by docker save",
            "name another file",
        )

    def _in_layout(self, raw: bytes) -> Descriptor:
        where = str(self._members.path)
        if self._reference is None:
            return choose_root(raw, self._name, where)
        names = (str(self._reference), self._reference.familiar, self._reference.tag or "")
        index = Index.parse(raw)
        for descriptor in index.manifests:
            notes = descriptor.annotations or {}
            if notes.get(CONTAINERD_NAME) in names[:2]:
                return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
        return choose_root(raw, names[2] if len(index.manifests) > 1 else None, where)

    # What docker save wrote before it wrote layouts: no manifest, layers mostly not compressed.

    def _saved(self) -> Descriptor:
        entry = self._saved_entry()
        config = self._saved_blob(entry.get("Config"))
        listed = entry.get("Layers")
        if not isinstance(listed, list):
            raise InvalidImage(f"{self._members.path}: manifest.json names no layers", "damaged")
        layers = tuple(self._saved_layer(path) for path in listed)
        manifest = Manifest.make(Descriptor(OCI_CONFIG, config[0], config[1]), layers)
        self._made[manifest.digest] = manifest.raw
        return manifest.descriptor()

    def _saved_entry(self) -> dict[str, Any]:
        path = self._members.path
        try:
            listed = json.loads(self._members.small("manifest.json"))
        except (ValueError, RecursionError) as error:
            raise InvalidImage(f"{path}: manifest.json is not JSON", "make it again") from error
        entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
        if self._reference is not None:
            entries = [e for e in entries if self._tagged(e, self._reference)] or (
                entries if len(entries) == 1 and not entries[0].get("RepoTags") else []
            )
        if len(entries) == 1:
            return entries[0]
        names = [str(t) for e in entries for t in e.get("RepoTags") or []]
        if not entries:
            raise NotFound(f"{path} has no image {self._reference}", "check its name")
        raise NotFound(f"{path} holds {len(entries)} images", f"name one of: {', '.join(names)}")

    @staticmethod
    def _tagged(entry: dict[str, Any], reference: Reference) -> bool:
        tags = entry.get("RepoTags")
        for tag in tags if isinstance(tags, list) else []:
            try:
                if parse_reference(str(tag)) == reference:
                    return True
            except OakumError:
                continue
        return False

    def _saved_blob(self, path: object) -> tuple[Digest, int]:
        if not isinstance(path, str):
            raise InvalidImage(f"{self._members.path}: manifest.json is damaged", "make it again")
        hasher = hashlib.sha256()
        size = 0
        for chunk in self._members.chunks(path):
            hasher.update(chunk)
            size += len(chunk)
        digest = Digest(f"sha256:{hasher.hexdigest()}")
        self._paths[digest] = path
        return digest, size

    def _saved_layer(self, path: object) -> Descriptor:
        digest, size = self._saved_blob(path)
        head = next(self._members.chunks(self._paths[digest]), b"")[:4]
        kind = next((k for magic, k in _MAGIC if head.startswith(magic)), Compression.NONE)
        return Descriptor(layer_media_type(kind), digest, size)

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest, an index or a config, checked."""
        made = self._made.get(descriptor.digest)
        if made is not None:
            return made
        path = self._paths.get(descriptor.digest) or blob_name(descriptor.digest)
        return check(self._members.small(path), descriptor.digest, f"{path!r}")

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes."""
        path = self._paths.get(descriptor.digest) or blob_name(descriptor.digest)
        return self._members.chunks(path, offset)

    def origin(self) -> Reference | None:
        """A file is no registry."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._members.close()


class ArchiveTarget:
    """A new archive: an OCI layout that ``docker load`` of any age reads as well."""

    in_order = True
    """Blobs are to come one after the other: the same image gives the same archive."""

    def __init__(
        self,
        path: Path,
        name: str | None,
        reference: Reference | None,
        place: Place,
        *,
        docker: bool,
    ) -> None:
        self._path = path
        self._name = name or (reference.tag if reference is not None else None)
        self._reference = reference
        self._docker = docker
        self._lock = threading.Lock()
        self._written: set[str] = set()
        self._documents: dict[str, tuple[bytes, str]] = {}
        self._root: Descriptor | None = None
        if path.is_dir():
            raise InvalidImage(f"{path} is a directory", "name a file")
        with guarded(f"write {path}"):
            self._unfinished = Unfinished(path)
            self._file = self._unfinished.file

    def stands_for(self) -> Digest | None:
        """An archive is written anew."""
        return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether it was written already."""
        return descriptor.digest in self._written

    def mount_blob(self, descriptor: Descriptor, repositories: tuple[str, ...]) -> bool:
        """There is nothing to take over from."""
        return False

    def put_blob(self, descriptor: Descriptor, opener: Opener) -> None:
        """Append the blob, checked."""
        hasher = hasher_for(descriptor.digest)
        with self._lock, guarded(f"write {self._path}"):
            self._header(blob_name(descriptor.digest), descriptor.size)
            size = 0
            for chunk in opener(0):
                hasher.update(chunk)
                size += len(chunk)
                self._file.write(chunk)
            if size != descriptor.size or not descriptor.digest.endswith(hasher.hexdigest()):
                raise DigestMismatch(f"blob {descriptor.digest} came damaged", "try again")
            self._file.write(bytes(-size % 512))
            self._written.add(descriptor.digest)

    def _header(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size = size
        info.mode = 0o644
        self._file.write(info.tobuf(tarfile.GNU_FORMAT))

    def _small(self, name: str, data: bytes) -> None:
        self._header(name, len(data))
        self._file.write(data + bytes(-len(data) % 512))

    def put_manifest(self, raw: bytes, media_type: str, *, root: bool) -> None:
        """Append a manifest or index."""
        descriptor = Descriptor(media_type, digest_of(raw), len(raw))
        if not self.has_blob(descriptor):
            self.put_blob(descriptor, lambda offset: iter([raw[offset:]]))
        self._documents[descriptor.digest] = (raw, media_type)
        if root:
            self._root = descriptor

    def finish(self, root: Descriptor, platform: Platform | None) -> None:
        """Write the names and let the file appear as a whole."""
        if self._root is None:
            return
        full = str(self._reference) if self._reference is not None else None
        with guarded(f"write {self._path}"):
            self._small("oci-layout", MARKER)
            self._small("index.json", with_image(None, self._root, self._name, full))
            image = self._image()
            if image is not None and self._docker:
                listed = docker_manifest(image.config, image.layers, self._reference)
                self._small("manifest.json", listed)
            self._file.write(bytes(1024))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._unfinished.finish()

    def _image(self) -> Manifest | None:
        """The image that ``docker load`` gets: the only one."""
        images = [
            Manifest.parse(raw, kind)
            for raw, kind in self._documents.values()
            if kind not in INDEXES
        ]
        return images[0] if len(images) == 1 else None

    def close(self) -> None:
        """Remove what was not finished."""
        self._unfinished.abandon()
