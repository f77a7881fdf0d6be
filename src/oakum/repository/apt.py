"""apt's repositories as an image's own files configure them: what `apt-get update` sees there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from oakum.progress import Progress, silent
from oakum.repository.configuration import Configuration, read_configuration
from oakum.repository.index import PackagesIndex, Row
from oakum.repository.interface import Candidate, ImageFiles, Installed, SourceStatus
from oakum.repository.keys import Keys
from oakum.repository.packages import changelog, download
from oakum.repository.policy import Offer, Policy, check_default_release
from oakum.repository.preferences import Shelf, read_pins
from oakum.repository.release import Release
from oakum.repository.security import missing_security
from oakum.repository.sources import Source, Target, read_sources, without_credentials
from oakum.repository.suites import (
    Wanted,
    asked_release,
    check_release,
    fetch_index,
    index_path,
    is_young,
    kept_release,
    open_kept,
    wanted_indexes,
)
from oakum.repository.versions import version_key
from oakum.repository.web import Web, read_logins

_THREADS = 8

T = TypeVar("T")
R = TypeVar("R")


class Stock(msgspec.Struct, frozen=True):
    """One index of one suite, ready to be asked."""

    source: Source
    release: Release
    target: Target
    index: PackagesIndex


class _Asked(msgspec.Struct, frozen=True):
    """A suite whose Release file is known."""

    source: Source
    release: Release
    wanted: tuple[Wanted, ...]


def open_apt(
    files: ImageFiles,
    architecture: str,
    cache: Path,
    *,
    max_age: float = 0.0,
    with_security: bool = False,
    more_sources: Sequence[str] = (),
    keyrings: Sequence[Path] = (),
    ca_certificates: Path | None = None,
    offline: bool = False,
    progress: Progress = silent,
    env: Mapping[str, str] = os.environ,
) -> AptRepository:
    """The repositories of an image, brought up to date and verified.

    `architecture` is the image's own, in dpkg's words.  What the cache holds is used without
    asking when it was checked within `max_age` seconds.  `keyrings` are trusted beside the
    image's own keys, `more_sources` are entries (one-line format) beside the image's own.
    `with_security` adds the distribution's security suite where the image's
    sources lack it.  `RepositoryError` when any enabled source cannot be read or trusted.
    """
    configuration = read_configuration(files)
    architectures = _architectures(files, configuration, architecture)
    sources, remarks = read_sources(files, architecture, architectures, more_sources)
    notes = list(remarks)
    suite, derived = missing_security(sources, files)
    if suite:
        notes.append(_security_note(suite, derived, with_security))
    if derived is not None and with_security:
        sources = (*sources, derived)
    keys = Keys(files, keyrings)
    trusts = [keys.trust(source.option("signed-by"), source.file) for source in sources]
    notes += keys.notes
    web = Web(configuration, read_logins(files), env, ca_certificates, progress, offline)

    kept = [kept_release(source, trust, cache) for source, trust in zip(sources, trusts)]

    def release_of(at: int) -> Release:
        found = kept[at]
        if found is not None and (offline or is_young(found, max_age)):
            return found.release
        return asked_release(sources[at], trusts[at], web, cache, found)

    old = [at for at, found in enumerate(kept) if not (offline or is_young(found, max_age))]
    fresh = dict(zip(old, _each(release_of, old)))
    asked = []
    for at, source in enumerate(sources):
        release = fresh.get(at) or release_of(at)
        wanted, lacking = wanted_indexes(source, release)
        notes += check_release(source, release, configuration) + lacking
        asked.append(_Asked(source, release, tuple(wanted)))
    stocks = _stocks(asked, web, configuration, cache)
    pins = read_pins(files, configuration)
    shelves = [_shelf(stock) for stock in stocks]
    check_default_release(pins, shelves)
    return AptRepository(
        stocks=stocks,
        policy=Policy(pins, shelves, architecture),
        sources=tuple(_status(a.source, a.release) for a in asked),
        notes=tuple(dict.fromkeys(notes)),
        architecture=architecture,
        state=_state(asked),
        web=web,
        cache=cache,
    )


def _each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` done for each item, side by side; the results in the items' order."""
    if len(items) < 2:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_THREADS, len(items))) as pool:
        return list(pool.map(work, items))


def _architectures(files: ImageFiles, configuration: Configuration, native: str) -> tuple[str, ...]:
    configured = configuration.items("APT::Architectures")
    foreign = (files.read("var/lib/dpkg/arch") or b"").decode("utf-8", "replace").split()
    return tuple(dict.fromkeys([native, *(configured or foreign)]))


