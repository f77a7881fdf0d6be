"""Where a store is on disk, its shape, and the locks that let processes share it.

Shape of a store::

    blobs/sha256/<hex>      content, named by its digest, never changed
    names/<quoted name>     what a name stands for: a descriptor as JSON
    records/<kind>/<key>    small derived facts: layer indexes, cache records …
    snapshots/<id>/         unpacked layers (made by the builder)
    cache/<room>/           what a room may keep and lose: package indexes, downloads
    tmp/<pid>-<random>/     half-made things of one process, gone with it
    lock                    held shared by everyone, exclusively by prune and repair
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from oakum.errors import StoreError

VERSION = "1"
_UNLOCKED = 60.0
"""Seconds that a process may take between making a temporary directory and locking it."""


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
        self._making = threading.Lock()
        self._scratch: Path | None = None
        self._scratch_lock = -1
        with guarded(f"open the store {root}"):
            root.mkdir(parents=True, exist_ok=True)
            for part in ("blobs/sha256", "names", "records", "snapshots", "cache", "tmp"):
                (root / part).mkdir(parents=True, exist_ok=True)
            self._check_version()
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _check_version(self) -> None:
        path = self.root / "version"
        if not path.exists():
            write_atomically(path, VERSION.encode(), self.scratch)
        elif (found := path.read_text().strip()) != VERSION:
            raise StoreError(
                f"{self.root} is a store of version {found[:20]!r}, this oakum reads {VERSION}",
                "name another store with --store, or use the oakum that made it",
            )

    @property
    def scratch(self) -> Path:
        """This process's own directory for half-made things, on the store's file system."""
        with self._making:
            while self._scratch is None:
                self._make_scratch()
        return self._scratch

    def _make_scratch(self) -> None:
        """Make the directory, unless another process took it for abandoned before its lock."""
        with guarded("make a temporary directory in the store"):
            made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self.root / "tmp"))
            lock = os.open(made / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.lexists(made / "lock"):
            self._scratch, self._scratch_lock = made, lock
        else:
            os.close(lock)

    def abandoned(self) -> list[Path]:
        """Temporary directories whose process is gone (killed): safe to remove."""
        with guarded("look for what killed processes left"):
            paths = sorted((self.root / "tmp").iterdir())
        return [path for path in paths if self._is_abandoned(path)]

    def _is_abandoned(self, path: Path) -> bool:
        with _claimed(path) as claimed:
            return claimed and path != self._scratch

    def remove_abandoned(self) -> None:
        """Remove them, each while nobody else can take it for its own."""
        for path in self.abandoned():
            with _claimed(path) as claimed:
                if claimed:
                    shutil.rmtree(path, ignore_errors=True)

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
        path = self.root / "tmp" / f"serial-{name}"
        with guarded(f"lock {name}"):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def close(self) -> None:
        """Remove the scratch directory and let go of the locks."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            os.close(self._scratch_lock)
            self._scratch = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether a temporary directory is nobody's; while in the context, nobody can make it his."""
    try:
        handle = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield _older_than(path, _UNLOCKED)
        return
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def _older_than(path: Path, seconds: float) -> bool:
    try:
        return not path.name.startswith("serial-") and path.stat().st_mtime < time.time() - seconds
    except OSError:
        return False


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
