"""Names of images, read as docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oakum.errors import InvalidReference
from oakum.oci import Digest, Reference, parse_reference

DIGEST = Digest("sha256:" + "ab" * 32)
LONGER = Digest("sha512:" + "ab" * 64)


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("debian", "docker.io", "library/debian", "latest", None),
        ("debian:12", "docker.io", "library/debian", "12", None),
        ("user/app", "docker.io", "user/app", "latest", None),
        ("docker.io/debian", "docker.io", "library/debian", "latest", None),
        ("index.docker.io/debian", "docker.io", "library/debian", "latest", None),
        ("localhost/app", "localhost", "app", "latest", None),
        ("localhost:5000/app", "localhost:5000", "app", "latest", None),
        ("host:5000/x:tag", "host:5000", "x", "tag", None),
        ("host:5000", "docker.io", "library/host", "5000", None),
        ("HOST/app", "HOST", "app", "latest", None),
        ("example.org/a/b/c/d:1", "example.org", "a/b/c/d", "1", None),
        ("127.0.0.1:80/x", "127.0.0.1:80", "x", "latest", None),
        ("[::1]:5000/x:1", "[::1]:5000", "x", "1", None),
        ("x-y.example/a__b/c---d/e.f_g", "x-y.example", "a__b/c---d/e.f_g", "latest", None),
        (f"debian@{DIGEST}", "docker.io", "library/debian", None, DIGEST),
        (f"debian:12@{DIGEST}", "docker.io", "library/debian", "12", DIGEST),
        (f"h:1/x@{LONGER}", "h:1", "x", None, LONGER),
        (f"x:{'t' * 128}", "docker.io", "library/x", "t" * 128, None),
        ("x:_.-", "docker.io", "library/x", "_.-", None),
        ("a" * 64 + "b", "docker.io", "library/" + "a" * 64 + "b", "latest", None),
    ],
)
def test_a_reference_is_completed_as_docker_does(
    text: str, host: str, repository: str, tag: str | None, digest: Digest | None
) -> None:
    assert parse_reference(text) == Reference(host, repository, tag, digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "debian/",
        "/debian",
        "a//b",
        "Debian",
        "docker.io/Debian",
        "a___b",
        "a..b",
        "-a",
        "a-",
        "a/.b",
        "x:",
        "x:.tag",
        "x:-tag",
        "x:" + "t" * 129,
        "x:a:b",
        "host:port/x",
        "host:/x",
        "-host.org/x",
        "host_x.org:1/x",
        "[::1/x",
        "x@",
        "x@sha256:",
        "x@sha256:" + "AB" * 32,
        "x@sha256:" + "ab" * 31,
        "x@md5:" + "ab" * 16,
        f"x@{DIGEST}:tag",
        f"x@{DIGEST}@{DIGEST}",
        f"@{DIGEST}",
        "ab" * 32,
        "example.org/" + "a/" * 127 + "aa",
        "https://example.org/x",
        "debian\n",
        "debian\0",
        "débian",
        "x y",
        "\x1b[31mred",
    ],
)
def test_what_is_no_reference_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_reference(text)
    assert caught.value.todo
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


component = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
references = st.builds(
    Reference,
    st.sampled_from(["docker.io", "localhost:5000", "example.org", "[fe80::1]:80", "A"]),
    st.lists(component, min_size=2, max_size=4).map("/".join),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
    st.none() | st.sampled_from([DIGEST, LONGER]),
).filter(lambda reference: reference.tag or reference.digest)


@given(references)
def test_a_reference_is_read_as_it_is_written(reference: Reference) -> None:
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return
    assert parse_reference(str(reference)) == reference


def test_a_very_long_text_is_refused_at_once() -> None:
    for text in ("a" * 1_000_000, "a." * 500_000 + "/x", "a-" * 500_000, "x:" + "t" * 1_000_000):
        with pytest.raises(InvalidReference):
            parse_reference(text)


def test_people_see_the_short_name() -> None:
    assert parse_reference("docker.io/library/debian:12").familiar == "debian:12"
    assert parse_reference("docker.io/user/app").familiar == "user/app:latest"
    assert parse_reference("example.org/library/x:1").familiar == "example.org/library/x:1"


def test_a_digest_wins_over_a_tag() -> None:
    both = parse_reference(f"debian:12@{DIGEST}")
    assert both.identifier == DIGEST
    assert both.with_digest(None).identifier == "12"
    assert both.with_tag("13") == parse_reference("debian:13")
    with pytest.raises(InvalidReference):
        both.with_tag("not a tag")
