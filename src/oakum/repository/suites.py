"""Bringing one suite up to date: its Release file, checked, and the indexes that it signs.

In the cache: ``releases/`` one record a suite, ``indexes/`` one file an index digest.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.configuration import Configuration
from oakum.repository.index import FORMAT, PackagesIndex, build
from oakum.repository.keys import Trust, verify_clearsigned, verify_detached
from oakum.repository.place import file_digest, replaced, scratch
from oakum.repository.release import (
    Listed,
    Release,
    check_dates,
    names_suite,
    parse_release,
)
from oakum.repository.sources import Source, Target, without_credentials
from oakum.repository.unpack import SUFFIXES, unpacked
from oakum.repository.web import Web

_LARGEST_RELEASE = 32 * 1024 * 1024
_LARGEST_INDEX = 1024 * 1024 * 1024
_building = threading.Lock()


class Record(msgspec.Struct, frozen=True):
    """A Release file as it came, and when it was last asked for."""

    checked: float
    """Seconds since the epoch of the last answer of the server."""
    release: bytes
    """InRelease, or Release when `signature` is not empty."""
    signature: bytes = b""
    """Release.gpg."""
    etag: str = ""
    last_modified: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """An index that a suite has and that was asked for."""

    target: Target
    files: tuple[Listed, ...]
    """The same index in each compression that is offered, the preferred one first."""
    plain: Listed | None
    """The uncompressed index, when the Release file names it."""

    @property
    def digest(self) -> str:
        """What the kept index is named for."""
        return (self.plain or self.files[0]).digest


class Kept(msgspec.Struct, frozen=True):
    """What the cache holds of a suite, when it verifies under the image's keys."""

    record: Record
    release: Release


def kept_release(source: Source, trust: Trust, cache: Path) -> Kept | None:
    """The suite's Release file as the cache has it, verified anew; None when it has none."""
    try:
        raw = _record_path(source, cache).read_bytes()
        record = msgspec.msgpack.decode(raw, type=Record)
        return Kept(record, _verified(record, source, trust))
    except (OSError, msgspec.MsgspecError, RepositoryError):
        return None


def is_young(kept: Kept | None, max_age: float) -> bool:
    """Whether the server was asked within the last `max_age` seconds."""
    return kept is not None and 0 <= time.time() - kept.record.checked <= max_age


def asked_release(
    source: Source, trust: Trust, web: Web, cache: Path, kept: Kept | None
) -> Release:
    """The suite's Release file as the server has it now, verified, and kept in the cache.

    A failure to ask is an error, never an answer from the cache.
    """
    record, release = _asked(source, trust, web, kept)
    with replaced(_record_path(source, cache)) as file:
        file.write(msgspec.msgpack.encode(record))
    return release


def check_release(source: Source, release: Release, configuration: Configuration) -> list[str]:
    """Refuse what apt refuses about dates; notes on what it warns of."""
    notes = check_dates(release, source, configuration, datetime.now(UTC))
    if not names_suite(release, source.suite):
        notes.append(
            f"{source.shown} calls itself {release.get('suite') or '-'} "
            f"({release.get('codename') or '-'}); apt warns of a conflicting distribution"
        )
    return notes


def _record_path(source: Source, cache: Path) -> Path:
    key = f"{without_credentials(source.uri)} {source.suite}"
    return cache / "releases" / hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _verified(record: Record, source: Source, trust: Trust) -> Release:
    what = f"the Release file of {source.shown}"
    if record.signature:
        signed = verify_detached(record.release, record.signature, trust, what)
    else:
        signed = verify_clearsigned(record.release, trust, what)
    return parse_release(signed, what)


def _asked(source: Source, trust: Trust, web: Web, kept: Kept | None) -> tuple[Record, Release]:
    fresh = _fetched(source, web, kept.record if kept else None)
    if fresh is None:
        if kept is None:
            raise RepositoryError(
                f"{source.shown} answered that nothing changed, to a question that was not asked",
                "a proxy on the way is broken; use another one",
            )
        return msgspec.structs.replace(kept.record, checked=time.time()), kept.release
    release = _verified(fresh, source, trust)
    if kept is not None and release.date < kept.release.date:
        raise RepositoryError(
            f"{source.shown} offers a Release file of {release.get('date')}, older than the one "
            f"of {kept.release.get('date')} that it had before",
            "the mirror went back or an old state is replayed: use another mirror, or clear "
            "oakum's cache if the mirror was set back on purpose",
        )
    return fresh, release


def _fetched(source: Source, web: Web, record: Record | None) -> Record | None:
    """What the server has now; None when that is what the record holds."""
    clear = record is not None and not record.signature
    answer = web.get(source.base + "InRelease", _LARGEST_RELEASE, _condition(record, clear))
    if answer.status == 304:
        return None
    if answer.status == 200:
        return Record(time.time(), answer.body, b"", answer.etag, answer.last_modified)
    _not_refused(source, "InRelease", answer.status)
    detached = record is not None and not clear
    answer = web.get(source.base + "Release", _LARGEST_RELEASE, _condition(record, detached))
    if answer.status == 304:
        return None
    if answer.status != 200:
        _not_refused(source, "Release", answer.status)
        raise RepositoryError(
            f"{source.shown} has no Release file (HTTP {answer.status})",
            "the suite is not there: correct the image's sources, or use a mirror that has it",
        )
    signature = web.get(source.base + "Release.gpg", _LARGEST_RELEASE)
    if signature.status != 200 or not signature.body:
        raise RepositoryError(
            f"{source.shown} is not signed: it has neither InRelease nor Release.gpg",
            "oakum uses signed repositories only, also where the image says trusted=yes; sign it "
            "and name its key with Signed-By or --keyring",
        )
    return Record(time.time(), answer.body, signature.body, answer.etag, answer.last_modified)


