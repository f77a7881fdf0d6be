"""Which packages the benchmarks raise, whatever the archive has that day."""

from __future__ import annotations

import pytest

from benchmarks.archive import Archive, Package, Pins
from benchmarks.measure import JobFailed


def index(*packages: tuple[str, str, str, str]) -> dict[str, Package]:
    return {
        name: Package(name, version, source, frozenset(depends.split()))
        for name, version, source, depends in packages
    }


@pytest.fixture
def archive() -> Archive:
    return Archive(
        index(
            ("web", "1-1", "web", "web-common libc"),
            ("web-common", "1-1", "web", ""),
            ("libc", "2-1", "libc", ""),
            ("calm", "5-2", "calm", ""),
        ),
        index(
            ("web", "1-1+fix1", "web", "web-common libc"),
            ("web-common", "1-1+fix1", "web", ""),
            ("libc", "2-1+fix1", "libc", ""),
            ("calm", "5-1", "calm", ""),
        ),
    )


def test_packages_of_one_source_are_raised_together(archive: Archive) -> None:
    assert archive.pending("web") == Pins(
        {"web": "1-1", "web-common": "1-1"}, {"web": "1-1+fix1", "web-common": "1-1+fix1"}
    )


def test_what_has_no_newer_fix_is_passed_over(archive: Archive) -> None:
    assert "calm" not in archive.pending("calm").old


def test_a_second_project_raises_something_else(archive: Archive) -> None:
    assert list(archive.pending("web", "libc", without=archive.pending("web")).old) == ["libc"]


def test_newest_is_the_security_suites_only_where_it_is_newer(archive: Archive) -> None:
    assert (archive.newest("web"), archive.newest("calm")) == ("1-1+fix1", "5-2")


def test_a_quiet_archive_is_an_error_that_says_so() -> None:
    with pytest.raises(JobFailed, match="no package of the release suite has a fix"):
        Archive(index(("calm", "5-2", "calm", "")), {}).pending("calm")
