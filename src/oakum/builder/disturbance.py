"""A second build under other circumstances, none of which may show in an image."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from oakum.builder.request import Disturbance
from oakum.builder.sandbox import Snapshotter, choose_snapshotter, kernel
from oakum.errors import SandboxError
from oakum.store import Store

HOSTNAME = "oakum-second-build"
FIRST_HOSTNAME = "buildkitsandbox"
_UMASK = 0o077
_SECOND = 1.05
_ROOM = 4
"""How many times its layers' size a build may need while its steps run, as a guess."""


class Circumstances(msgspec.Struct, frozen=True):
    """What is different while a build is done again."""

    disturbance: Disturbance
    """What the build has to be told."""
    varied: tuple[str, ...]
    """What differs from the first build."""
    same: tuple[str, ...]
    """What could not be varied, and why."""
    processors: tuple[int, int]
    """Processors of the first and of the second build."""


@contextlib.contextmanager
def disturbed(store: Store, size: int) -> Iterator[Circumstances]:
    """Other circumstances for what this thread does, for a build whose layers have `size` bytes.

    The second, the umask of the process, the processors and the host name differ, and where it can
    be had the file system that steps write to: a tmpfs lists a directory's names in another order.
    """
    time.sleep(_SECOND)
    varied = [f"time (later by a second at least), host name ({HOSTNAME})", f"umask ({_UMASK:o})"]
    same: list[str] = []
    processors = os.sched_getaffinity(0)
    umask = os.umask(_UMASK)
    try:
        if len(processors) > 1:
            os.sched_setaffinity(0, {min(processors)})
            varied.append(f"processors (1 of {len(processors)})")
        else:
            same.append("processors: this machine has one")
        with _other_disk(store, size) as (scratch, why):
            if scratch:
                varied.append("order of directories (the steps' files are on a tmpfs)")
            else:
                same.append(f"order of directories: {why}")
            numbers = (len(processors), 1)
            told = Disturbance(HOSTNAME, scratch)
            yield Circumstances(told, tuple(varied), tuple(same), numbers)
    finally:
        os.umask(umask)
        os.sched_setaffinity(0, processors)


@contextlib.contextmanager
def _other_disk(store: Store, size: int) -> Iterator[tuple[Path | None, str]]:
    """A file system in memory, or why there is none."""
    free = _free_memory()
    if size * _ROOM > free // 2:
        yield None, "the memory is too small for the steps' files"
        return
    place = store.place.scratch / "second-build"
    place.mkdir(mode=0o700)
    try:
        kernel.mount("tmpfs", place, "tmpfs", 0, f"size={free // 2},mode=700")
    except OSError as error:
        place.rmdir()
        yield None, f"a tmpfs cannot be mounted: {error.strerror}"
        return
    try:
        why = _unusable(store, place)
        yield (None, why) if why else (place, "")
    finally:
        kernel.unmount(place, kernel.MNT_DETACH)
        place.rmdir()


def _unusable(store: Store, place: Path) -> str:
    """Why steps cannot work in `place` in the way in which they do in the store."""
    try:
        here: Snapshotter = choose_snapshotter(store.place.scratch)[0]
        there, why = choose_snapshotter(place)
    except SandboxError as error:
        return error.what
    return "" if here == there else f"a tmpfs is of no use to steps: {why}"


def _free_memory() -> int:
    """Bytes that processes may still take (proc(5), MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
