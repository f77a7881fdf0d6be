"""Files of the cache directory: whole or not there, also when several processes write them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from oakum.errors import RepositoryError


@contextmanager
def replaced(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends well.

    What is not `durable` may be lost or damaged when the machine stops.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


@contextmanager
def scratch(directory: Path) -> Iterator[IO[bytes]]:
    """A file without a name, which is gone when the block ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            yield file
    except OSError as error:
        raise unwritable(directory, error) from error


def file_digest(file: IO[bytes], algorithm: str) -> str:
    """Hex digest of a file from where it stands to its end."""
    hasher = hashlib.new(algorithm)
    while chunk := file.read(1024 * 1024):
        hasher.update(chunk)
    return hasher.hexdigest()


def unwritable(path: Path, error: OSError) -> RepositoryError:
    """The cache directory refused a write."""
    return RepositoryError(
        f"the cache file {path} cannot be written: {error.strerror or error}",
        "free some space, or choose another cache directory",
    )
