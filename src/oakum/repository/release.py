"""Release files: what a suite says about itself and about its indexes, and until when it holds.

The format is that of Debian's wiki page "DebianRepository/Format"; the checks are apt's.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.configuration import Configuration
from oakum.repository.sources import Source

_HASHES = (("sha512", 128), ("sha256", 64))
_FIELD = re.compile(r"\n([A-Za-z0-9-]{1,80}):([^\n]*)")


class Listed(msgspec.Struct, frozen=True):
    """A file that a Release file names."""

    path: str
    """Relative to the Release file."""
    size: int
    algorithm: str
    """``sha512`` or ``sha256``, the strongest that is given."""
    digest: str


class Release(msgspec.Struct, frozen=True):
    """The signed facts of a suite."""

    text: str
    fields: dict[str, str]
    """First lines of the fields' values, by lower-case name."""
    sections: dict[str, tuple[int, int]]
    """Where the lists of hashes stand in the text, by lower-case name."""
    date: datetime

    def get(self, name: str) -> str:
        """A field's value; empty when it is not there."""
        return self.fields.get(name, "")

    def listed(self, path: str) -> Listed | None:
        """Size and digest of a file; None when no strong hash is given for it."""
        for algorithm, digits in _HASHES:
            start, end = self.sections.get(algorithm, (0, 0))
            for name in (path, f"./{path}"):
                at = self.text.find(f" {name}\n", start, end)
                if at < 0:
                    continue
                words = self.text[self.text.rfind("\n", 0, at) + 1 : at].split()
                if _is_entry(words, digits):
                    return Listed(path, int(words[1]), algorithm, words[0].lower())
        return None

    @property
    def security(self) -> bool:
        """Whether this is a distribution's security suite."""
        names = (self.get("suite"), self.get("codename"))
        return self.get("label") == "Debian-Security" or any(
            name.endswith(("-security", "/updates")) for name in names
        )

    @property
    def updates(self) -> bool:
        """Whether this is a distribution's ``-updates`` suite."""
        names = (self.get("suite"), self.get("codename"))
        return any(name.endswith("-updates") for name in names)


def _is_entry(words: list[str], digits: int) -> bool:
    return (
        len(words) == 2
        and re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", words[0]) is not None
        and re.fullmatch(r"[0-9]{1,15}", words[1]) is not None
    )


def parse_release(signed: bytes, what: str) -> Release:
    """Read a Release file's signed text; `RepositoryError` without a date or strong hashes."""
    text = signed.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n") + "\n"
    found = list(_FIELD.finditer("\n" + text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    fields = {match[1].lower(): match[2].strip() for match in reversed(found)}
    sections = {
        match[1].lower(): (match.end() - 1, end)
        for match, end in zip(reversed(found), reversed(ends))
        if not match[2].strip()
    }
    date = parse_date(fields.get("date", ""))
    if date is None:
        raise _broken(what, "has no valid Date")
    if not any(algorithm in sections for algorithm, _ in _HASHES):
        raise _broken(what, "has no SHA256 or SHA512 section")
    return Release(text, fields, sections, date)


def _broken(what: str, how: str) -> RepositoryError:
    return RepositoryError(f"{what} {how}", "the repository is badly made; tell its owner")


def parse_date(text: str) -> datetime | None:
    """A date of RFC 1123 as apt takes it (UTC); None when it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def check_dates(
    release: Release, source: Source, configuration: Configuration, now: datetime
) -> list[str]:
    """Refuse a Release file of the future or past its time, as apt does; notes on what was allowed.

    The image's own options (Check-Valid-Until, Check-Date, Valid-Until-Max, …) are honoured.
    """
    label = release.get("label")
    what = f"the Release file of {source.shown}"
    asked = source.choice("check-date")
    if not (configuration.flag("Acquire::Check-Date", True) if asked is None else asked):
        return [f"{source.shown}: the image's configuration turns the check of dates off"]
    future = _seconds(source, "date-max-future") or configuration.number(
        f"Acquire::Max-FutureTime::{label}", configuration.number("Acquire::Max-FutureTime", 10)
    )
    ahead = (release.date - now).total_seconds()
    if ahead > future:
        raise RepositoryError(
            f"{what} is dated {release.get('date')}, which is {ahead / 3600:.1f} hours ahead",
            "set this machine's clock",
        )
    until = _valid_until(release, source, configuration, what)
    if until is None or until >= now:
        return []
    asked = source.choice("check-valid-until")
    if not (configuration.flag("Acquire::Check-Valid-Until", True) if asked is None else asked):
        return [
            f"{source.shown} was valid until {until:%Y-%m-%d %H:%M} UTC only; the image's own "
            "configuration allows that"
        ]
    raise RepositoryError(
        f"{what} was valid until {until:%Y-%m-%d %H:%M} UTC",
        "the mirror is out of date or an old state is replayed: use another mirror; for a "
        "snapshot, say Check-Valid-Until: no in the image's source",
    )


def _seconds(source: Source, name: str) -> int:
    value = source.option(name)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else 0


def _valid_until(
    release: Release, source: Source, configuration: Configuration, what: str
) -> datetime | None:
    label, text = release.get("label"), release.get("valid-until")
    until = parse_date(text)
    if text and until is None:
        raise _broken(what, "has an invalid Valid-Until")
    longest = _seconds(source, "valid-until-max") or configuration.number(
        f"Acquire::Max-ValidTime::{label}", configuration.number("Acquire::Max-ValidTime", 0)
    )
    shortest = _seconds(source, "valid-until-min") or configuration.number(
        f"Acquire::Min-ValidTime::{label}", configuration.number("Acquire::Min-ValidTime", 0)
    )
    dated = release.date.timestamp()
    end = until.timestamp() if until else None
    if shortest and end is not None:
        end = max(end, dated + shortest)
    if longest:
        end = dated + longest if end is None else min(end, dated + longest)
    return None if end is None else datetime.fromtimestamp(min(max(end, 0), 2**36), UTC)


def names_suite(release: Release, suite: str) -> bool:
    """Whether the Release file is of the suite that was asked for (apt's CheckDist)."""
    known = (release.get("codename"), release.get("suite"))
    if suite in known:
        return True
    wanted = "experimental" if suite == "../project/experimental" else suite
    wanted = wanted.rpartition("/")[0] if "/" in wanted else wanted
    return wanted in ("", ".", *known)
