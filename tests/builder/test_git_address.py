"""Which texts name a git repository, and what they say of it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oakum.builder.git_address import GitAddress, parse_git_address
from oakum.errors import DockerfileError

COMMIT = "5351cc668fe02e70006bb13879146ad0bfa82618"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h.example/a/b.git", GitAddress("https://h.example/a/b.git")),
        (
            "https://h.example/b.git#r/s:/d//e/",
            GitAddress("https://h.example/b.git", ref="r/s", subdir="d/e"),
        ),
        ("HTTPS://h.example:8443/b.git", GitAddress("https://h.example:8443/b.git")),
        (
            "https://me:pa%40ss@h.example/b.git",
            GitAddress("https://h.example/b.git", login="me:pa@ss"),
        ),
        ("ssh://git@h.example:22/b", GitAddress("ssh://git@h.example:22/b")),
        ("git://h.example/b", GitAddress("git://h.example/b")),
        ("git@h.example:a/b.git#v1", GitAddress("git@h.example:a/b.git", ref="v1")),
        (
            "git@h.example:b.git?ref=v1&subdir=d",
            GitAddress("git@h.example:b.git", ref="v1", subdir="d"),
        ),
        (
            f"https://h.example/b.git?tag=v1&commit={COMMIT}&submodules=0&keep-git-dir",
            GitAddress(
                "https://h.example/b.git",
                ref="refs/tags/v1",
                checksum=COMMIT,
                keep_git_dir=True,
                submodules=False,
            ),
        ),
        (
            "https://h.example/b.git#main:../../x",
            GitAddress("https://h.example/b.git", "", "main", "x"),
        ),
    ],
)
def test_an_address_is_read(text: str, expected: GitAddress) -> None:
    assert parse_git_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/b",
        "https://h.example/b.git/x",
        "https://h.example/b?x=.git",
        "ext::sh -c true",
        "file:///b.git",
        "./git@h.example:b",
        "dir/b.git",
        "docker-image://a",
        "github.com/a/b",
    ],
)
def test_other_texts_are_no_repositories(text: str) -> None:
    assert parse_git_address(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/b.git#-x",
        "https://h.example/b.git#--upload-pack=x",
        "https://h.example/b.git#a..b",
        "https://h.example/b.git#a:b%00",
        "https://h.example/b.git?ref=a%00b",
        "https://h.example/b.git#refs/*",
        "https://h.example/b.git#+a:b".replace(":b", "^{}"),
        "ssh://-oProxyCommand=x/b",
        "git@-oProxyCommand:b",
        "https://h.example/b\n.git",
        "https://h.example/b.git?mtime=x",
        "https://h.example/b.git?checksum=main",
        "https://h.example:port/b.git",
        "https:///b.git",
    ],
)
def test_what_git_must_not_see_is_refused(text: str) -> None:
    address = None
    with pytest.raises(DockerfileError) as caught:
        address = parse_git_address(text)
    assert address is None and caught.value.todo


@given(st.text(max_size=30), st.sampled_from(["https://h/a.git", "git@h:a", "ssh://h/", "git://"]))
@example("#\ud800", "https://h/a.git")
@example("[", "https://")
def test_no_text_is_a_surprise(text: str, before: str) -> None:
    try:
        address = parse_git_address(before + text)
    except DockerfileError:
        return
    if address is not None:
        words = (address.remote, address.ref, address.host)
        assert not any(word.startswith("-") or "\n" in word or "\0" in word for word in words)
        assert ".." not in address.subdir.split("/")
