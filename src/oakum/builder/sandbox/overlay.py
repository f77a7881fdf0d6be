"""Stacks of directories mounted as one writable root."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from oakum.builder.sandbox import kernel
from oakum.builder.sandbox.namespace import in_user_namespace
from oakum.errors import SandboxError

MAX_LOWERS = 500
"""OVL_MAX_STACK of the kernel."""


@contextlib.contextmanager
def mount_overlay(
    lowers: Sequence[Path], upper: Path, work: Path, target: Path, *, volatile: bool = True
) -> Iterator[Path]:
    """`lowers` (the lowest first) below `upper`, mounted on `target` while in the context.

    All four exist and are directories; `upper` and `work` are on one file system.  A volatile
    overlay never waits for the disk: after a crash of the machine `upper` is worthless.
    Redirects and metadata-only copies are off, so `upper` is a plain changeset.  SandboxError
    when the kernel does not allow it.
    """
    _mount(lowers, upper, work, target, volatile)
    try:
        yield target
    finally:
        detach(target)
        shutil.rmtree(work / "work", ignore_errors=True)


def _mount(lowers: Sequence[Path], upper: Path, work: Path, target: Path, volatile: bool) -> None:
    try:
        if not lowers:
            kernel.mount(upper, target, "", kernel.MS_BIND)
            return
        _mount_linked(lowers, upper, work, target, volatile)
    except OSError as error:
        raise SandboxError(
            f"cannot mount an overlay of {len(lowers)} layers on {target}: {error.strerror}",
            "run as root or where user namespaces may mount overlays, with the store on a "
            "local file system such as ext4, xfs or btrfs",
        ) from error


def _mount_linked(
    lowers: Sequence[Path], upper: Path, work: Path, target: Path, volatile: bool
) -> None:
    """Short names keep the options of hundreds of layers within the one page they may take.

    A directory that is in the stack twice counts where it is highest: it hides all that it would
    add or remove further down, and the kernel refuses one that overlaps itself (ELOOP).
    """
    lowers = list(dict.fromkeys(reversed(lowers)))[::-1]
    if len(lowers) > MAX_LOWERS:
        raise OSError(errno.E2BIG, f"the kernel allows {MAX_LOWERS} layers")
    links = Path(tempfile.mkdtemp(prefix="links-", dir=upper.parent))
    try:
        for number, lower in enumerate(reversed(lowers)):
            (links / f"{number:x}").symlink_to(lower.absolute())
        (links / "u").symlink_to(upper.absolute())
        (links / "w").symlink_to(work.absolute())
        names = ":".join(f"{number:x}" for number in range(len(lowers)))
        where = target.absolute()
        kernel.in_directory(links, lambda: _mount_options(names, where, volatile))
    finally:
        shutil.rmtree(links, ignore_errors=True)


def _mount_options(names: str, target: Path, volatile: bool) -> None:
    options = f"lowerdir={names},upperdir=u,workdir=w,index=off,metacopy=off,redirect_dir=nofollow"
    if in_user_namespace():
        options += ",userxattr"
    plain = f"lowerdir={names},upperdir=u,workdir=w"
    choices = [options + ",volatile", options] if volatile else [options]
    for choice in (*choices, plain):
        try:
            kernel.mount("overlay", target, "overlay", 0, choice)
            return
        except OSError as error:
            if error.errno != errno.EINVAL or choice == plain:
                raise


def detach(target: Path) -> None:
    """Unmount `target`; when something still uses it, as soon as that ends."""
    try:
        kernel.unmount(target)
    except OSError as error:
        if error.errno == errno.EBUSY:
            kernel.unmount(target, kernel.MNT_DETACH)
        elif error.errno not in (errno.EINVAL, errno.ENOENT):
            raise


def clean_mounts(below: Path) -> int:
    """Unmount what a killed process left mounted below a directory; how many there were."""
    prefix = os.fsencode(below.resolve()) + b"/"
    found = [point for point in mount_points() if point.startswith(prefix)]
    for point in reversed(found):
        with contextlib.suppress(OSError):
            kernel.unmount(point, kernel.MNT_DETACH)
    return len(found)


def mount_points() -> list[bytes]:
    """Mount points of this process, in the order in which they were mounted."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [_unescape(line.split(b" ")[4]) for line in lines]


def _unescape(field: bytes) -> bytes:
    """Octal escapes of mountinfo (proc(5))."""
    parts = field.split(b"\\")
    return parts[0] + b"".join(bytes([int(p[:3], 8)]) + p[3:] for p in parts[1:])
