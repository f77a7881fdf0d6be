"""Stacks of directories mounted as one writable root, and what to do where that is refused."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from oakum.build.sandbox import kernel
from oakum.build.sandbox.namespace import in_user_namespace
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
    when the kernel does not allow it: `copy_root` is the way then.
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
    """Short names keep the options of hundreds of layers within the one page they may take."""
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


def copy_root(lowers: Sequence[Path], target: Path) -> None:
    """The merged `lowers` (the lowest first) copied into the empty directory `target`.

    The lowers hold whiteouts as overlay does (0/0 character devices, opaque xattrs).  There is no
    upper directory then: the caller has to compare the root before and after the step.
    """
    for lower in lowers:
        _lay_over(os.fsencode(lower), os.fsencode(target), {})


def _lay_over(source: bytes, target: bytes, linked: dict[tuple[int, int], bytes]) -> None:
    with os.scandir(source) as found:
        for entry in sorted(found, key=lambda one: one.name):
            _lay_entry(entry, os.path.join(target, entry.name), linked)
    _dress(source, target)


def _lay_entry(
    entry: os.DirEntry[bytes], target: bytes, linked: dict[tuple[int, int], bytes]
) -> None:
    info = entry.stat(follow_symlinks=False)
    whiteout = stat.S_ISCHR(info.st_mode) and info.st_rdev == 0
    directory = stat.S_ISDIR(info.st_mode)
    if not directory or _is_opaque(entry.path) or not _is_directory(target):
        _remove(target)
    if whiteout:
        return
    if directory:
        os.makedirs(target, exist_ok=True)
        _lay_over(entry.path, target, linked)
        return
    first = linked.setdefault((info.st_dev, info.st_ino), target)
    if first != target:
        os.link(first, target, follow_symlinks=False)
        return
    _copy_file(entry.path, target, info)
    _dress(entry.path, target)


def _copy_file(source: bytes, target: bytes, info: os.stat_result) -> None:
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(info.st_mode):
        shutil.copyfile(source, target)
    else:
        os.mknod(target, info.st_mode, info.st_rdev)


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_opaque(path: bytes) -> bool:
    for name in ("trusted.overlay.opaque", "user.overlay.opaque"):
        with contextlib.suppress(OSError):
            if os.getxattr(path, name, follow_symlinks=False) == b"y":
                return True
    return False


def _remove(path: bytes) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _dress(source: bytes, target: bytes) -> None:
    info = os.lstat(source)
    os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(target, stat.S_IMODE(info.st_mode))
    for name in os.listxattr(source, follow_symlinks=False):
        if ".overlay." not in name:
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(target, name, value, follow_symlinks=False)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)
