"""Files that package archives served: kept by digest, found by URL, checked whenever they are used.

In the cache: ``files/`` one file a SHA-256, ``urls/`` one record a URL, ``lists/`` uncompressed
indexes as apt keeps them, by digest and time.  All of it may be lost at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import IO

import msgspec

from oakum.repository.place import file_digest, replaced, unwritable

_HEX = re.compile(r"[0-9a-f]{64}")


class Served(msgspec.Struct, frozen=True):
    """What a server gave for a URL."""

    digest: str
    """SHA-256 of the body, in hex."""
    size: int
    """Bytes of the body."""
    etag: str = ""
    """The server's ETag."""
    last_modified: str = ""
    """The server's Last-Modified."""
    private: bool = False
    """Whether the server gave it to somebody who had logged in."""


def seconds_of(last_modified: str) -> int:
    """A Last-Modified header in seconds since the epoch; 0 when it is none."""
    try:
        return max(0, int(parsedate_to_datetime(last_modified).timestamp()))
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0


class ArchiveFiles:
    """The files below one cache directory; processes may share it."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @property
    def lists(self) -> Path:
        """Directory of uncompressed indexes."""
        return self._cache / "lists"

    def path(self, digest: str) -> Path:
        """Where the file of that SHA-256 is, if it is there."""
        if not _HEX.fullmatch(digest):
            raise ValueError("not a SHA-256 in hex")
        return self._cache / "files" / digest

    def open(self, digest: str) -> IO[bytes] | None:
        """The file of that digest, checked; None when it is not there or damaged."""
        try:
            file = self.path(digest).open("rb")
        except (OSError, ValueError):
            return None
        if file_digest(file, "sha256") != digest:
            file.close()
            return None
        file.seek(0)
        with contextlib.suppress(OSError):
            os.utime(file.fileno(), (time.time(), os.fstat(file.fileno()).st_mtime))
        return file

    def digests(self) -> frozenset[str]:
        """The digests of all files."""
        try:
            return frozenset(os.listdir(self._cache / "files"))
        except OSError:
            return frozenset()

    def known(self, url: str) -> Served | None:
        """What the URL gave when it was asked last, when that is still kept."""
        try:
            served = msgspec.msgpack.decode(self._record(url).read_bytes(), type=Served)
            size = self.path(served.digest).stat().st_size
        except (OSError, ValueError, msgspec.MsgspecError):
            return None
        return served if size == served.size else None

    def remember(self, url: str, served: Served) -> None:
        """Note what a URL gave."""
        with replaced(self._record(url), durable=False) as file:
            file.write(msgspec.msgpack.encode(served))

    def _record(self, url: str) -> Path:
        name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
        return self._cache / "urls" / name

    @contextlib.contextmanager
    def receiving(self) -> Iterator[tuple[IO[bytes], Path]]:
        """A file to be filled, and its path; it is gone at the end unless it was kept."""
        directory = self._cache / "files"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=directory, prefix=".")
        except OSError as error:
            raise unwritable(directory, error) from error
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file, Path(name)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)

    def of_digest(self, digest: str) -> Served | None:
        """The file of that digest, with the time that its server gave it."""
        try:
            found = self.path(digest).stat()
        except (OSError, ValueError):
            return None
        seconds = int(found.st_mtime)
        return Served(
            digest, found.st_size, "", formatdate(seconds, usegmt=True) if seconds else ""
        )

    def time(self, digest: str) -> int:
        """The time that the server of a file gave it, in seconds; 0 when it gave none."""
        try:
            return int(self.path(digest).stat().st_mtime)
        except OSError:
            return 0

    def keep(self, received: Path, digest: str, seconds: int) -> None:
        """Take over a file that was received, of that digest and the time of its server."""
        try:
            received.chmod(0o644)
            os.utime(received, (time.time(), seconds))
            os.replace(received, self.path(digest))
        except OSError as error:
            raise unwritable(received, error) from error
