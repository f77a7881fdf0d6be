"""Package URLs, by the purl specification's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oakum.fixes.reports.purl import Purl


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12",
            ("deb", "debian", "libstdc++6", "12.2.0-14"),
        ),
        (
            "pkg:deb/debian/bsdutils@1%3A2.38.1-5%2Bb1",
            ("deb", "debian", "bsdutils", "1:2.38.1-5+b1"),
        ),
        ("pkg:npm/%40angular/core@12.0.0", ("npm", "@angular", "core", "12.0.0")),
        ("pkg:npm/@angular/core", ("npm", "@angular", "core", None)),
        (
            "pkg:golang/github.com/a/b@v1.2.3+incompatible#sub/dir",
            ("golang", "github.com/a", "b", "v1.2.3+incompatible"),
        ),
        ("PKG:PyPI/django@4.2", ("pypi", "", "django", "4.2")),
        ("pkg://deb/debian/apt@2.6.1", ("deb", "debian", "apt", "2.6.1")),
    ],
)
def test_parts(text: str, parts: tuple[str, str, str, str | None]) -> None:
    purl = Purl.parse(text)
    assert purl is not None
    assert (purl.type, purl.namespace, purl.name, purl.version) == parts


def test_qualifiers_are_decoded_and_empty_ones_left_out() -> None:
    purl = Purl.parse("pkg:rpm/amazon/curl@7?ARCH=x86_64&distro=amazon-2%20%28Karoo%29&epoch=")
    assert purl is not None
    assert purl.qualifiers == {"arch": "x86_64", "distro": "amazon-2 (Karoo)"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb/debian/apt",
        "pkg:deb",
        "pkg:deb/",
        "pkg:deb/a%zz",
        "pkg:deb/%ff",
        "pkg:deb/a?x=1&x=2",
    ],
)
def test_what_is_no_purl_is_none(text: str) -> None:
    assert Purl.parse(text) is None


@given(st.text())
def test_any_text_is_a_purl_or_none(text: str) -> None:
    Purl.parse("pkg:deb/" + text)
    Purl.parse(text)
