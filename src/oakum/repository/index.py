"""A Packages index, kept so that a package is found without decoding the whole.

The kept file holds one line a package version, sorted, after a heading that tells its length, so
that a damaged file is noticed and made again.  It is named for the digest of the index it was
made from, so it never goes out of date.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.place import replaced

FORMAT = "oakum-packages-1"
_FIELDS = re.compile(
    rb"\n(Package|Version|Architecture|Source|Filename|Size|SHA256|Phased-Update-Percentage)"
    rb":[ \t]*([^\n]*)"
)
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9+.~_-]*")
_HEADING = 64


class Row(msgspec.Struct, frozen=True):
    """One version of a binary package, as an index lists it."""

    package: str
    version: str
    architecture: str
    source: str
    source_version: str
    filename: str
    size: int
    sha256: str
    phased: int | None


def build(chunks: Iterable[bytes], path: Path, what: str) -> None:
    """Write the kept form of an index, read in pieces of any size.

    `RepositoryError` for a stanza without a name, a version or a file; such an index is damaged.
    """
    lines = sorted(line for piece in _pieces(chunks) for line in _lines(piece, what))
    with replaced(path) as file:
        file.write(_heading(sum(map(len, lines))))
        file.writelines(lines)


def _heading(length: int) -> bytes:
    return f"{FORMAT} {length}".ljust(_HEADING - 1).encode() + b"\n"


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole stanzas, many at a time."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = rest.rfind(b"\n\n")
        if end >= 0:
            yield rest[:end]
            rest = rest[end + 2 :]
    yield rest


def _lines(piece: bytes, what: str) -> Iterator[bytes]:
    for stanza in piece.split(b"\n\n"):
        fields = dict(_FIELDS.findall(b"\n" + stanza))
        if fields:
            yield _line(fields, what)
        elif stanza.strip():
            raise _damaged(what, "a stanza without Package")


def _damaged(what: str, how: str) -> RepositoryError:
    return RepositoryError(
        f"{what} is not a valid Packages index: {how}",
        "the repository is badly made; tell its owner",
    )


def _line(fields: dict[bytes, bytes], what: str) -> bytes:
    get = fields.get
    package, version = get(b"Package", b"").strip(), get(b"Version", b"").strip()
    filename, size = get(b"Filename", b"").strip(), get(b"Size", b"").strip()
    if not _NAME.fullmatch(package):
        raise _damaged(what, f"the package name {package[:80]!r}")
    if not version or not filename or not size.isdigit() or len(size) > 15:
        raise _damaged(what, f"{package.decode()} lacks a version, a file or a size")
    source, source_version = package, version
    if b"Source" in fields:
        source, _, rest = fields[b"Source"].strip().partition(b" ")
        source_version = rest.strip().strip(b"()") or version
    row = (
        package,
        version,
        get(b"Architecture", b"").strip(),
        source,
        source_version,
        filename,
        size,
        get(b"SHA256", b"").strip().lower(),
        get(b"Phased-Update-Percentage", b"").strip(),
    )
    line = b"\t".join(row)
    if line.count(b"\t") != len(row) - 1:
        line = b"\t".join(value.replace(b"\t", b" ") for value in row)
    return line + b"\n"


def _row(line: bytes) -> Row:
    values = line.decode("utf-8", "replace").rstrip("\n").split("\t")
    phased = values[8]
    return Row(
        package=values[0],
        version=values[1],
        architecture=values[2],
        source=values[3],
        source_version=values[4],
        filename=values[5],
        size=int(values[6]),
        sha256=values[7] if re.fullmatch(r"[0-9a-f]{64}", values[7]) else "",
        phased=int(phased) if re.fullmatch(r"[0-9]{1,2}", phased) else None,
    )


class PackagesIndex:
    """A kept index, mapped into memory; finding a package looks at some twenty lines."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(_HEADING) != _heading(size - _HEADING):
                raise ValueError(f"{path} is damaged")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def rows(self, package: str) -> list[Row]:
        """All versions of a binary package, in any architecture."""
        prefix = package.encode("utf-8", "replace") + b"\t"
        if not _NAME.fullmatch(prefix[:-1]):
            return []
        at = self._first(prefix)
        rows = []
        while at < len(self._map):
            end = self._map.find(b"\n", at) + 1
            if not self._map[at:end].startswith(prefix):
                break
            rows.append(_row(self._map[at:end]))
            at = end
        return rows

    def _first(self, prefix: bytes) -> int:
        """Offset of the first line that is not smaller than `prefix`."""
        low, high = _HEADING, len(self._map)
        while low < high:
            start = self._map.rfind(b"\n", _HEADING - 1, (low + high) // 2) + 1
            if self._map[start : start + len(prefix)] < prefix:
                low = self._map.find(b"\n", start) + 1
            else:
                high = start
        return low

    def rows_of(self, source: str, source_version: str) -> list[Row]:
        """All binary packages of one version of a source package."""
        wanted = f"\t{source}\t{source_version}\t".encode("utf-8", "replace")
        rows = []
        at = self._map.find(wanted, _HEADING)
        while at >= 0:
            start = self._map.rfind(b"\n", _HEADING - 1, at) + 1
            end = self._map.find(b"\n", at) + 1
            row = _row(self._map[start:end])
            if (row.source, row.source_version) == (source, source_version):
                rows.append(row)
            at = self._map.find(wanted, end)
        return rows

    def sources(self, names: Iterable[str]) -> dict[str, set[str]]:
        """For each of these source packages, the binary packages that any version of it makes."""
        found: dict[str, set[str]] = {}
        for name in names:
            wanted = f"\t{name}\t".encode("utf-8", "replace")
            at = self._map.find(wanted, _HEADING)
            while at >= 0:
                start = self._map.rfind(b"\n", _HEADING - 1, at) + 1
                end = self._map.find(b"\n", at) + 1
                row = _row(self._map[start:end])
                if row.source == name:
                    found.setdefault(name, set()).add(row.package)
                at = self._map.find(wanted, end)
        return found
