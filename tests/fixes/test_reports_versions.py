"""Which fixed version is chosen, with dpkg itself as the judge for Debian's."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oakum.fixes.reports.names import is_version
from oakum.fixes.reports.versions import highest, listed, lowest_above

_VERSIONS = st.from_regex(r"([0-2]:)?[0-9][0-9a-b.+~]{0,4}(-[0-9a-b.+~]{1,3})?", fullmatch=True)


def _dpkg(one: str, relation: str, other: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", one, relation, other]).returncode == 0


@pytest.mark.skipif(not shutil.which("dpkg"), reason="dpkg is not installed")
@given(_VERSIONS, _VERSIONS, _VERSIONS)
@settings(max_examples=60, deadline=None)
def test_debian_versions_are_ordered_as_dpkg_orders_them(here: str, one: str, two: str) -> None:
    assert is_version(one, "deb")
    top = highest([one, two], "deb")
    assert top is not None and _dpkg(top, "ge", one) and _dpkg(top, "ge", two)
    chosen = lowest_above(here, [one, two], "deb")
    above = [text for text in (one, two) if _dpkg(text, "gt", here)]
    assert chosen is not None
    if above:
        assert chosen in above and all(_dpkg(chosen, "le", text) for text in above)
    else:
        assert chosen == one


@pytest.mark.parametrize(
    ("text", "ecosystem", "versions"),
    [
        ("1.2, 1.3", "npm", ["1.2", "1.3"]),
        ("1.2,1.2", "npm", ["1.2"]),
        (">= 5.0.6, ~> 4.1.16", "gem", ["5.0.6", "4.1.16"]),
        (">=4.17.11 <5.0.0", "npm", ["4.17.11"]),
        ("^1.2.3 || ^2.0.1", "npm", ["1.2.3", "2.0.1"]),
        ("v0.0.0-20220906165146-f3363e06e74c", "golang", ["v0.0.0-20220906165146-f3363e06e74c"]),
        ("1.2.3+incompatible", "golang", ["1.2.3+incompatible"]),
        ("", "deb", []),
        (">= 1.2-1", "deb", None),
        ("1.2; reboot", "npm", None),
    ],
)
def test_lists_and_ranges_of_fixed_versions(
    text: str, ecosystem: str, versions: list[str] | None
) -> None:
    assert listed(text, ecosystem) == versions


@pytest.mark.parametrize(
    ("ecosystem", "installed", "fixes", "chosen"),
    [
        ("npm", "3.0.1", ["2.6.9", "3.1.0", "4.0.0"], "3.1.0"),
        ("pypi", "2.0rc1", ["1.9.9", "2.0", "2.0.1"], "2.0"),
        ("gem", "4.1.2", ["4.1.16", "5.0.6"], "4.1.16"),
        ("rpm", "1:1.0-1", ["2.0-1", "1:1.0-2"], "1:1.0-2"),
        ("apk", "1.1.20-r4", ["1.1.20-r10", "1.1.20-r5"], "1.1.20-r5"),
        ("npm", "not-a-version", ["2.0.0", "1.0.0"], "2.0.0"),
    ],
)
def test_other_ecosystems_have_their_own_order(
    ecosystem: str, installed: str, fixes: list[str], chosen: str
) -> None:
    assert lowest_above(installed, fixes, ecosystem) == chosen
