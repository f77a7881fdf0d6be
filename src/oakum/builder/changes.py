"""A step's upper directory as what changed, in one form whatever made it.

An overlay copies a file up that was only opened for writing, and marks a directory as opaque when
it takes a new name, whether or not there is anything to hide; a copied root does neither.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from oakum.layer import Entry, Kind
from oakum.layer.disk import (
    DiskEntry,
    file_content,
    hides_all,
    keep_time,
    place_whiteout,
    show_below,
)
from oakum.tree import Node, Tree


def unfold(upper: Path, below: Tree, *, marked: bool) -> None:
    """Put whiteouts for what an opaque directory hides of `below` in the place of its mark."""
    top = os.fsencode(upper)
    todo: list[tuple[bytes, Node | None, bool]] = [(b"", below.root, False)]
    while todo:
        path, node, inherited = todo.pop()
        here = top + b"/" + path if path else top
        info = os.lstat(here)
        with os.scandir(here) as listing:
            names = {item.name: item.is_dir(follow_symlinks=False) for item in listing}
        marks = hides_all(here, marked)
        lower = (node.children if node else None) or {}
        if marks or inherited:
            for name in lower.keys() - names.keys():
                place_whiteout(here + b"/" + name, marked)
        if marks:
            show_below(here, marked)
        if marks or inherited:
            keep_time(here, info)
        for name, is_directory in names.items():
            if is_directory:
                inside = path + b"/" + name if path else name
                todo.append((inside, lower.get(name), marks or inherited))


def changed_only(entries: Iterable[DiskEntry], below: Tree) -> Iterator[DiskEntry]:
    """The entries that are not in `below` just so, and the directories on the way to them.

    `entries` come sorted, parents first.
    """
    waiting: list[DiskEntry] = []
    for item in entries:
        entry = item.entry
        while waiting and not entry.path.startswith(waiting[-1].entry.path + b"/"):
            waiting.pop()
        if _is_same(item, below):
            if entry.kind is Kind.DIRECTORY:
                waiting.append(item)
            continue
        yield from waiting
        waiting.clear()
        yield item


def _is_same(item: DiskEntry, below: Tree) -> bool:
    entry = item.entry
    if entry.kind not in (Kind.DIRECTORY, Kind.FILE) or item.linked:
        return False
    node = below.at(entry.path)
    there = node and (node.file if entry.kind is Kind.FILE else node.entry)
    if not there or there.kind is not entry.kind or _outside(entry) != _outside(there):
        return False
    return entry.kind is Kind.DIRECTORY or _digest(item.source) == there.digest


def _outside(entry: Entry) -> tuple[object, ...]:
    """All of an entry but its content."""
    return (entry.mode, entry.uid, entry.gid, entry.size, entry.mtime, entry.xattrs or {})


def _digest(source: bytes) -> bytes:
    hasher = hashlib.sha256()
    for piece in file_content(source):
        hasher.update(piece)
    return hasher.digest()
