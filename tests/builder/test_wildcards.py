"""Wildcards of COPY sources: Go's filepath.Match."""

from __future__ import annotations

import pytest

from oakum.builder.wildcards import component_regex, has_wildcard, matches, split_wildcards
from oakum.errors import DockerfileError

TREE = {"": ["a", "b.txt", "dir"], "dir": ["c.txt", "deep"], "dir/deep": ["d.txt"]}


def names(directory: str) -> list[str]:
    """What is in a directory of the tree."""
    return TREE.get(directory, [])


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", ["b.txt"]),
        ("*/*.txt", ["dir/c.txt"]),
        ("**/*.txt", ["dir/c.txt"]),
        ("?", ["a"]),
        ("[a-b]*", ["a", "b.txt"]),
        ("[^a]*", ["b.txt", "dir"]),
        ("dir/*/*", ["dir/deep/d.txt"]),
        ("none*", []),
    ],
)
def test_a_wildcard_stops_at_a_slash(pattern: str, found: list[str]) -> None:
    assert list(matches("", pattern, names)) == found


def test_a_backslash_takes_the_next_character_as_it_is() -> None:
    assert component_regex(r"a\*").fullmatch("a*")
    assert not component_regex(r"a\*").fullmatch("ab")
    assert not has_wildcard(r"a\*b\[")


def test_the_plain_directories_come_first() -> None:
    assert split_wildcards("a/b/*/c") == ("a/b", "*/c")
    assert split_wildcards("a/b") == ("a/b", "")


@pytest.mark.parametrize("pattern", ["[a", "[]a]", "[", "[a-]", "a\\"])
def test_a_broken_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(DockerfileError, match="syntax error in pattern"):
        component_regex(pattern)
