"""Making layers: from planned entries, or from what a step left in its upper directory."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oakum.builder.ahead import Ahead
from oakum.builder.changes import changed_only, unfold
from oakum.builder.noise import quieten
from oakum.builder.stack import layer_content
from oakum.errors import BuildError
from oakum.layer import Entry, Kind, Layer, LayerWriter
from oakum.layer.blocks import Blocks
from oakum.layer.disk import DiskEntry, file_content, read_directory
from oakum.oci import Compression
from oakum.store import Store, guarded
from oakum.tree import Tree

_PYC_HEADER = 16


class Layering:
    """Writes layers into a store with one compression and a shared pool of threads."""

    def __init__(self, store: Store, compression: Compression) -> None:
        self._store = store
        self._compression = compression
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2))

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(cancel_futures=True)

    def write(
        self,
        entries: Iterable[tuple[Entry, Callable[[], Iterator[bytes]] | None]],
        known: Mapping[bytes, Blocks] = {},
    ) -> tuple[Layer, str]:
        """A layer of these entries, each with the way to open its content; and its identity.

        `known` are blocks that were compressed before, by path.
        """
        with self._store.blobs.writing() as blob:
            writer = LayerWriter(self._store, blob, self._compression, self._pool)
            for entry, opened in entries:
                try:
                    blocks = known.get(entry.path)
                    writer.add(entry, opened() if opened else (), blocks.member if blocks else None)
                except FileNotFoundError as error:
                    raise BuildError(
                        f"{os.fsdecode(entry.path)} vanished while it was read",
                        "let nothing else change the sources during a build",
                    ) from error
            layer = writer.finish()
        assert writer.index is not None
        return layer, layer_content(writer.index)

    def ahead(self, upper: Path, scratch: Path) -> Ahead | None:
        """What compresses a step's large files while it runs, where the format allows that."""
        return Ahead(self._store, upper, scratch) if self._compression is Compression.GZIP else None

    def of_upper(
        self,
        upper: Path,
        below: Tree,
        epoch: int,
        *,
        marked: bool = False,
        known: Mapping[bytes, Blocks] = {},
        quiet: bool = False,
    ) -> tuple[Layer, str]:
        """The layer of a step's upper directory on `below`; nothing in it is newer than `epoch`.

        `marked` says that its whiteouts are files with marked names, `quiet` has the rules on
        noise applied.
        """
        with guarded("read what the step wrote"):
            unfold(upper, below, marked=marked)
            if quiet:
                quieten(upper, below, epoch, marked=marked)
            settle_times(upper, epoch)
            entries = read_directory(upper, clamp=epoch, marked=marked)
            return self.write(_opened(changed_only(entries, below)), known)


def _opened(
    entries: Iterable[DiskEntry],
) -> Iterator[tuple[Entry, Callable[[], Iterator[bytes]] | None]]:
    for item in entries:
        if item.entry.kind is Kind.FILE:
            yield item.entry, _opener(item.source)
        else:
            yield item.entry, None


def _opener(source: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: file_content(source)


def settle_times(upper: Path, epoch: int) -> None:
    """Give everything newer than `epoch` that time, on disk as it will be in the layer.

    A ``.pyc`` records its source's time (PEP 552); one that is newer is set as well, since its
    source's time is.
    """
    directories = [os.fsencode(upper)]
    for directory in directories:
        with os.scandir(directory) as listing:
            items = list(listing)
        for item in items:
            if item.is_dir(follow_symlinks=False):
                directories.append(item.path)
                continue
            # A whiteout, a link or a device may have such a name too.
            if item.name.endswith(b".pyc") and item.is_file(follow_symlinks=False):
                _settle_pyc(item.path, epoch)
            _settle(item.path, epoch)
    for directory in reversed(directories):
        _settle(directory, epoch)


def _settle(path: bytes, epoch: int) -> None:
    if os.lstat(path).st_mtime_ns // 1_000_000_000 > epoch:
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _settle_pyc(path: bytes, epoch: int) -> None:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.pread(handle, _PYC_HEADER, 0)
        if len(head) < _PYC_HEADER or head[2:4] != b"\r\n":
            return
        flags, recorded = struct.unpack_from("<II", head, 4)
        if flags == 0 and recorded > epoch:
            os.pwrite(handle, struct.pack("<I", epoch), 8)
    finally:
        os.close(handle)
