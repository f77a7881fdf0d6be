"""Where a store is on disk, its shape, and the locks that let processes share it.

Shape of a store::

    blobs/sha256/<hex>      content, named by its digest, never changed
    names/<quoted name>     what a name stands for: a descriptor as JSON
    records/<kind>/<key>    small derived facts: layer indexes, cache records …
    snapshots/<id>/         unpacked layers (made by the builder)
    cache/<room>/           what a room may keep and lose: package indexes, downloads
    tmp/<pid>-<random>/     half-made things of one process, gone with it
    tmp/serial-<name>       locks of what one process at a time does
    lock                    held shared by everyone, exclusively by prune and repair
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from oakum.errors import StoreError

VERSION = "1"
_SERIAL = "serial-"
_SCRATCH = "scratch"
_PRIVATE = ("snapshots", "cache")
"""Where images and steps have their files: set-user-ID programs and device nodes of anyone's
making, which no other user of this machine may reach."""


def default_root() -> Path:
    """``$OAKUM_STORE``, else ``/var/lib/oakum`` for root, else the user's data directory."""
    named = os.environ.get("OAKUM_STORE")
    if named:
        return Path(named).expanduser().absolute()
    if os.geteuid() == 0 and not os.environ.get("OAKUM_ROOTLESS_UID"):
        return Path("/var/lib/oakum")
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "oakum"


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn an `OSError` into a `StoreError` that says what could not be done and why."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot {what}: {error.strerror or error}"
            + (f" ({os.fsdecode(error.filename)})" if error.filename else ""),
            _advice(error.errno),
        ) from error


def _advice(number: int | None) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "free some space ('oakum store prune' helps) and run the command again"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "name a store that you may write to with --store or OAKUM_STORE"
    return (
        "check the disk and its permissions; 'oakum store check' tells whether the store is whole"
    )


class Place:
    """The directory of a store, made when it is missing; shared by processes through `lock`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = -1
        self._scratch: Path | None = None
        self._scratch_lock = -1
        self._closed = False
        self._closing = threading.Lock()
        with guarded(f"open the store {root}"):
            root.mkdir(parents=True, exist_ok=True)
            for part in ("blobs/sha256", "names", "records", "snapshots", "cache", "tmp"):
                (root / part).mkdir(parents=True, exist_ok=True)
            for part in _PRIVATE:
                if (root / part).stat().st_mode & 0o077:
                    (root / part).chmod(0o700)
            self._check_version()
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _check_version(self) -> None:
        path = self.root / "version"
        if not path.exists():
            write_atomically(path, VERSION.encode(), self.scratch)
        elif (found := path.read_bytes().decode("utf-8", "replace").strip()) != VERSION:
            raise StoreError(
                f"{self.root} is a store of version {found[:20]!r}, this oakum reads {VERSION}",
                "name another store with --store, or use the oakum that made it",
            )

    @property
    def scratch(self) -> Path:
        """This process's own directory for half-made things, on the store's file system."""
        if self._scratch is not None:
            return self._scratch
        with guarded("make a temporary directory in the store"), self.serialised(_SCRATCH):
            if self._closed:
                raise StoreError("the store was closed", "open it again")
            if self._scratch is None:
                made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self.root / "tmp"))
                self._scratch_lock = os.open(
                    made / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                fcntl.flock(self._scratch_lock, fcntl.LOCK_EX)
                self._scratch = made
            return self._scratch

    def abandoned(self) -> list[Path]:
        """What processes that are gone (killed) left in ``tmp``: safe to remove.

        A live process holds the lock in its scratch directory.  It takes it under the same lock
        as this listing, so a directory is never seen between its making and its locking.
        """
        with guarded("list the store's temporary files"), self.serialised(_SCRATCH):
            paths = sorted((self.root / "tmp").iterdir())
            return [path for path in paths if self._is_abandoned(path)]

    def _is_abandoned(self, path: Path) -> bool:
        if path == self._scratch or path.name.startswith(_SERIAL):
            return False
        try:
            handle = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Alone in the store: for what removes things.  `StoreError` if another process uses it."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            raise StoreError(
                f"the store {self.root} is in use by another oakum",
                "wait until it is done, then run the command again",
            ) from error
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def serialised(self, name: str) -> Iterator[None]:
        """One process at a time for the thing called `name` (short: it blocks the others)."""
        path = self.root / "tmp" / f"{_SERIAL}{name}"
        with guarded(f"lock {name}"):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def close(self) -> None:
        """Remove the scratch directory and let go of the locks.

        What another thread still does in the store fails from here on.
        """
        with self._closing:
            self._closed = True
            if self._scratch is not None:
                with contextlib.suppress(OSError, StoreError):
                    self._leave(self._scratch)
                os.close(self._scratch_lock)
                self._scratch = None
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    @property
    def made(self) -> Path | None:
        """The scratch directory, if there is one yet."""
        return self._scratch

    def _leave(self, scratch: Path) -> None:
        # The lock goes last and unseen, so that nobody takes what is left for a killed process's.
        for path in scratch.iterdir():
            if path.name != "lock":
                discard(path)
        with self.serialised(_SCRATCH):
            discard(scratch)


def discard(path: Path) -> None:
    """Remove a file, or a directory with what is in it; harmless when it is gone.

    What cannot be removed stays.  A file system that is still mounted below is not entered.
    """
    with guarded(f"remove {path}"):
        if path.is_dir() and not path.is_symlink():
            _remove_tree(os.fsencode(path))
        else:
            path.unlink(missing_ok=True)


def _remove_tree(top: bytes) -> None:
    # Every directory is moved to the top before it is emptied: then no tree is too deep for the
    # kernel's longest path or for Python's stack, and a mount point refuses to be moved.
    token = secrets.token_hex(8).encode()
    numbers = itertools.count()
    emptied = []
    todo = [top]
    while todo:
        directory = todo.pop()
        emptied.append(directory)
        for item in _items(directory):
            with contextlib.suppress(OSError):
                if not item.is_dir(follow_symlinks=False):
                    os.unlink(item.path)
                elif not item.name.startswith(token):
                    moved = top + b"/" + token + b"%d" % next(numbers)
                    os.rename(item.path, moved)
                    todo.append(moved)
    for directory in reversed(emptied):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def _items(directory: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(directory) as found:
            return list(found)
    except OSError:
        return []


def write_atomically(path: Path, data: bytes, scratch: Path) -> None:
    """Write a whole file or nothing: temporary name, fsync, rename."""
    handle, name = tempfile.mkstemp(dir=scratch)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