def _security_note(suite: str, derived: Source | None, used: bool) -> str:
    lacking = f"the image's sources lack the distribution's security suite {suite}"
    if derived is None:
        return f"{lacking}, and its mirror does not tell where that is"
    if used:
        return f"{lacking}; it was read from {without_credentials(derived.uri)}"
    return f"{lacking}; it would be at {without_credentials(derived.uri)}"


def _stocks(
    asked: Sequence[_Asked], web: Web, configuration: Configuration, cache: Path
) -> list[Stock]:
    places = [(a, wanted) for a in asked for wanted in a.wanted]
    kept = [open_kept(index_path(cache, wanted)) for _, wanted in places]
    missing = [at for at, index in enumerate(kept) if index is None]

    def bring(at: int) -> PackagesIndex:
        a, wanted = places[at]
        by_hash = _by_hash(a.source, a.release, configuration)
        return fetch_index(a.source, a.release, wanted, web, cache, by_hash)

    for at, index in zip(missing, _each(bring, missing)):
        kept[at] = index
    return [
        Stock(a.source, a.release, wanted.target, index)
        for (a, wanted), index in zip(places, kept)
        if index is not None
    ]


def _by_hash(source: Source, release: Release, configuration: Configuration) -> bool:
    asked = source.option("by-hash") or configuration.text("Acquire::By-Hash", "yes")
    if asked.lower() == "force":
        return True
    offered = release.get("acquire-by-hash").lower() in ("yes", "true", "1")
    return offered and asked.lower() not in ("no", "false", "0", "off")


def _shelf(stock: Stock) -> Shelf:
    get = stock.release.get
    ordinary = 500
    if get("notautomatic").lower() in ("yes", "true", "1"):
        ordinary = 100 if get("butautomaticupgrades").lower() in ("yes", "true", "1") else 1
    return Shelf(
        archive=get("suite"),
        codename=get("codename"),
        version=get("version"),
        origin=get("origin"),
        label=get("label"),
        component=stock.target.component,
        architecture=stock.target.architecture,
        site=urlsplit(stock.source.uri).hostname or "",
        ordinary=ordinary,
    )


def _status(source: Source, release: Release) -> SourceStatus:
    return SourceStatus(
        uri=without_credentials(source.uri),
        suite=source.suite,
        components=source.components,
        release_suite=release.get("suite"),
        codename=release.get("codename"),
        label=release.get("label"),
        origin=release.get("origin"),
        date=release.get("date"),
        security=release.security,
        file=source.file,
    )


