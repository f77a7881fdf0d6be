"""Version numbers compare as dpkg compares them, and changelogs are cut at versions."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oakum.repository import closed_cves, compare_versions

upstream = st.from_regex(r"[0-9][0-9a-zA-Z.+~]{0,8}", fullmatch=True)
versions = st.builds(
    lambda epoch, body, revision: epoch + body + revision,
    st.sampled_from(["", "0:", "1:", "2:"]),
    upstream,
    st.sampled_from(["", "-0", "-1", "-1~", "-1+b1", "-0ubuntu1", "-1+deb12u1", "-~"]),
)


def dpkg(a: str, b: str) -> int:
    for relation, result in (("lt", -1), ("eq", 0), ("gt", 1)):
        command = ["dpkg", "--compare-versions", a, relation, b]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return result
    raise AssertionError((a, b))


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
@settings(max_examples=250, deadline=None)
@given(versions, versions)
@example("1.0", "1.0-0")
@example("1.0~rc1-1", "1.0-1")
@example("1.0-1", "1.0-1+b1")
@example("1a", "1a0")
@example("1.", "1.0")
@example("0~", "0")
@example("00:1", "1")
@example("1.00", "1.0")
def test_dpkgs_order(a: str, b: str) -> None:
    assert compare_versions(a, b) == dpkg(a, b)
    assert compare_versions(b, a) == -compare_versions(a, b)
    assert compare_versions(a, a) == 0


def test_numbers_without_end() -> None:
    assert compare_versions("1" * 10000, "1" * 10001) == -1


CHANGELOG = """\
openssl (3.0.5-1) unstable; urgency=medium

  * New. CVE-2026-0005, cve-2026-10000

 -- A <a@b>  Mon, 01 Jan 2026 00:00:00 +0000

openssl (3.0.4-1) unstable; urgency=medium

  * CVE-2026-0004 and CVE-2025-0001

 -- A <a@b>  Mon, 01 Jan 2026 00:00:00 +0000

openssl (3.0.3-1) unstable; urgency=medium

  * CVE-2026-0003
"""


def test_cves_between_two_versions() -> None:
    assert closed_cves(CHANGELOG, "3.0.3-1", "3.0.4-1") == ("CVE-2025-0001", "CVE-2026-0004")
    assert closed_cves(CHANGELOG, "3.0.4-1", "3.0.5-1") == ("CVE-2026-0005", "CVE-2026-10000")
    assert closed_cves(CHANGELOG, "3.0.5-1", "3.0.5-1") == ()
    assert len(closed_cves(CHANGELOG, "0", "4")) == 5


@given(st.text(max_size=400))
def test_any_text_is_bearable(text: str) -> None:
    assert isinstance(closed_cves(text, "1", "2"), tuple)
