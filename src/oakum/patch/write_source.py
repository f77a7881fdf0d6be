"""Replacing a source file (Dockerfile, lock) as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from oakum.store import guarded


def write_source(path: Path, data: bytes) -> None:
    """Replace a source file as a whole, keeping its mode and owner; links are written through.

    What is there and no ordinary file, such as /dev/stdout, is written to.
    """
    real = path.resolve()
    with guarded(f"write {path}"):
        if path.exists() and not real.is_file():
            path.write_bytes(data)
            return
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