class AptRepository:
    """All that an image's apt sources offer, under the image's own pins."""

    sources: tuple[SourceStatus, ...]
    """Each enabled suite."""
    notes: tuple[str, ...]
    """What a person should know about the sources."""
    state: str
    """Digest over all Release files that were used; it changes when the archives change."""

    def __init__(
        self,
        *,
        stocks: Sequence[Stock],
        policy: Policy,
        sources: tuple[SourceStatus, ...],
        notes: tuple[str, ...],
        architecture: str,
        state: str,
        web: Web,
        cache: Path,
    ) -> None:
        self.sources = sources
        self.notes = notes
        self._stocks = stocks
        self._policy = policy
        self._native = architecture
        self._web = web
        self._cache = cache
        self.state = state

    @property
    def architecture(self) -> str:
        """The image's own architecture, in dpkg's words."""
        return self._native

    def candidate(self, installed: Installed) -> Candidate | None:
        """What apt would change an installed package to; None when that is the same version.

        A downgrade is named too, where the image's pins ask for one (priority 1000 and more).  A
        hold does not matter here.
        """
        found = self.policy(installed.package, installed.architecture, installed.version)
        if found is None or version_key(found.version) == version_key(installed.version):
            return None
        return found

    def policy(
        self, package: str, architecture: str, installed: str | None = None
    ) -> Candidate | None:
        """The `Candidate` of `apt-cache policy`; None when no repository offers that version."""
        architecture = self._native if architecture in ("all", "") else architecture
        rows = self._rows(package, architecture)
        offers = _offers(rows, installed)
        chosen = self._policy.choose(offers, package, architecture, installed)
        if chosen is None or not chosen[0].shelves:
            return None
        offer, priority = chosen
        places = [pair for pair in rows if pair[1].version == offer.version]
        return self._candidate(places, priority)

    def versions(self, package: str, architecture: str) -> tuple[Candidate, ...]:
        """All versions that any repository offers, newest first, whatever their priority."""
        architecture = self._native if architecture in ("all", "") else architecture
        rows = self._rows(package, architecture)
        found = []
        for offer in _offers(rows, None):
            places = [pair for pair in rows if pair[1].version == offer.version]
            priority = self._policy.priority(offer, package, architecture)
            found.append(self._candidate(places, priority))
        return tuple(found)

    def upgrades(self, installed: Iterable[Installed]) -> list[tuple[Installed, Candidate]]:
        """The installed packages that apt would change, each with its candidate."""
        pairs = ((package, self.candidate(package)) for package in installed)
        return [(package, candidate) for package, candidate in pairs if candidate is not None]

    def binaries_of(self, source: str, source_version: str) -> tuple[Candidate, ...]:
        """The binary packages of one version of a source package, by name."""
        places: dict[tuple[str, str, str], list[tuple[int, Row]]] = {}
        for at, stock in enumerate(self._stocks):
            for row in stock.index.rows_of(source, source_version):
                key = (row.package, row.architecture, row.version)
                places.setdefault(key, []).append((at, row))
        found = []
        for _, pairs in sorted(places.items()):
            row = pairs[0][1]
            architecture = self._native if row.architecture == "all" else row.architecture
            offer = _offers(pairs, None)[0]
            priority = self._policy.priority(offer, row.package, architecture)
            found.append(self._candidate(pairs, priority))
        return tuple(found)

    def download(self, candidate: Candidate) -> Path:
        """The package file in the cache, of the signed size and digest."""
        return download(candidate, self._url(candidate), self._web, self._cache)

    def changelog(self, candidate: Candidate) -> str | None:
        """The Debian changelog of the candidate's source version; None when no package has one."""
        siblings = self.binaries_of(candidate.source, candidate.source_version) or (candidate,)
        pairs = [(c, self._url(c)) for c in siblings if c.sha256]
        return changelog(pairs, self._web, self._cache)

    def close(self) -> None:
        """Let go of connections."""
        self._web.close()

    def _rows(self, package: str, architecture: str) -> list[tuple[int, Row]]:
        """The package's versions with the position of their index, in the order of the sources."""
        names = {architecture, "all"} if architecture == self._native else {architecture}
        return [
            (at, row)
            for at, stock in enumerate(self._stocks)
            for row in stock.index.rows(package)
            if row.architecture in names
        ]

    def _candidate(self, places: Sequence[tuple[int, Row]], priority: int) -> Candidate:
        at, row = places[0]
        stock = self._stocks[at]
        release = stock.release
        releases = [self._stocks[i].release for i, r in places if r.sha256 == row.sha256]
        shown = f"{without_credentials(stock.source.uri)} {stock.source.suite}"
        return Candidate(
            package=row.package,
            version=row.version,
            architecture=row.architecture,
            source=row.source,
            source_version=row.source_version,
            repository=f"{shown}/{stock.target.component}" if stock.target.component else shown,
            suite=release.get("suite"),
            codename=release.get("codename"),
            origin=release.get("origin"),
            label=release.get("label"),
            component=stock.target.component,
            security=any(r.security for r in releases),
            updates=any(r.updates for r in releases),
            url=without_credentials(stock.source.uri) + _quoted(row.filename),
            size=row.size,
            sha256=row.sha256,
            priority=priority,
            phased=row.phased,
        )

    def _url(self, candidate: Candidate) -> str:
        """The candidate's URL with the credentials of its source, if it has any."""
        for stock in self._stocks:
            shown = without_credentials(stock.source.uri)
            if candidate.url.startswith(shown):
                return stock.source.uri + candidate.url.removeprefix(shown)
        return candidate.url


def _quoted(filename: str) -> str:
    return quote(filename.removeprefix("./"), safe="/~+:@!$&'()*,;=-._")


def _offers(rows: Sequence[tuple[int, Row]], installed: str | None) -> list[Offer]:
    """One offer a version, newest first."""
    versions: dict[str, list[tuple[int, Row]]] = {}
    for pair in rows:
        versions.setdefault(pair[1].version, []).append(pair)
    offers = [
        Offer(
            version=version,
            source=pairs[0][1].source,
            source_version=pairs[0][1].source_version,
            shelves=tuple(at for at, _ in pairs),
            installed=version == installed,
        )
        for version, pairs in versions.items()
    ]
    if installed is not None and installed not in versions:
        offers.append(Offer(installed, "", "", (), installed=True))
    return sorted(offers, key=lambda offer: version_key(offer.version), reverse=True)


def _state(asked: Sequence[_Asked]) -> str:
    texts = {f"{a.source.shown}\n{a.release.text}" for a in asked}
    hasher = hashlib.sha256()
    for text in sorted(texts):
        hasher.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
    return f"sha256:{hasher.hexdigest()}"
