"""System calls that Python does not wrap."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2
OPENAT2 = 437
"""Number of the system call, on every architecture (Linux 5.6)."""
RESOLVE_IN_ROOT = 0x10
CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWUSER = 0x10000000
_ATTEMPTS = 100

Text = str | bytes | Path


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, subject: Text) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fsdecode(subject))


def mount(source: Text, target: Text, kind: str, flags: int, data: Text = b"") -> None:
    """mount(2); OSError when the kernel refuses."""
    result = _libc().mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )
    _check(result, target)


def unmount(target: Text, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc().umount2(os.fsencode(target), flags), target)


class _OpenHow(ctypes.Structure):
    """``struct open_how`` of openat2(2)."""

    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


def open_in_root(root: Path, path: Text) -> int:
    """A file descriptor (O_PATH) of `path` below `root`, which is ``/`` for ``..`` and symlinks.

    Nothing that changes the tree meanwhile leads out of it.  OSError when it is not there.
    """
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT)
        name = os.fsencode(path).lstrip(b"/") or b"."
        for pause in (*(0.0,) * _ATTEMPTS, *(0.001,) * _ATTEMPTS):
            found = _libc().syscall(OPENAT2, top, name, ctypes.byref(how), ctypes.sizeof(how))
            # The kernel gives up on `..` when anything on the machine is renamed or mounted just
            # then, and asks to try again (openat2(2), RESOLVE_IN_ROOT).
            if found >= 0 or ctypes.get_errno() != errno.EAGAIN:
                break
            time.sleep(pause)
        _check(found, path)
        return int(found)
    finally:
        os.close(top)


def unshare(flags: int) -> None:
    """unshare(2), for the calling thread where the flags allow it."""
    _check(_libc().unshare(flags), "unshare")


def in_directory(directory: Path, work: Callable[[], None]) -> None:
    """Call `work` in `directory` without moving the process: a thread with a cwd of its own."""
    raised: list[BaseException] = []

    def there() -> None:
        try:
            unshare(CLONE_FS)
            os.chdir(directory)
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=there, name="mount")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
