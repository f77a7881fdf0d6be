"""Compressing large files of a step while the step still runs.

What a step wrote early (package lists, say) rarely changes again before it ends.  A thread of low
priority compresses large files that have kept still, but for blocks that earlier layers have; the
layer is then written from that, block by block, as far as the blocks are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from pathlib import Path

from oakum.layer.blocks import Blocks, EarlierBlocks, Place, checked
from oakum.layer.compression import BLOCK, gzip_member, is_dense
from oakum.store import Store

_EVERY = 0.2
_NICE = 19
_MOST_BYTES = 4 << 30


class Ahead:
    """The large files below `upper`, compressed into a file in `scratch`, until `stop`."""

    def __init__(self, store: Store, upper: Path, scratch: Path) -> None:
        self._store = store
        self._upper = os.fsencode(upper)
        self._spill = (scratch / "ahead").open("w+b", buffering=0)
        self._end = 0
        self._found: dict[bytes, Blocks] = {}
        self._seen: dict[bytes, tuple[int, ...]] = {}
        self._done: dict[bytes, tuple[int, ...]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="compress ahead", daemon=True)
        self._thread.start()

    def stop(self) -> dict[bytes, Blocks]:
        """End it; what was compressed, by path below `upper`."""
        self._stopped.set()
        self._thread.join()
        return self._found

    def close(self) -> None:
        """Let go of the file; what `stop` gave is of no use any more."""
        self.stop()
        self._spill.close()

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._stopped.wait(_EVERY):
            # The step removes and replaces what is looked at here.
            with contextlib.suppress(OSError):
                self._look()

    def _look(self) -> None:
        for directory, _, names, handle in os.fwalk(self._upper):
            for name in names:
                if self._stopped.is_set() or self._end > _MOST_BYTES:
                    return
                path = (directory[len(self._upper) :] + b"/" + name)[1:]
                with contextlib.suppress(OSError):
                    self._consider(path, name, handle)

    def _consider(self, path: bytes, name: bytes, directory: int) -> None:
        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISREG(info.st_mode) or info.st_size < BLOCK:
            return
        now = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        if self._seen.get(path) != now:
            self._seen[path] = now
        elif self._done.get(path) != now:
            self._done[path] = now
            self._compress(path, name, directory)

    def _compress(self, path: bytes, name: bytes, directory: int) -> None:
        place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(place).st_mode):
                return
            # Nothing but a file is ever opened to be read: a device would act.
            handle = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(place)
        earlier = EarlierBlocks(self._store, path)
        self._found[path] = blocks = Blocks(self._spilled)
        with os.fdopen(handle, "rb", buffering=0) as file:
            while not self._stopped.is_set() and len(block := file.read(BLOCK)) == BLOCK:
                if is_dense(block):
                    continue
                digest = hashlib.sha256(block).digest()
                if digest not in earlier:
                    blocks.add(self._spill_member(digest, gzip_member(block)))

    def _spill_member(self, digest: bytes, member: bytes) -> Place:
        place = Place(digest, self._end, len(member), checked(member))
        os.pwrite(self._spill.fileno(), member, self._end)
        self._end += len(member)
        return place

    def _spilled(self, offset: int, size: int) -> bytes:
        return os.pread(self._spill.fileno(), size, offset)
