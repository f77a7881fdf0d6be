"""What only ADD takes: archives of the context, unpacked, and files from http(s) addresses."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import os
import posixpath
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from oakum.builder.copying import Source
from oakum.builder.steps import Workshop
from oakum.builder.target import Item
from oakum.errors import BuildError, InvalidImage, TransportError
from oakum.layer import Entry, Kind
from oakum.layer.compression import Readable, decompressed
from oakum.layer.disk import file_content
from oakum.layer.read import max_layer_bytes
from oakum.layer.tar import RECORD, TarStream, read_tar
from oakum.oci import Digest, is_digest

_MAX_DOWNLOAD = 64 << 30
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def archive_source(shop: Workshop, name: str, path: bytes) -> Source | None:
    """The members of an archive on disk (tar, plain or compressed); None when it is none."""
    with open(path, "rb") as file:
        if not _is_tar(_readable(file)):
            return None
    shelf = Path(tempfile.mkdtemp(prefix="add-", dir=shop.store.place.scratch))
    try:
        with open(path, "rb") as file:
            items = tuple(_members(_readable(file), shelf))
    except (InvalidImage, EOFError) as error:
        what = error.what if isinstance(error, InvalidImage) else str(error)
        raise BuildError(f"ADD {name}: {what}", "check the archive") from error
    top = Item(Entry(b"", Kind.DIRECTORY, 0o755))
    return Source(name, (top, *items), unpacked=True)


def _readable(file: IO[bytes]) -> Readable:
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"BZh"):
        import bz2

        return bz2.open(file)
    if head == b"\xfd7zXZ\0":
        import lzma

        return lzma.open(file)
    return decompressed(file)


def _is_tar(stream: Readable) -> bool:
    """Whether the stream begins with a tar header; an archive of nothing is none."""
    try:
        raw = b""
        while len(raw) < RECORD and (piece := stream.read(RECORD - len(raw))):
            raw += piece
        if len(raw) < RECORD:
            return False
        field = raw[148:156].strip(b" \0")
        return int(field or b"x", 8) == sum(raw) - sum(raw[148:156]) + 8 * 32
    except (InvalidImage, ValueError, OSError, EOFError):
        return False


def _members(stream: Readable, shelf: Path) -> Iterator[Item]:
    for number, (header, content) in enumerate(read_tar(TarStream(stream, max_layer_bytes()))):
        if not header.path:
            continue
        if header.kind is not Kind.FILE:
            yield Item(header.entry())
            continue
        place = shelf / str(number)
        hasher = hashlib.sha256()
        with place.open("wb") as file:
            for piece in content:
                hasher.update(piece)
                file.write(piece)
        yield _stored(header.entry(hasher.digest()), place)


def _stored(entry: Entry, place: Path) -> Item:
    source = os.fsencode(place)
    return Item(entry, lambda: file_content(source))


class _Remembered(msgspec.Struct, frozen=True):
    """What an address gave before."""

    digest: Digest
    etag: str
    modified: str
    size: int
    mtime: int


def remote_source(shop: Workshop, url: str, checksum: str | None, unpack: bool) -> Source:
    """The file at an http(s) address; asked for again only when the server says it changed."""
    if checksum is not None and not is_digest(checksum):
        raise BuildError(f"invalid checksum digest: --checksum={checksum[:80]!r}", "write sha256:…")
    name = posixpath.basename(urllib.parse.urlsplit(url).path) or "__unnamed__"
    got = _download(shop, url)
    if checksum is not None and got.digest != checksum:
        raise BuildError(
            f"digest mismatch: {url[:200]} has {got.digest}, --checksum says {checksum}",
            "check the address and the checksum",
        )
    if unpack:
        unpacked = archive_source(shop, name, os.fsencode(shop.store.blobs.path(got.digest)))
        if unpacked is not None:
            return unpacked
    digest = bytes.fromhex(got.digest.split(":", 1)[1])
    entry = Entry(b"", Kind.FILE, 0o600, 0, 0, got.size, got.mtime, digest=digest)
    path = os.fsencode(shop.store.blobs.path(got.digest))
    return Source(name, (Item(entry, lambda: file_content(path)),))


def _download(shop: Workshop, url: str) -> _Remembered:
    import httpx

    key = hashlib.sha256(url.encode()).hexdigest()
    raw = shop.store.records.get("http", key)
    known: _Remembered | None = None
    with contextlib.suppress(msgspec.DecodeError):
        known = msgspec.msgpack.decode(raw, type=_Remembered) if raw else None
    if known is not None and not shop.store.blobs.has(known.digest, known.size):
        known = None
    headers = _conditions(known)
    verify: Any = str(shop.request.ca_certificates) if shop.request.ca_certificates else True
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=60, verify=verify) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code == 304 and known is not None:
                return known
            if answer.status_code != 200:
                raise BuildError(f"{url[:200]} answered {answer.status_code}", "check the address")
            got = _keep(shop, url, answer)
    except httpx.HTTPError as error:
        raise TransportError(f"cannot fetch {url[:200]}: {error}", "check the network") from error
    shop.store.records.put("http", key, msgspec.msgpack.encode(got))
    return got


def _conditions(known: _Remembered | None) -> dict[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.modified} if known.modified else {}


def _keep(shop: Workshop, url: str, answer: Any) -> _Remembered:
    with shop.store.blobs.writing() as writer:
        for piece in answer.iter_bytes(1 << 20):
            writer.write(piece)
            if writer.size > _MAX_DOWNLOAD:
                raise BuildError(f"{url[:200]} is larger than 64 GiB", "fetch it in a RUN step")
        size = writer.size
        digest = writer.commit()
    modified = answer.headers.get("last-modified", "")
    mtime = 0
    with contextlib.suppress(TypeError, ValueError):
        mtime = int(email.utils.parsedate_to_datetime(modified).timestamp())
    return _Remembered(digest, answer.headers.get("etag", ""), modified, size, mtime)
