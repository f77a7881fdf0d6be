"""``flat(stack)``: layers applied one after the other, against a model and against the kernel."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oakum.layer import Entry, Kind, LayerIndex, sort_key
from oakum.tree import Node, Tree
from support.disks import overlay
from support.layers import END, header, unpack

PATHS = [b"a", b"b", b"a/a", b"a/b", b"b/a", b"a/a/a", b"a/b/b", b"b/a/b"]
FLAGS = {Kind.FILE: b"0", Kind.DIRECTORY: b"5", Kind.SYMLINK: b"2", Kind.FIFO: b"6"}


@st.composite
def layers(draw: st.DrawFn) -> list[Entry]:
    """A layer as a builder writes one: sorted, nothing below what is no directory."""
    kinds = draw(st.dictionaries(st.sampled_from(PATHS), st.sampled_from(list(FLAGS)), max_size=6))
    chosen = {path: Entry(path, kind) for path, kind in kinds.items()}
    entries = [entry for path, entry in chosen.items() if not _below_a_leaf(path, chosen)]
    for path in draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=3)):
        if not _below_a_leaf(path, chosen):
            entries.append(Entry(path, Kind.WHITEOUT))
    for path in draw(st.lists(st.sampled_from([b"a", b"b", b"a/a"]), unique=True, max_size=2)):
        if path not in chosen and not _below_a_leaf(path, chosen):
            entries.append(Entry(path, Kind.DIRECTORY))
            chosen[path] = entries[-1]
        if path in chosen and chosen[path].kind is Kind.DIRECTORY and chosen[path] in entries:
            entries.append(Entry(path, Kind.OPAQUE))
    return sorted(entries, key=sort_key)


def _below_a_leaf(path: bytes, chosen: dict[bytes, Entry]) -> bool:
    above = [path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"]
    return any(up in chosen and chosen[up].kind is not Kind.DIRECTORY for up in above)


stacks = st.lists(layers(), max_size=4)


def index(entries: list[Entry]) -> LayerIndex:
    return LayerIndex("sha256:" + "0" * 64, 0, tuple(entries))


def flat(stack: list[list[Entry]]) -> Tree:
    return Tree.of([index(entries) for entries in stack])


def kinds(tree: Tree) -> dict[bytes, Kind]:
    return {path: node.entry.kind for path, node in tree.walk()}


def model(stack: list[list[Entry]]) -> dict[bytes, tuple[Kind, int]]:
    """The same with one dict from path to kind and layer, and no tree at all."""
    merged: dict[bytes, tuple[Kind, int]] = {}

    def drop(path: bytes, *, itself: bool) -> None:
        for old in list(merged):
            if (itself and old == path) or old.startswith(path + b"/"):
                del merged[old]

    def imply(path: bytes, number: int) -> None:
        for at in [at for at in range(len(path)) if path[at : at + 1] == b"/"]:
            if merged.get(path[:at], (None, 0))[0] is not Kind.DIRECTORY:
                merged[path[:at]] = (Kind.DIRECTORY, number)

    for number, entries in enumerate(stack):
        for path in sorted(entry.path for entry in entries if entry.kind is Kind.OPAQUE):
            imply(path + b"/", number)
            drop(path, itself=False)
        removed = [entry.path for entry in entries if entry.kind is Kind.WHITEOUT]
        for path in removed:
            imply(path, number)
        for path in removed:
            drop(path, itself=True)
        for entry in entries:
            if entry.kind in (Kind.WHITEOUT, Kind.OPAQUE):
                continue
            imply(entry.path, number)
            if entry.kind is not Kind.DIRECTORY:
                drop(entry.path, itself=True)
            merged[entry.path] = (entry.kind, number)
    return merged


@settings(max_examples=150)
@given(stacks)
def test_a_tree_is_what_a_dict_of_paths_would_be(stack: list[list[Entry]]) -> None:
    found = {path: (node.entry.kind, node.layer) for path, node in flat(stack).walk()}
    assert found == model(stack)


@settings(max_examples=100)
@given(stacks, st.integers(0, 4))
def test_layers_may_be_applied_in_two_goes(stack: list[list[Entry]], at: int) -> None:
    tree = flat(stack[:at])
    for entries in stack[at:]:
        tree.apply(entries)
    assert kinds(tree) == kinds(flat(stack)) and tree.layers == len(stack)


@settings(max_examples=150)
@given(stacks, layers(), layers())
def test_a_tree_with_one_more_layer_leaves_the_one_below_as_it_was(
    stack: list[list[Entry]], one: list[Entry], other: list[Entry]
) -> None:
    below = flat(stack)
    before = seen(below)
    made = [below.plus(LayerIndex("", 0, tuple(entries))) for entries in (one, other)]
    further = made[0].plus(LayerIndex("", 0, tuple(other)))
    assert seen(below) == before
    assert [seen(tree) for tree in made] == [seen(flat([*stack, each])) for each in (one, other)]
    assert seen(further) == seen(flat([*stack, one, other]))


def seen(tree: Tree) -> list[tuple[object, ...]]:
    """Everything that a tree tells."""
    nodes = [(b"", tree.root), *tree.walk()]
    told = [(path, node.entry, node.layer, node.file) for path, node in nodes]
    return [*told, (tree.layers,)]


@settings(max_examples=100)
@given(layers(), st.randoms(use_true_random=False))
def test_a_whiteout_works_wherever_it_stands_in_its_layer(
    layer: list[Entry], chance: object
) -> None:
    below = [Entry(path, Kind.FILE) for path in (b"a/a/a", b"a/b/b", b"b/a/b")]
    marks = [e for e in layer if e.kind in (Kind.WHITEOUT, Kind.OPAQUE)]
    rest = [e for e in layer if e not in marks]
    chance.shuffle(marks)  # type: ignore[attr-defined]
    assert kinds(flat([below, rest + marks])) == kinds(flat([below, layer]))


@settings(max_examples=100)
@given(stacks)
def test_a_whiteout_of_everything_leaves_nothing(stack: list[list[Entry]]) -> None:
    assert kinds(flat([*stack, [Entry(b"", Kind.OPAQUE)]])) == {}
    assert kinds(flat([*stack, [Entry(path, Kind.WHITEOUT) for path in (b"a", b"b")]])) == {}


@settings(max_examples=100)
@given(stacks)
def test_an_empty_layer_changes_nothing(stack: list[list[Entry]]) -> None:
    assert kinds(flat([*stack, []])) == kinds(flat([[], *stack])) == kinds(flat(stack))


def write(entries: list[Entry], root: Path) -> None:
    """The layer in overlayfs's form."""
    raw = b""
    for entry in entries:
        parent, _, name = entry.path.rpartition(b"/")
        marked = (parent + b"/" if parent else b"") + b".wh." + name
        if entry.kind is Kind.WHITEOUT:
            raw += header(marked)
        elif entry.kind is Kind.OPAQUE:
            raw += header(entry.path + b"/.wh..wh..opq")
        else:
            raw += header(entry.path, flag=FLAGS[entry.kind], link=b"x")
    unpack(raw + END, root)


