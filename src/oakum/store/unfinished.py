"""Files outside of the store that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from pathlib import Path


class Unfinished:
    """A file to be written that takes the place of `path` when it is done, as a whole.

    Until then it has no name, where the file system can do that (O_TMPFILE of open(2)), so that a
    process that is killed leaves nothing beside `path`.  OSError when it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = path.absolute().parent
        self._name = ""
        try:
            handle = os.open(self._directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
            handle, self._name = tempfile.mkstemp(dir=self._directory, prefix=self._prefix())
        self.file = os.fdopen(handle, "wb")

    def _prefix(self) -> str:
        return f".{self._path.name[:100]}."

    def finish(self) -> None:
        """Close the file and let it appear."""
        self.file.flush()
        os.fchmod(self.file.fileno(), 0o644)
        if not self._name:
            name = self._directory / (self._prefix() + secrets.token_hex(8))
            # Only with a directory descriptor does Python have the link followed.
            source = f"/proc/self/fd/{self.file.fileno()}"
            os.link(source, name, src_dir_fd=0, follow_symlinks=True)
            self._name = str(name)
        self.file.close()
        os.replace(self._name, self._path)
        self._name = ""

    def abandon(self) -> None:
        """Close it and leave nothing; harmless when it is finished."""
        self.file.close()
        if self._name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name)
            self._name = ""
