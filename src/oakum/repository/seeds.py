"""Lists for apt to begin with: what `apt-get update` would download and oakum has already.

apt takes the lists that it finds when the archive says that nothing changed, and downloads what
did change.  It does not check kept indexes against a Release file that is the same as before, so
nothing is offered here that was not checked: the Release file by its signature under the image's
own keys, the indexes by the digests in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.archive_files import ArchiveFiles, Served, seconds_of
from oakum.repository.configuration import read_configuration
from oakum.repository.index import FORMAT, PackagesIndex
from oakum.repository.interface import ImageFiles
from oakum.repository.keys import Keys, verify_clearsigned
from oakum.repository.place import file_digest, replaced
from oakum.repository.release import Release, parse_release
from oakum.repository.sources import Source, read_sources
from oakum.repository.unpack import SUFFIXES, unpacked

_QUOTED = '\\|{}[]<>"^~_=!@#$%^&*'
_LARGEST_RELEASE = 32 << 20
_LARGEST_LIST = 1 << 30
_INDEX = re.compile(r"/by-hash/SHA256/[0-9a-f]{64}$|/(?:Packages|Translation-[^/]*)\.[a-z0-9]+$")
_MAGICS = (
    (b"\xfd7zXZ\0", ".xz"),
    (b"\x1f\x8b", ".gz"),
    (b"BZh", ".bz2"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
)


class Seeds(msgspec.Struct, frozen=True):
    """Lists that a step may begin with."""

    made_of: Mapping[str, Mapping[str, str]] = {}
    """By the URL of a Release file, what its lists were made of: URL → SHA-256."""
    indexes: tuple[tuple[str, str], ...] = ()
    """(URI of the archive, SHA-256 of the uncompressed index) of each list."""

    def plus(self, other: Seeds) -> Seeds:
        """Both."""
        return Seeds({**self.made_of, **other.made_of}, (*self.indexes, *other.indexes))


def seed_lists(
    files: ImageFiles,
    architecture: str,
    archive: ArchiveFiles,
    known: Callable[[str], Served | None],
    into: Path,
) -> Seeds:
    """Put the lists of the image's sources that are kept into the directory `into`.

    Their names are those of apt's own ``/var/lib/apt/lists``.  `known` says what a URL gave.
    """
    try:
        configuration = read_configuration(files)
        if configuration.flag("Acquire::GzipIndexes", False):
            return Seeds()
        sources, _ = read_sources(files, architecture, (architecture,), ())
        keys = Keys(files, ())
        found = Seeds()
        for source in sources:
            if source.uri.startswith("http://"):
                found = found.plus(_of_source(source, keys, archive, known, into))
        return found
    except RepositoryError:
        return Seeds()


def _of_source(
    source: Source,
    keys: Keys,
    archive: ArchiveFiles,
    known: Callable[[str], Served | None],
    into: Path,
) -> Seeds:
    url = f"{source.base}InRelease"
    served = known(url)
    file = archive.open(served.digest) if served and not served.private else None
    if served is None or file is None:
        return Seeds()
    with file:
        raw = file.read(_LARGEST_RELEASE)
    trust = keys.trust(source.option("signed-by"), source.file)
    try:
        release = parse_release(verify_clearsigned(raw, trust, url), url)
    except RepositoryError:
        return Seeds()
    made_of, indexes = {}, []
    for path, plain, digest in _kept_indexes(release, archive):
        place = source.base + path
        directory = place.rpartition("/")[0]
        by_hash = f"{directory}/by-hash/SHA256/{digest}"
        for candidate in (by_hash, place):
            index = known(candidate)
            if index is None or index.private or index.digest != digest:
                continue
            name = list_name(source.base + path.rpartition(".")[0])
            if _placed(_list_path(archive, plain, index), plain, into / name, index):
                made_of[candidate] = digest
                indexes.append((source.uri, plain))
                break
    if not made_of:
        return Seeds()
    here = into / list_name(url)
    here.write_bytes(raw)
    here.chmod(0o644)
    _date(here, served)
    return Seeds({url: made_of}, tuple(indexes))


def _kept_indexes(release: Release, archive: ArchiveFiles) -> Iterator[tuple[str, str, str]]:
    """Compressed indexes that are kept: path, SHA-256 of the uncompressed one, SHA-256."""
    start, end = release.sections.get("sha256", (0, 0))
    kept = archive.digests()
    digests = {}
    for line in release.text[start:end].split("\n"):
        words = line.split()
        if len(words) == 3:
            digests[words[2]] = words[0].lower()
    for path, digest in digests.items():
        stem, dot, suffix = path.rpartition(".")
        if digest in kept and f".{suffix}" in SUFFIXES and dot and stem in digests:
            yield path, digests[stem], digest


def _date(path: Path, served: Served) -> None:
    """The time that apt gives a list: its server's, else that of the download."""
    seconds = seconds_of(served.last_modified) or int(time.time())
    os.utime(path, (seconds, seconds))