def whiteouts_with_something_below(stack: list[list[Entry]]) -> list[list[Entry]]:
    """The stack as builders write it: the kernel lists a whiteout in a directory that it need
    not merge, and nobody writes one there."""
    kept: list[list[Entry]] = []
    for entries in stack:
        below = kinds(flat(kept))
        hidden = [e.path for e in entries if e.kind in (Kind.WHITEOUT, Kind.OPAQUE)]
        kept.append(
            [
                entry
                for entry in entries
                if entry.kind is not Kind.WHITEOUT
                or (
                    entry.path in below
                    and not any(entry.path.startswith(path + b"/") for path in hidden)
                )
            ]
        )
    return kept


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stacks.filter(lambda stack: len(stack) >= 2))
def test_a_tree_is_what_the_kernel_merges(tmp_path: Path, stack: list[list[Entry]]) -> None:
    stack = whiteouts_with_something_below(stack)
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    lowers = [place / str(number) for number in range(len(stack))]
    for entries, lower in zip(stack, lowers):
        write(entries, lower)
    with overlay(place / "merged", *lowers) as merged:
        found = {}
        for path in merged.rglob("*"):
            kind = Kind.SYMLINK if path.is_symlink() else Kind.FILE if path.is_file() else None
            kind = kind or (Kind.DIRECTORY if path.is_dir() else Kind.FIFO)
            found[os.fsencode(path.relative_to(merged))] = kind
    shutil.rmtree(place)
    assert found == kinds(flat(stack))


