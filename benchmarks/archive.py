"""Packages with a pending fix, out of the archive's indexes as they are today."""

from __future__ import annotations

import lzma
import re
import subprocess
import urllib.request
from dataclasses import dataclass, field

from benchmarks.measure import JobFailed
from oakum.repository.versions import compare_versions
from support.roots import SUITE, mirror


@dataclass(frozen=True)
class Package:
    """A stanza of an index, as far as it matters here."""

    name: str
    version: str
    source: str
    depends: frozenset[str] = field(repr=False)
    """Names in Depends and Pre-Depends, alternatives too."""


@dataclass(frozen=True)
class Pins:
    """Packages that are raised together, since they come out of one source."""

    old: dict[str, str]
    """Versions of the release suite, by package."""
    new: dict[str, str]
    """Versions of the security suite, by package."""


def suites() -> tuple[str, str]:
    """The lines of sources.list: release and security suite."""
    return (
        f"deb {mirror()} {SUITE} main",
        f"deb {mirror()}-security {SUITE}-security main",
    )


class Archive:
    """The release and the security suite: the newest version of each package, by name."""

    def __init__(self, release: dict[str, Package], security: dict[str, Package]) -> None:
        self.release = release
        self.security = security

    @classmethod
    def today(cls) -> Archive:
        """As the mirror has it."""
        return cls(_index(mirror(), SUITE), _index(f"{mirror()}-security", f"{SUITE}-security"))

    def newest(self, name: str) -> str:
        """The newest version of a package in both suites."""
        return self.security[name].version if self._pends(name) else self.release[name].version

    def pending(self, *preferred: str, without: Pins | None = None) -> Pins:
        """Pins of the first of these packages that has a fix, else of any that has one."""
        taken = without.old if without else {}
        others = sorted(self.security)
        for name in (*preferred, *others):
            if name not in taken and self._pends(name):
                names = self._family(name)
                return Pins(
                    {each: self.release[each].version for each in names},
                    {each: self.security[each].version for each in names},
                )
        raise JobFailed("no package of the release suite has a fix in the security suite today")

    def _pends(self, name: str) -> bool:
        if name not in self.release or name not in self.security:
            return False
        return compare_versions(self.security[name].version, self.release[name].version) > 0

    def _family(self, name: str) -> list[str]:
        """A package and what it depends on of the same source: pinned apart they do not fit."""
        found: list[str] = []
        wanted = [name]
        while wanted:
            package = self.security[wanted.pop(0)]
            if package.name in found or not self._pends(package.name):
                continue
            found.append(package.name)
            wanted += sorted(
                each
                for each in package.depends
                if each in self.security and self.security[each].source == package.source
            )
        return found


def _index(address: str, suite: str) -> dict[str, Package]:
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    url = f"{address}/dists/{suite}/main/binary-{architecture}/Packages.xz"
    with urllib.request.urlopen(url, timeout=120) as answer:
        text = lzma.decompress(answer.read()).decode()
    packages: dict[str, Package] = {}
    for stanza in text.split("\n\n"):
        if not stanza.strip():
            continue
        package = _package(stanza)
        known = packages.get(package.name)
        if known is None or compare_versions(package.version, known.version) > 0:
            packages[package.name] = package
    return packages


def _package(stanza: str) -> Package:
    fields: dict[str, str] = dict(re.findall(r"^([A-Za-z-]+): ?(.*)$", stanza, re.M))
    relations = ",".join(fields.get(name, "") for name in ("Depends", "Pre-Depends"))
    names = (re.split(r"[\s(:]", word.strip())[0] for word in re.split(r"[,|]", relations))
    return Package(
        fields["Package"],
        fields["Version"],
        fields.get("Source", fields["Package"]).split()[0],
        frozenset(filter(None, names)),
    )