def _placed(kept: Path, digest: str, place: Path, served: Served) -> bool:
    """Whether the list of that SHA-256 is kept whole and was put at `place`."""
    try:
        with kept.open("rb") as file:
            if file_digest(file, "sha256") != digest:
                return False
        _date(kept, served)
        os.link(kept, place)
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _list_path(archive: ArchiveFiles, plain: str, served: Served) -> Path:
    return archive.lists / f"{plain}-{seconds_of(served.last_modified)}"


def is_index(url: str) -> bool:
    """Whether a URL is that of a compressed index, from which a list can be made."""
    return _INDEX.search(url) is not None


def keep_list(archive: ArchiveFiles, served: Served) -> None:
    """Unpack an index that was served, for later `seed_lists`; what is no index is left alone."""
    file = archive.open(served.digest)
    if file is None:
        return
    with file:
        suffix = _suffix(file)
        if not suffix:
            return
        hasher = hashlib.sha256()
        part = archive.lists / f".{served.digest}-{os.getpid()}"
        try:
            with replaced(part, durable=False) as out:
                for piece in unpacked(file, suffix, _LARGEST_LIST, "an index"):
                    hasher.update(piece)
                    out.write(piece)
            part.chmod(0o644)
            _date(part, served)
            part.rename(_list_path(archive, hasher.hexdigest(), served))
        except (RepositoryError, OSError):
            part.unlink(missing_ok=True)


def _suffix(file: IO[bytes]) -> str:
    head = file.read(6)
    file.seek(0)
    return next((suffix for magic, suffix in _MAGICS if head.startswith(magic)), "")


class SignedFiles:
    """The digests of package files, as signed indexes give them."""

    def __init__(self, seeds: Seeds, kept: Path) -> None:
        """`kept` is the directory of `repository`'s own indexes; those that are there are used."""
        self._indexes: list[tuple[str, PackagesIndex]] = []
        for uri, digest in seeds.indexes:
            with contextlib.suppress(OSError, ValueError):
                index = PackagesIndex(kept / f"{digest}.{FORMAT}")
                self._indexes.append((uri, index))

    def digest(self, url: str) -> str:
        """The SHA-256 of the package file at a URL; empty when no index tells."""
        for uri, index in self._indexes:
            if not url.startswith(uri):
                continue
            path = unquote(url.removeprefix(uri))
            for row in index.rows(path.rpartition("/")[2].partition("_")[0]):
                if row.filename.removeprefix("./") == path:
                    return row.sha256
        return ""


def list_name(url: str) -> str:
    """What apt calls the file of a URL in its lists directory (URItoFileName of apt-pkg)."""
    rest = url.partition("://")[2].rpartition("@")[2]
    return "".join(
        f"%{ord(c):02x}" if c in _QUOTED or not " " < c < "\x7f" else c for c in rest
    ).replace("/", "_")
