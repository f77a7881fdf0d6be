"""Mounts of oakum's own that others use: what is secret, and what others may change meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from oakum.builder.sandbox import kernel
from oakum.builder.sandbox.overlay import detach
from oakum.errors import BuildError, SandboxError


@contextlib.contextmanager
def in_memory(path: Path, *, devices: bool = False) -> Iterator[Path]:
    """The empty directory `path` as a file system in memory while in the context.

    What is written there reaches no disk, and goes with this process, even by ``kill -9``.
    Device nodes work in it only with `devices`.
    """
    flags = kernel.MS_NOSUID | (0 if devices else kernel.MS_NODEV)
    try:
        kernel.mount("tmpfs", path, "tmpfs", flags, "mode=700")
    except OSError as error:
        raise SandboxError(
            f"cannot mount a file system in memory on {path}: {error.strerror}",
            "run as root or where user namespaces may mount",
        ) from error
    try:
        yield path
    finally:
        detach(path)


@contextlib.contextmanager
def pinned(root: Path, path: str, point: Path) -> Iterator[Path]:
    """What `path` is below `root`, mounted on `point`, which is made, while in the context.

    Symlinks and ``..`` lead nowhere but into `root`, whatever a step that shares it does to it
    meanwhile.  BuildError when there is no such path.
    """
    try:
        _bind(root, path, point)
    except OSError as error:
        raise BuildError(
            f"{path!r} cannot be mounted: {error.strerror}", "make it in an earlier step"
        ) from error
    try:
        yield point
    finally:
        detach(point)


def _bind(root: Path, path: str, point: Path) -> None:
    handle = kernel.open_in_root(root, path)
    try:
        source = f"/proc/self/fd/{handle}"
        if os.path.isdir(source):
            point.mkdir()
        else:
            point.touch()
        kernel.mount(source, point, "", kernel.MS_BIND)
    finally:
        os.close(handle)
