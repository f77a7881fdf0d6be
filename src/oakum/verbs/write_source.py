"""Replacing a source file (Dockerfile, lock) as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from oakum.errors import AccessDenied, OakumError


def write_source(path: Path, data: bytes) -> None:
    """Replace a file as a whole, keeping its mode and owner; links are written through.

    `AccessDenied` where that is not permitted, another `OakumError` for a full disk and the like.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a pipe or a device cannot be replaced
        else:
            _replace(path.resolve(), data)
    except PermissionError as error:
        raise AccessDenied(
            f"cannot write {path}: {error.strerror}", "check who may write to it and its directory"
        ) from error
    except OSError as error:
        raise OakumError(
            f"cannot write {path}: {error.strerror or error}", "check the path and the disk"
        ) from error


def _replace(real: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            info = real.stat()
            os.chmod(name, info.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.chown(name, info.st_uid, info.st_gid)
        if not real.exists():
            os.chmod(name, 0o644)
        os.replace(name, real)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