def _condition(record: Record | None, same: bool) -> dict[str, str]:
    if record is None or not same:
        return {}
    headers = {"If-None-Match": record.etag, "If-Modified-Since": record.last_modified}
    return {name: value for name, value in headers.items() if value}


def _not_refused(source: Source, name: str, status: int) -> None:
    if status in (401, 403, 407):
        raise RepositoryError(
            f"{source.shown} refuses to give {name} (HTTP {status})",
            "check the login in the image's etc/apt/auth.conf.d, and the proxy",
        )


def wanted_indexes(source: Source, release: Release) -> tuple[list[Wanted], list[str]]:
    """The indexes of the suite that were asked for, and notes on those that it does not have.

    `RepositoryError` when the Release file promises an index and does not name it.
    """
    wanted, notes = [], []
    for target in _targets(source, release):
        note = _lacking(source, release, target)
        if note:
            notes.append(note)
            continue
        name = _index_name(source, target)
        plain = release.listed(name)
        files = [f for s in SUFFIXES if (f := release.listed(name + s)) is not None]
        if files:
            wanted.append(Wanted(target, tuple(files), plain))
        elif target.architecture != "all" or target in source.targets:
            raise RepositoryError(
                f"the Release file of {source.shown} does not name {name}",
                "correct the suite, component or architecture in the image's sources",
            )
    return wanted, list(dict.fromkeys(notes))


def _index_name(source: Source, target: Target) -> str:
    if source.flat:
        return "Packages"
    return f"{target.component}/binary-{target.architecture}/Packages"


def _targets(source: Source, release: Release) -> list[Target]:
    """What is asked for, with the index of architecture ``all`` where the suite has it apart."""
    if source.flat:
        return [Target("", source.targets[0].architecture)] if source.targets else []
    targets = list(source.targets)
    apart = "Packages" not in release.get("no-support-for-architecture-all").split()
    if "all" in release.get("architectures").split() and apart:
        targets += [Target(component, "all") for component in source.components]
    return list(dict.fromkeys(targets))


def _lacking(source: Source, release: Release, target: Target) -> str:
    if source.flat:
        return ""
    components = release.get("components").split()
    known = {*components, *(c.rpartition("/")[2] for c in components)}
    if components and target.component not in known:
        return f"{source.shown} has no component {target.component}"
    architectures = release.get("architectures").split()
    if architectures and target.architecture not in architectures:
        return f"{source.shown} does not support architecture {target.architecture}"
    return ""


def index_path(cache: Path, wanted: Wanted) -> Path:
    """Where the kept form of an index stands."""
    return cache / "indexes" / f"{wanted.digest}.{FORMAT}"


def open_kept(path: Path) -> PackagesIndex | None:
    """The kept index; None when there is none or it is damaged."""
    try:
        return PackagesIndex(path)
    except (OSError, ValueError):
        return None


def fetch_index(
    source: Source, release: Release, wanted: Wanted, web: Web, cache: Path, by_hash: bool
) -> PackagesIndex:
    """Download, check and keep an index.  Nothing is unpacked before its digest was checked."""
    what = f"{source.base}{wanted.files[0].path}"
    for listed in wanted.files:
        for url in _urls(source, listed, by_hash):
            if _brought(url, listed, wanted, web, cache):
                index = open_kept(index_path(cache, wanted))
                if index is not None:
                    return index
    raise RepositoryError(
        f"{without_credentials(what)} is named by the signed Release file and is not there",
        "the mirror is being updated or incomplete; try again, or use another mirror",
    )


def _urls(source: Source, listed: Listed, by_hash: bool) -> Iterator[str]:
    if by_hash:
        directory = listed.path.rpartition("/")[0]
        prefix = f"{directory}/" if directory else ""
        yield f"{source.base}{prefix}by-hash/{listed.algorithm.upper()}/{listed.digest}"
    yield source.base + listed.path


def _brought(url: str, listed: Listed, wanted: Wanted, web: Web, cache: Path) -> bool:
    """Whether the file was there; `RepositoryError` when it is not the one that was signed."""
    shown = without_credentials(url)
    if listed.size > _LARGEST_INDEX:
        raise RepositoryError(
            f"{shown} would be {listed.size} bytes, more than oakum reads",
            "leave this component out of the image's sources",
        )
    with scratch(cache / "indexes") as file:
        if web.save(url, file, listed.size, f"index {shown}") != 200:
            return False
        file.seek(0)
        if file_digest(file, listed.algorithm) != listed.digest:
            raise _mismatch(shown)
        file.seek(0)
        limit = wanted.plain.size if wanted.plain else _LARGEST_INDEX
        chunks = unpacked(file, _suffix(listed.path), limit, shown)
        if wanted.plain and wanted.plain is not listed:
            chunks = _checked(chunks, wanted.plain, shown)
        with _building:
            build(chunks, index_path(cache, wanted), shown)
    return True


def _suffix(path: str) -> str:
    return next((s for s in SUFFIXES if s and path.endswith(s)), "")


def _mismatch(shown: str) -> RepositoryError:
    return RepositoryError(
        f"{shown} does not have the digest that the signed Release file gives",
        "the mirror is out of step or something on the way changed the file; try again, or use "
        "another mirror",
    )


def _checked(chunks: Iterator[bytes], plain: Listed, shown: str) -> Iterator[bytes]:
    hasher, size = hashlib.new(plain.algorithm), 0
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
        yield chunk
    if size != plain.size or hasher.hexdigest() != plain.digest:
        raise _mismatch(f"{shown}, unpacked,")
