"""Which fixes are wanted: everything, what a report lists, minus what is ignored or capped."""

from __future__ import annotations

import fnmatch
from datetime import date

import msgspec

from oakum.errors import UsageError
from oakum.fixes.ignore import Ignore
from oakum.fixes.reports import Finding, Severity


class Selection(msgspec.Struct, frozen=True):
    """What the user asked for."""

    only: tuple[str, ...] = ()
    """Names (or globs) of packages to look at; all when empty."""
    ignore: Ignore | None = None
    """Packages and advisories to leave alone."""
    ceilings: dict[str, str] = {}
    """Highest version to go to, by package."""
    findings: tuple[Finding, ...] | None = None
    """The list to fix, out of scanner reports; None without a report."""
    today: date = msgspec.field(default_factory=date.today)
    """Day that expiring ignores are judged by."""

    def wants(self, package: str) -> bool:
        """Whether `package` is among those to look at."""
        return not self.only or any(fnmatch.fnmatchcase(package, name) for name in self.only)

    def ignored(self, package: str, advisories: tuple[str, ...]) -> str | None:
        """Why a fix is left alone, or None.

        A fix that closes several advisories is left alone when each of them is ignored.
        """
        if self.ignore is None:
            return None
        reason = self.ignore.covers(package, "", self.today)
        if reason or not advisories:
            return reason
        reasons = [self.ignore.covers(package, advisory, self.today) for advisory in advisories]
        return reasons[0] if all(reasons) else None


def parse_ceiling(text: str) -> tuple[str, str]:
    """(package, version) of ``--max-version PKG=V``."""
    name, equals, version = text.partition("=")
    if not (name and equals and version):
        raise UsageError(f"not a ceiling: {text!r}", "write --max-version PACKAGE=VERSION")
    return name, version


def severity_at_least(severity: str, wanted: str) -> bool:
    """Whether a severity reaches ``--fail-on``'s level.

    One that nobody told counts as reaching every level: not knowing is no reason to pass.
    """
    found = Severity.parse(severity)
    return wanted == "any" or found is Severity.UNKNOWN or found >= Severity.parse(wanted)
