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
    todo: list[tuple[bytes, Node | None, Node | None]] = [(b"", old.root, new.root)]
    while todo:
        path, was, is_now = todo.pop()
        change = _change(path, was, is_now) if path else None
        if change is not None:
            yield change
        before, after = _children(was), _children(is_now)
        for name in sorted(before.keys() | after.keys(), reverse=True):
            at = path + b"/" + name if path else name
            todo.append((at, before.get(name), after.get(name)))


def _children(node: Node | None) -> dict[bytes, Node]:
    return (node.children or {}) if node is not None else {}


def _change(path: bytes, old: Node | None, new: Node | None) -> PathChange | None:
    if old is None:
        return PathChange(path, Difference.ADDED, None, new)
    if new is None:
        return PathChange(path, Difference.REMOVED, old, None)
    same = old.entry is new.entry and old.file is new.file
    if same or _identity(old) == _identity(new):
        return None
    return PathChange(path, Difference.CHANGED, old, new)


def _identity(node: Node) -> tuple[object, ...]:
    if node.file is None:
        return content_identity(node.entry)[1:]
    # A file has one identity, under whichever of its names the archive holds it.
    return (Kind.FILE.value, *content_identity(node.file)[2:])
