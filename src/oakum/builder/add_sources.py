"""What only ADD takes: archives, unpacked, files from http(s) addresses, and git repositories."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from oakum.builder.archives import explained, is_tar, readable
from oakum.builder.context import Directory, SourceEntry
from oakum.builder.copying import Source
from oakum.builder.downloads import file_name
from oakum.builder.git_address import GitAddress, checked_commit
from oakum.builder.ignore import Ignore
from oakum.builder.steps import Workshop
from oakum.builder.target import Item
from oakum.errors import DockerfileError
from oakum.layer import Entry, Kind
from oakum.layer.compression import Readable
from oakum.layer.disk import file_content
from oakum.layer.read import max_layer_bytes
from oakum.layer.tar import TarStream, read_tar


def archive_source(shop: Workshop, name: str, path: bytes) -> Source | None:
    """The members of an archive on disk (tar, plain or compressed); None when it is none."""
    with open(path, "rb") as file:
        if not is_tar(readable(file)):
            return None
    shelf = Path(tempfile.mkdtemp(prefix="add-", dir=shop.store.place.scratch))
    with open(path, "rb") as file, explained(f"ADD {name}"):
        items = tuple(_members(readable(file), shelf))
    top = Item(Entry(b"", Kind.DIRECTORY, 0o755))
    return Source(name, (top, *items), unpacked=True)


def _members(stream: Readable, shelf: Path) -> Iterator[Item]:
    for number, (header, content) in enumerate(
        read_tar(TarStream(stream, max_layer_bytes()), layer=False)
    ):
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


def remote_source(shop: Workshop, url: str, checksum: str | None, unpack: bool) -> Source:
    """The file at an http(s) address; asked for again only when the server says it changed."""
    got = shop.downloads.fetch(url, checksum)
    name = file_name(url)
    path = os.fsencode(shop.downloads.path(got))
    if unpack:
        unpacked = archive_source(shop, name, path)
        if unpacked is not None:
            return unpacked
    digest = bytes.fromhex(got.digest.split(":", 1)[1])
    entry = Entry(b"", Kind.FILE, 0o600, 0, 0, got.size, got.mtime, digest=digest)
    return Source(name, (Item(entry, lambda: file_content(path)),))


def git_source(
    shop: Workshop, address: GitAddress, checksum: str | None, keep_git_dir: bool | None
) -> Source:
    """The files of a git repository, which are root's; their time is the commit's."""
    wanted = checked_commit(checksum or "")
    if wanted and address.checksum and wanted != address.checksum:
        raise DockerfileError(
            f"checksum mismatch {wanted!r} != {address.checksum!r}", "give one of them"
        )
    if None not in (keep_git_dir, address.keep_git_dir) and keep_git_dir != address.keep_git_dir:
        raise DockerfileError("inconsistent keep-git-dir configuration", "give one of them")
    if wanted:
        address = msgspec.structs.replace(address, checksum=wanted)
    keep = bool(address.keep_git_dir if keep_git_dir is None else keep_git_dir)
    tree = shop.repositories.tree(address, keep_git_dir=keep)
    directory = Directory(shop.store, tree, Ignore(()))
    items = tuple(map(disk_item, directory.entries("")))
    directory.remember()
    return Source("", items)


def disk_item(found: SourceEntry) -> Item:
    """A file on disk that is copied."""
    source, data = found.source, found.data
    opened: Callable[[], Iterator[bytes]] | None = None
    if data is not None:
        opened = functools.partial(iter, (data,))
    elif source:
        opened = functools.partial(file_content, source)
    return Item(found.entry, opened, found.inode or None)
