"""Making layers: from planned entries, or from what a step left in its upper directory."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from oakum.builder.ahead import Ahead
from oakum.builder.changes import changed_only, unfold
from oakum.builder.noise import quieten
from oakum.builder.stack import layer_content
from oakum.errors import BuildError
from oakum.layer import Entry, Kind, Layer, LayerWriter
from oakum.layer.blocks import Blocks
from oakum.layer.disk import DiskEntry, file_content, keep_time, read_directory
from oakum.oci import Compression
from oakum.store import Store, guarded
from oakum.tree import Tree

_PYC_HEADER = 16
_LAST_RECORDED = (1 << 32) - 1

SettledTime = Callable[[int], int]
"""The time that stands in a layer for one that was found."""


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
        began: int,
        *,
        marked: bool = False,
        known: Mapping[bytes, Blocks] = {},
        quiet: bool = False,
    ) -> tuple[Layer, str, Settled]:
        """The layer of a step's upper directory on `below`; nothing in it is newer than `epoch`.

        Its identity follows, and what `settle_times` says of a step that `began` then.
        `marked` says that its whiteouts are files with marked names, `quiet` has the rules on noise
        applied.
        """
        with guarded("read what the step wrote"):
            unfold(upper, below, marked=marked)
            by_time = quiet and quieten(upper, below, epoch, marked=marked)
            settled = settle_times(upper, epoch, began)
            if by_time:
                settled = msgspec.structs.replace(settled, exact=False)
            entries = read_directory(upper, clamp=epoch, marked=marked)
            layer, content = self.write(_opened(changed_only(entries, below)), known)
            return layer, content, settled


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


class Settled(msgspec.Struct, frozen=True):
    """What was done to the times of a step's layer, so that they can be held to another one."""

    exact: bool
    """Whether nothing that was there before the step had the newest allowed time or a newer one:
    what has it now was made by the step."""
    recorded: int
    """The newest older time of a source that a ``.pyc`` records, in seconds; 0 for none."""


def settle_times(upper: Path, epoch: int, began: int) -> Settled:
    """Give everything newer than `epoch` that time, on disk as it will be in the layer.

    A ``.pyc`` records its source's time (PEP 552); one that is newer is set as well, since its
    source's time is.  The step `began` then.
    """
    directories = [os.fsencode(upper)]
    newest = 0
    exact = True
    settled: set[int] = set()

    def settle(path: bytes, info: os.stat_result) -> bool:
        """Whether the path was made by the step, or is older than the time that is allowed."""
        time = info.st_mtime_ns // 1_000_000_000
        # Another name of the file may have been settled.
        known = info.st_ino in settled
        if time > epoch:
            settled.add(info.st_ino)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
        return known or not epoch <= time < began

    for directory in directories:
        with os.scandir(directory) as listing:
            items = list(listing)
        for item in items:
            if item.is_dir(follow_symlinks=False):
                directories.append(item.path)
                continue
            info = item.stat(follow_symlinks=False)
            # A whiteout, a link or a device may have such a name too.
            if item.name.endswith(b".pyc") and item.is_file(follow_symlinks=False):
                recorded = _settle_pyc(item.path, epoch, info)
                newest = max(newest, recorded if recorded < epoch else 0)
                exact = exact and not epoch <= recorded < began
            exact = settle(item.path, info) and exact
    for directory in reversed(directories):
        exact = settle(directory, os.lstat(directory)) and exact
    return Settled(exact, newest)


def _settle_pyc(path: bytes, epoch: int, info: os.stat_result) -> int:
    """Settle what a ``.pyc`` records, whose own time stays; what it recorded, or -1."""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.pread(handle, _PYC_HEADER, 0)
        recorded = _recorded(head)
        if recorded > epoch:
            os.pwrite(handle, struct.pack("<I", epoch), 8)
            keep_time(path, info)
        return recorded
    finally:
        os.close(handle)


def settled_pyc(content: Iterable[bytes], time: SettledTime) -> Iterator[bytes]:
    """The content of a ``.pyc``, its source's time as `time` has it."""
    pieces = iter(content)
    head = b""
    while len(head) < _PYC_HEADER and (piece := next(pieces, b"")):
        head += piece
    yield _settled_head(head[:_PYC_HEADER], time) + head[_PYC_HEADER:]
    yield from pieces


def _settled_head(head: bytes, time: SettledTime) -> bytes:
    recorded = _recorded(head)
    if recorded < 0:
        return head
    return head[:8] + struct.pack("<I", min(time(recorded), _LAST_RECORDED)) + head[12:]


def _recorded(head: bytes) -> int:
    """The time of its source that the head of a ``.pyc`` has; -1 when it has none."""
    if len(head) < _PYC_HEADER or head[2:4] != b"\r\n":
        return -1
    flags, recorded = struct.unpack_from("<II", head, 4)
    return -1 if flags else int(recorded)
