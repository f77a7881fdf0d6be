"""What the user has decided not to fix: ``.oakumignore`` files and ``--ignore``.

One item a line (a file) or a text (an option)::

    CVE-2023-4911                        # an advisory, in every package
    linux-libc-dev                       # a package, whatever the advisory
    openssl@CVE-2024-2511 until 2027-01-31  # one in the other, until the end of that day
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

import msgspec

from oakum.errors import UsageError
from oakum.fixes.reports.names import is_advisory, is_package, plain

_FEED = re.compile(
    r"(?:(?i:CVE|GHSA|DSA|DLA)|USN|TEMP|RHSA|RHBA|ELSA|ALAS2?|GO|PYSEC|RUSTSEC|MAL)-.*"
)
"""Feeds in capitals only where a package could have the name (Debian has a go-md2man)."""
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_GHSA = re.compile(r"GHSA(?:-[0-9a-z]{4}){3}", re.IGNORECASE)
_DSA = re.compile(r"DSA-[0-9]{1,6}(?:-[0-9]{1,3})?")
_UNTIL = re.compile(r"(?P<item>\S+)(?:\s+until\s+(?P<day>\S+))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_FORMS = (
    "write CVE-2024-2511, GHSA-…, DSA-…, a package's name, or package@CVE-2024-2511, "
    "each with ' until YYYY-MM-DD' if it shall end"
)


class Rule(msgspec.Struct, frozen=True):
    """One item of what is ignored."""

    package: str | None
    """Only in this package; None: in every."""
    advisory: str | None
    """Only this advisory, in its canonical case; None: every."""
    until: datetime.date | None = None
    """The last day that it holds."""
    why: str = ""
    """The comment behind it."""
    where: str = ""
    """File and line, or the option's name."""

    def __str__(self) -> str:
        return "@".join(part for part in (self.package, self.advisory) if part)

    def expired(self, today: datetime.date) -> bool:
        """Whether its last day has passed."""
        return self.until is not None and today > self.until

    def speaks_of(self, package: str, advisories: Iterable[str]) -> bool:
        """Whether it names this package and one of these identifiers, expired or not."""
        return self.package in (None, package) and (
            self.advisory is None or self.advisory in map(_canonical, advisories)
        )


class Ignore(msgspec.Struct, frozen=True):
    """Everything that is ignored."""

    rules: tuple[Rule, ...] = ()
    """In the order given."""

    @classmethod
    def make(cls, items: Iterable[str], where: str = "--ignore") -> Ignore:
        """From option values, without comments; `UsageError` for one that is none of the forms."""
        return cls(tuple(_rule(item.strip(), "", where) for item in items))

    def __add__(self, other: Ignore) -> Ignore:
        return Ignore(self.rules + other.rules)

    def covers(
        self, package: str, advisory: str, today: datetime.date, aliases: Iterable[str] = ()
    ) -> str | None:
        """Why the advisory is ignored in the package today, for a person to read; else None."""
        advisories = (advisory, *aliases)
        for rule in self.rules:
            if not rule.expired(today) and rule.speaks_of(package, advisories):
                until = f" until {rule.until}" if rule.until else ""
                why = f": {rule.why}" if rule.why else ""
                return f"{rule}{until} ({rule.where}){why}"
        return None

    def expired(self, today: datetime.date) -> tuple[Rule, ...]:
        """Rules whose last day has passed: to be removed, or renewed."""
        return tuple(rule for rule in self.rules if rule.expired(today))

    def unused(
        self, seen: Iterable[tuple[str, Iterable[str]]], today: datetime.date
    ) -> tuple[Rule, ...]:
        """Rules in force that speak of nothing in `seen`: each a package with its advisories.

        Give it everything that was found *before* ignoring; a package with no advisory counts.
        """
        left = [rule for rule in self.rules if not rule.expired(today)]
        for package, advisories in seen:
            names = tuple(advisories)
            left = [rule for rule in left if not rule.speaks_of(package, names)]
            if not left:
                break
        return tuple(left)


def read_ignore_file(text: str, name: str) -> Ignore:
    """The items of a file; `UsageError` names file and line of the first that is none."""
    rules = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        item, _, comment = line.partition("#")
        if item.strip():
            rules.append(_rule(item.strip(), plain(comment.strip()), f"{plain(name)}:{number}"))
    return Ignore(tuple(rules))


def _rule(text: str, why: str, where: str) -> Rule:
    found = _UNTIL.fullmatch(text)
    if not found:
        raise UsageError(f"{where}: not something to ignore: '{plain(text, 80)}'", _FORMS)
    item = found["item"]
    until = _day(found["day"], where) if found["day"] else None
    package, at, advisory = item.rpartition("@")
    if not package:
        package, advisory = ("", item) if _FEED.fullmatch(item) else (item, "")
    elif not _FEED.fullmatch(advisory):
        raise UsageError(
            f"{where}: '{plain(advisory, 80)}' behind '{plain(package, 80)}{at}' is no advisory",
            _FORMS,
        )
    return Rule(_package(package, where), _known(advisory, where), until, why, where)


def _day(text: str, where: str) -> datetime.date:
    try:
        if _DAY.fullmatch(text):
            return datetime.date.fromisoformat(text)
    except ValueError:
        pass
    raise UsageError(f"{where}: '{plain(text, 40)}' is not a day", "write it as YYYY-MM-DD")


def _package(name: str, where: str) -> str | None:
    if name and not is_package(name, "any"):
        raise UsageError(f"{where}: '{plain(name, 80)}' is not a package's name", _FORMS)
    return name or None


def _known(text: str, where: str) -> str | None:
    if not text:
        return None
    name = _canonical(text)
    form = next((form for form in (_CVE, _GHSA, _DSA) if name.startswith(form.pattern[:3])), None)
    if not is_advisory(name) or (form and not form.fullmatch(name)):
        raise UsageError(f"{where}: '{plain(text, 80)}' is not an advisory's identifier", _FORMS)
    return name


def _canonical(advisory: str) -> str:
    """Upper case, but the lower-case groups of a GHSA."""
    upper = advisory.upper()
    return "GHSA" + advisory[4:].lower() if upper.startswith("GHSA-") else upper
