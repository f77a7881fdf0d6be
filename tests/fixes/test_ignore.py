"""Ignore files and ``--ignore``."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oakum.errors import UsageError
from oakum.fixes.ignore import Ignore, read_ignore_file

TODAY = datetime.date(2026, 11, 24)
FILE = """\
# decided in the review of October

CVE-2023-4911                       # needs a local user
linux-libc-dev
openssl@CVE-2024-2511 until 2026-11-24   # fixed with the next base
zlib1g until 2026-11-23
@angular/core
@angular/core@GHSA-prc3-vjfx-vhm9
"""


def test_each_form_covers_what_it_names() -> None:
    ignore = read_ignore_file(FILE, ".oakumignore")
    assert len(ignore.rules) == 6
    assert ignore.covers("libc6", "CVE-2023-4911", TODAY) == (
        "CVE-2023-4911 (.oakumignore:3): needs a local user"
    )
    assert ignore.covers("linux-libc-dev", "CVE-2020-1", TODAY)
    assert ignore.covers("openssl", "CVE-2024-2511", TODAY) == (
        "openssl@CVE-2024-2511 until 2026-11-24 (.oakumignore:5): fixed with the next base"
    )
    assert ignore.covers("libssl3", "CVE-2024-2511", TODAY) is None
    assert ignore.covers("openssl", "CVE-2024-2512", TODAY) is None
    assert ignore.covers("@angular/core", "CVE-2020-1", TODAY)


def test_a_rule_ends_after_its_last_day() -> None:
    ignore = read_ignore_file(FILE, ".oakumignore")
    assert ignore.covers("zlib1g", "CVE-2023-45853", TODAY) is None
    assert ignore.covers("zlib1g", "CVE-2023-45853", datetime.date(2026, 11, 23))
    assert [str(rule) for rule in ignore.expired(TODAY)] == ["zlib1g"]


def test_an_alias_counts_and_case_does_not() -> None:
    ignore = Ignore.make(["ghsa-PRC3-vjfx-vhm9"])
    assert ignore.covers("x", "CVE-2021-1", TODAY, aliases=("GHSA-prc3-vjfx-vhm9",))
    assert Ignore.make(["cve-2021-44228"]).covers("x", "CVE-2021-44228", TODAY)


def test_a_package_may_be_called_like_a_feed() -> None:
    assert Ignore.make(["go-md2man"]).covers("go-md2man", "CVE-2021-1", TODAY)
    assert Ignore.make(["GO-2026-4610"]).covers("x", "GO-2026-4610", TODAY)


def test_what_was_never_used_is_told_with_its_place() -> None:
    ignore = read_ignore_file(FILE, ".oakumignore") + Ignore.make(["DSA-5764-1"])
    seen = [("libc6", ["CVE-2023-4911"]), ("openssl", ["CVE-1999-1"]), ("@angular/core", [])]
    assert [rule.where for rule in ignore.unused(seen, TODAY)] == [
        ".oakumignore:4",
        ".oakumignore:5",
        ".oakumignore:8",
        "--ignore",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "CVE-20241",
        "CVE-2024-2511x",
        "GHSA-abc",
        "DSA-x",
        "openssl CVE-2024-2511",
        "openssl@",
        "openssl@3.0.11",
        "lodash@GHSA-1",
        "openssl until tomorrow",
        "openssl until 2026-02-30",
        "openssl until",
        "openssl; reboot",
        "--force",
        "\x1b[2J",
    ],
)
def test_what_is_none_of_the_forms_is_named_with_file_and_line(line: str) -> None:
    with pytest.raises(UsageError, match=r"^ignored:2: ") as caught:
        read_ignore_file(f"# first\n{line}\n", "ignored")
    assert caught.value.what.isprintable() and caught.value.todo
    with pytest.raises(UsageError, match=r"^--ignore: "):
        Ignore.make([line])


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_ignore_file(text, "ignored")
    except UsageError as error:
        assert error.what.isprintable()
