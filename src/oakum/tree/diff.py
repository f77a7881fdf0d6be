"""What differs between two trees."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from oakum.layer import Kind, content_identity
from oakum.tree.tree import Node, Tree


class Difference(StrEnum):
    """How a path differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    """Type, content, mode, owner, link or attributes differ; a time alone does not count."""


class PathChange(msgspec.Struct, frozen=True):
    """A path that differs between two trees."""

    path: bytes
    """Relative path."""
    how: Difference
    """What happened to it."""
    old: Node | None
    """The path in the old tree."""
    new: Node | None
    """The path in the new tree."""


def diff_trees(old: Tree, new: Tree) -> Iterator[PathChange]:
    """Every path that differs, sorted.  Times are left out; a directory's content is not."""
    yield from _diff(b"", old.root, new.root)


def _diff(path: bytes, old: Node, new: Node) -> Iterator[PathChange]:
    before, after = old.children or {}, new.children or {}
    for name in sorted(before.keys() | after.keys()):
        at = path + b"/" + name if path else name
        was, is_now = before.get(name), after.get(name)
        if was is None:
            assert is_now is not None
            yield from _all(at, is_now, Difference.ADDED)
        elif is_now is None:
            yield from _all(at, was, Difference.REMOVED)
        else:
            if was.entry is not is_now.entry and _identity(was) != _identity(is_now):
                yield PathChange(at, Difference.CHANGED, was, is_now)
            yield from _diff(at, was, is_now)


def _identity(node: Node) -> tuple[object, ...]:
    identity = content_identity(node.entry)
    if node.entry.kind in (Kind.FILE, Kind.HARDLINK):
        return (Kind.FILE.value, *identity[2:5], *identity[6:8], identity[8])
    return identity[1:]


def _all(path: bytes, top: Node, how: Difference) -> Iterator[PathChange]:
    old, new = (None, top) if how is Difference.ADDED else (top, None)
    yield PathChange(path, how, old, new)
    for name, child in sorted((top.children or {}).items()):
        yield from _all(path + b"/" + name, child, how)
