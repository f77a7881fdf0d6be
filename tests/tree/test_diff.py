"""The difference of two trees: every path that a container would see differ, and no other."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oakum.layer import Entry, Kind, LayerIndex
from oakum.tree import Difference, Tree, diff_trees

FILE = Entry(b"f", Kind.FILE, 0o644, 1, 2, 3, 4, digest=b"\1" * 32)


def tree(*entries: Entry) -> Tree:
    return Tree.of([LayerIndex("", 0, entries)])


def changes(old: Tree, new: Tree) -> dict[bytes, str]:
    return {change.path: change.how.value for change in diff_trees(old, new)}


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": 0o600},
        {"uid": 9},
        {"gid": 9},
        {"digest": b"\2" * 32},
        {"xattrs": {"user.a": b""}},
        {"kind": Kind.FIFO},
        {"kind": Kind.SYMLINK, "link": b"x"},
    ],
)
def test_what_counts_as_a_change(changed: dict[str, object]) -> None:
    other = msgspec.structs.replace(FILE, **changed)
    assert changes(tree(FILE), tree(other)) == {b"f": "changed"}
    assert changes(tree(other), tree(FILE)) == {b"f": "changed"}


@pytest.mark.parametrize("changed", [{"mtime": 99}, {"offset": 512}])
def test_what_does_not_count(changed: dict[str, int]) -> None:
    assert changes(tree(FILE), tree(msgspec.structs.replace(FILE, **changed))) == {}


def test_what_is_below_an_added_or_removed_directory_is_named_too() -> None:
    below = [Entry(b"d", Kind.DIRECTORY), Entry(b"d/e", Kind.DIRECTORY), Entry(b"d/e/f", Kind.FILE)]
    paths = [b"d", b"d/e", b"d/e/f"]
    assert changes(tree(), tree(*below)) == dict.fromkeys(paths, "added")
    assert changes(tree(*below), tree()) == dict.fromkeys(paths, "removed")
    turned = changes(tree(*below), tree(Entry(b"d", Kind.FILE)))
    assert turned == {b"d": "changed", b"d/e": "removed", b"d/e/f": "removed"}


def test_a_hard_link_and_a_copy_are_the_same_file() -> None:
    linked = tree(FILE, Entry(b"g", Kind.HARDLINK, link=b"f"))
    copied = tree(FILE, msgspec.structs.replace(FILE, path=b"g"))
    assert changes(linked, copied) == {}
    turned = tree(msgspec.structs.replace(FILE, path=b"g"), Entry(b"f", Kind.HARDLINK, link=b"g"))
    assert changes(linked, turned) == {}


def test_a_change_of_a_file_is_one_of_all_its_names() -> None:
    link = Entry(b"g", Kind.HARDLINK, link=b"f")
    other = msgspec.structs.replace(FILE, digest=b"\2" * 32)
    assert changes(tree(FILE, link), tree(other, link)) == {b"f": "changed", b"g": "changed"}


def test_a_root_of_five_thousand_levels_is_compared() -> None:
    deep = Entry(b"/".join([b"d"] * 5000), Kind.FILE)
    assert len(changes(tree(), tree(deep))) == 5000


entries = st.builds(
    lambda path, kind, mode, digest: Entry(
        path, kind, mode, digest=digest * 32 if kind is Kind.FILE else b""
    ),
    st.sampled_from([b"a", b"b", b"a/a", b"a/b", b"a/a/a"]),
    st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.FIFO]),
    st.sampled_from([0o600, 0o700]),
    st.sampled_from([b"\1", b"\2"]),
)
trees = st.lists(entries, max_size=5).map(lambda some: tree(*sorted(some, key=lambda e: e.path)))


def seen(one: Tree) -> dict[bytes, tuple[object, ...]]:
    return {p: (n.entry.kind, n.entry.mode, n.entry.digest) for p, n in one.walk()}


@settings(max_examples=200)
@given(trees, trees)
def test_the_difference_is_that_of_two_dicts(old: Tree, new: Tree) -> None:
    before, after = seen(old), seen(new)
    wanted = dict.fromkeys(after.keys() - before.keys(), "added")
    wanted |= dict.fromkeys(before.keys() - after.keys(), "removed")
    wanted |= {p: "changed" for p in before.keys() & after.keys() if before[p] != after[p]}
    assert changes(old, new) == wanted
    found = list(diff_trees(old, new))
    assert [change.path.split(b"/") for change in found] == sorted(
        change.path.split(b"/") for change in found
    )
    for change in found:
        assert (change.old is None) == (change.how is Difference.ADDED)
        assert (change.new is None) == (change.how is Difference.REMOVED)
    assert changes(old, old) == {}