def test_a_directory_turns_into_a_file_and_back() -> None:
    stack = [
        [Entry(b"d", Kind.DIRECTORY, 0o700), Entry(b"d/x", Kind.FILE)],
        [Entry(b"d", Kind.FILE, 0o600)],
        [Entry(b"d", Kind.DIRECTORY, 0o750), Entry(b"d/y", Kind.FILE)],
    ]
    assert kinds(flat(stack[:2])) == {b"d": Kind.FILE}
    tree = flat(stack)
    assert kinds(tree) == {b"d": Kind.DIRECTORY, b"d/y": Kind.FILE}
    assert node(tree, b"d").entry.mode == 0o750 and node(tree, b"d").layer == 2


def test_a_directory_again_keeps_what_is_in_it() -> None:
    tree = flat(
        [
            [Entry(b"d", Kind.DIRECTORY, 0o700), Entry(b"d/x", Kind.FILE)],
            [Entry(b"d", Kind.DIRECTORY, 0o755)],
        ]
    )
    assert (node(tree, b"d").entry.mode, node(tree, b"d").layer) == (0o755, 1)
    assert node(tree, b"d/x").layer == 0


def node(tree: Tree, path: bytes) -> Node:
    found = tree.get(path)
    assert found is not None
    return found


def content(number: int) -> bytes:
    return bytes([number]) * 32


def test_a_hard_link_keeps_its_content_whatever_becomes_of_the_first_name() -> None:
    first = [
        Entry(b"a", Kind.FILE, size=1, digest=content(1)),
        Entry(b"b", Kind.HARDLINK, link=b"a"),
        Entry(b"c", Kind.HARDLINK, link=b"b"),
    ]
    for second in (
        [Entry(b"a", Kind.WHITEOUT)],
        [Entry(b"a", Kind.FILE, size=2, digest=content(2))],
        [Entry(b"a", Kind.DIRECTORY)],
    ):
        tree = flat([first, second])
        for path in (b"b", b"c"):
            file = tree.file(path)
            assert file is not None
            assert (file.entry.path, file.entry.digest, file.layer) == (b"a", content(1), 0)


def test_a_hard_link_names_a_file_of_its_own_layer_only() -> None:
    tree = flat([[Entry(b"a", Kind.FILE, size=1)], [Entry(b"b", Kind.HARDLINK, link=b"a")]])
    assert tree.file(b"b") is None
    assert flat([[Entry(b"b", Kind.HARDLINK, link=b"b")]]).file(b"b") is None
    assert (
        flat([[Entry(b"d", Kind.DIRECTORY), Entry(b"b", Kind.HARDLINK, link=b"d")]]).file(b"b")
        is None
    )


def test_a_hard_link_to_a_symbolic_link_is_one() -> None:
    layer = [
        Entry(b"file", Kind.FILE),
        Entry(b"a", Kind.SYMLINK, link=b"file"),
        Entry(b"b", Kind.HARDLINK, link=b"a"),
    ]
    assert flat([layer]).resolve(b"b") == b"file"


def test_a_tree_as_deep_as_a_layer_may_be() -> None:
    path = b"/".join([b"d"] * 5000)
    tree = flat([[Entry(path, Kind.FILE)]])
    assert sum(1 for _ in tree.walk()) == 5000 and tree.resolve(path) == path


def test_the_root_has_an_entry_of_its_own() -> None:
    tree = flat([[Entry(b"", Kind.DIRECTORY, 0o700), Entry(b"a", Kind.FILE)]])
    assert tree.root.entry.mode == 0o700 and tree.names(b"/") == [b"a"]
    assert [path for path, _ in tree.walk()] == [b"a"]
