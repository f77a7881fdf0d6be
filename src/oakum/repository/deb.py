"""Binary packages (deb(5)), as far as their changelog goes."""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from oakum.errors import RepositoryError
from oakum.repository.changelog import LONGEST, is_changelog
from oakum.repository.unpack import unpacked

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MOST = 4 * 1024 * 1024 * 1024
_CHANGELOG = re.compile(r"(?:\./)?usr/share/doc/[^/]+/(changelog\.Debian|changelog)(\.gz)?")


def changelog_of(path: Path) -> str | None:
    """The Debian changelog that a package ships; None when it ships none.

    Reads no further than to the changelog.  ``changelog.gz`` counts where it is in Debian's form,
    as in native packages.  `RepositoryError` for a file that is no package.
    """
    try:
        with path.open("rb") as file:
            suffix, size = _find_data(file, path.name)
            data = io.BufferedReader(_Member(file, size))
            return _search(_Stream(unpacked(data, suffix, _MOST, path.name)))
    except (OSError, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise _damaged(path.name, str(error)) from error


def _damaged(name: str, how: str) -> RepositoryError:
    return RepositoryError(
        f"{name} is not a valid package: {how}", "the repository is badly made; tell its owner"
    )


def _find_data(file: IO[bytes], name: str) -> tuple[str, int]:
    """Move to the content of ``data.tar``; its suffix, such as ``.xz``, and its size in bytes."""
    if file.read(8) != b"!<arch>\n":
        raise _damaged(name, "no ar archive")
    while True:
        header = file.read(60)
        if len(header) < 60 or not header[48:58].strip().isdigit():
            raise _damaged(name, "no data.tar")
        member = header[:16].decode("latin-1").strip().rstrip("/")
        size = int(header[48:58])
        if member.startswith("data.tar"):
            return member.removeprefix("data.tar"), size
        file.seek(size + size % 2, 1)


class _Member(io.RawIOBase):
    """The next bytes of a file, as a file that ends with them."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


class _Stream:
    """Pieces as a file that can only be read on."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, have = [], 0
        while have < size:
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            part, self._rest = self._rest[: size - have], self._rest[size - have :]
            parts.append(part)
            have += len(part)
        return b"".join(parts)


def _search(stream: _Stream) -> str | None:
    with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            match = _CHANGELOG.fullmatch(member.name)
            if match is None or not member.isreg() or member.size > LONGEST:
                continue
            opened = archive.extractfile(member)
            raw = opened.read() if opened else b""
            text = _text(raw, gzipped=match[2] is not None)
            if match[1] == "changelog.Debian" or is_changelog(text):
                return text
    return None


def _text(raw: bytes, gzipped: bool) -> str:
    if gzipped:
        try:
            raw = zlib.decompressobj(31).decompress(raw, LONGEST)
        except zlib.error as error:
            raise ValueError(f"a damaged changelog: {error}") from error
    return raw.decode("utf-8", "replace")
