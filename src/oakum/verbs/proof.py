"""Is an image right?  Read from its layers; nothing of it is executed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

import msgspec

from oakum.builder import Image
from oakum.layer import Entry, Kind, Layer, index_blob
from oakum.layer.read import layer_members
from oakum.oci import Digest
from oakum.packages import (
    Package,
    audit,
    diversions,
    info_file,
    owned_paths,
    parse_md5sums,
)
from oakum.progress import Event, Progress, silent
from oakum.repository import compare_versions
from oakum.store import Store
from oakum.tree import Difference, PathChange, diff_trees
from oakum.verbs.derived import derived_reason
from oakum.verbs.interface import Fix, Problem, Proof
from oakum.verbs.sources import Content

_MOST_PROBLEMS = 200


class Expectation(msgspec.Struct, frozen=True):
    """What a verified image must show."""

    fixes: tuple[Fix, ...] = ()
    """Fixes that must be in."""
    old: Content | None = None
    """The image before, to explain every difference against."""
    rerun: frozenset[str] | None = None
    """Diff IDs of layers that steps made anew; None: every layer that the old image lacks."""


def prove(
    store: Store,
    image: Image,
    content: Content,
    expectation: Expectation,
    progress: Progress = silent,
) -> Proof:
    """Check fixes, package database, packages' files and, against an old image, every change."""
    progress(Event("verify", "start", f"verify {image.name or image.manifest.digest[:19]}"))
    problems = _missing_fixes(content, expectation.fixes)
    problems += _database(content, expectation.old)
    wrong, checked, notes = _files(store, content, expectation.old)
    problems += wrong
    changed = 0
    explained: dict[str, int] = {}
    if expectation.old is not None:
        unexplained, changed, explained = _paths(store, content, expectation)
        problems += unexplained
    progress(Event("verify", "done" if not problems else "failed"))
    return Proof(
        image=image.name,
        digest=image.manifest.digest,
        passed=not problems,
        problems=tuple(problems[:_MOST_PROBLEMS]),
        packages_checked=sum(p.installed for p in content.packages),
        files_checked=checked,
        paths_changed=changed,
        explained=explained,
        notes=tuple(notes),
    )


def _missing_fixes(content: Content, fixes: Sequence[Fix]) -> list[Problem]:
    installed = {p.key: p for p in content.packages if p.installed}
    problems = []
    for fix in fixes:
        package = installed.get((fix.package, fix.architecture))
        if package is None:
            same = [p for p in installed.values() if p.name == fix.package]
            if not same:
                continue
            package = same[0]
        if compare_versions(package.version, fix.fixed) < 0:
            detail = f"is {package.version}, {fix.fixed} was to be installed"
            problems.append(Problem("fix", fix.package, detail))
    return problems


def _database(content: Content, old: Content | None) -> list[Problem]:
    before = set(audit(old.files, old.packages)) if old else set()
    return [
        Problem("database", line.partition(":")[0], line)
        for line in audit(content.files, content.packages)
        if line not in before
    ]


# dpkg --verify: the files that packages ship are what they ship.


def _files(
    store: Store, content: Content, old: Content | None
) -> tuple[list[Problem], int, list[str]]:
    shipped, missing = _shipped(content)
    before = _shipped(old)[0] if old else {}
    doubtful: dict[int, dict[bytes, _Shipped]] = {}
    for where, one in shipped.items():
        if old is None or not _unchanged(where, one, before.get(where), old):
            doubtful.setdefault(one.layer, {})[one.entry.path] = one
    problems = []
    for number, files in sorted(doubtful.items()):
        places = {path: one.entry.offset for path, one in files.items()}
        found = _md5_of_layer(store, content.layers[number], places)
        problems += [
            Problem("files", f"/{one.path}", f"is not what {one.package} ships")
            for path, one in files.items()
            if found.get(path) != one.md5
        ]
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} files that packages ship are not there "
            f"(as in images without documentation), such as {missing[0]}"
        )
    return sorted(problems, key=lambda p: p.subject), len(shipped), notes


class _Shipped(msgspec.Struct, frozen=True):
    """A file that a package ships, where it is in the image."""

    package: str
    """Name and version."""
    path: str
    """As the package names it."""
    md5: str
    """As the package has it."""
    layer: int
    """Number of the layer that it is in."""
    entry: Entry
    """What is there."""


def _shipped(content: Content) -> tuple[dict[bytes, _Shipped], list[str]]:
    """The files that packages ship with an md5, without conffiles; and those that are missing."""
    found: dict[bytes, _Shipped] = {}
    missing: list[str] = []
    any_diverted = bool(diversions(content.files))
    tree = content.files.tree
    for package in content.packages:
        sums = info_file(content.files, package, "md5sums") if package.installed else None
        conffiles = {path for path, _ in package.conffiles}
        diverted = diversions(content.files, package.name) if any_diverted and sums else {}
        name = f"{package.name} {package.version}"
        for path, digest in parse_md5sums(sums) if sums else ():
            if path in conffiles:
                continue
            where = os.fsencode(diverted.get(path, path))
            node = tree.file(where)
            if node is None:
                missing.append(f"{package.name}: {path}")
            else:
                found[where] = _Shipped(name, path, digest, node.layer, node.entry)
    return found, missing


def _unchanged(where: bytes, now: _Shipped, before: _Shipped | None, old: Content) -> bool:
    """Whether the old image has the same file, and expected the same there.

    Then it is as it was: a difference from what the package ships is not this change's doing.
    """
    if before is not None and before.md5 == now.md5:
        return before.entry.digest == now.entry.digest
    there = old.files.tree.file(where)
    return before is None and there is not None and there.entry.digest == now.entry.digest


def _md5_of_layer(store: Store, layer: Layer, places: Mapping[bytes, int]) -> dict[bytes, str]:
    """md5 of files of a layer, computed once and kept; the layer is read no further than needed.

    `places` gives the offset of each file: of members of one name the tree shows the last.
    """
    raw = store.records.get("md5", layer.diff_id)
    known: dict[bytes, str] = msgspec.msgpack.decode(raw, type=dict[bytes, str]) if raw else {}
    wanted = set(places.keys() - known.keys())
    if not wanted:
        return known
    found = dict(known)
    for header, content in layer_members(store, layer.descriptor.digest):
        if header.path not in wanted or header.offset != places[header.path]:
            continue
        hasher = hashlib.md5(usedforsecurity=False)
        for piece in content:
            hasher.update(piece)
        found[header.path] = hasher.hexdigest()
        wanted.discard(header.path)
        if not wanted:
            break
    store.records.put("md5", layer.diff_id, msgspec.msgpack.encode(found))
    return found


# Every path that changed is explained.


def _paths(
    store: Store, content: Content, expectation: Expectation
) -> tuple[list[Problem], int, dict[str, int]]:
    old = expectation.old
    assert old is not None
    owned = _owned_by_changed(old, content)
    old_layers = {layer.diff_id for layer in old.layers}
    rerun = expectation.rerun
    new_layers = [
        layer.diff_id in rerun if rerun is not None else layer.diff_id not in old_layers
        for layer in content.layers
    ]
    foreign = _removed_by_no_step(store, content, new_layers, old_layers)
    problems: list[Problem] = []
    explained = {"package": 0, "step": 0, "derived": 0}
    total = 0
    for change in diff_trees(old.files.tree, content.files.tree):
        total += 1
        reason = _explain(change, owned, new_layers, foreign)
        if reason is None:
            problems.append(
                Problem(
                    "paths",
                    f"/{os.fsdecode(change.path)}",
                    f"{change.how} and neither a package nor a step explains it",
                )
            )
        else:
            explained[reason] += 1
    return problems, total, explained


def _explain(
    change: PathChange, owned: set[bytes], new_layers: Sequence[bool], foreign: set[bytes]
) -> str | None:
    if change.path in owned:
        return "package"
    node = change.new or change.old
    assert node is not None
    link = node.entry.link if node.entry.kind is Kind.SYMLINK else b""
    if derived_reason(change.path, link) is not None:
        return "derived"
    if change.how is Difference.REMOVED:
        return None if _is_below(change.path, foreign) else "step"
    layer = node.layer
    return "step" if 0 <= layer < len(new_layers) and new_layers[layer] else None


def _removed_by_no_step(
    store: Store, content: Content, new_layers: Sequence[bool], old_layers: set[Digest]
) -> set[bytes]:
    """Paths that a layer takes away which is neither the old image's nor a step's."""
    found: set[bytes] = set()
    for layer, is_step in zip(content.layers, new_layers, strict=True):
        if is_step or layer.diff_id in old_layers:
            continue
        index = index_blob(store, layer.descriptor, layer.diff_id)
        found |= {entry.path for entry in index.entries if entry.kind is not Kind.DIRECTORY}
    return found


def _is_below(path: bytes, places: set[bytes]) -> bool:
    while path:
        if path in places:
            return True
        path = path.rpartition(b"/")[0]
    return False


def _owned_by_changed(old: Content, new: Content) -> set[bytes]:
    """Paths of every package that was added, removed or changed, as the tree has them."""
    before: Mapping[tuple[str, str], Package] = {p.key: p for p in old.packages}
    after = {p.key: p for p in new.packages}
    owned: set[bytes] = set()
    for key in before.keys() | after.keys():
        was, is_now = before.get(key), after.get(key)
        if was and is_now and was.version == is_now.version:
            continue
        for content, package in ((old, was), (new, is_now)):
            if package is not None:
                owned |= _resolved(content, owned_paths(content.files, package))
    return owned


def _resolved(content: Content, paths: Sequence[str]) -> set[bytes]:
    """Paths as shipped and as they are on a system whose ``/lib`` is a link to ``/usr/lib``."""
    resolve: Callable[[bytes], bytes | None] = content.files.tree.resolve
    found = set()
    parents: dict[bytes, bytes | None] = {}
    for path in paths:
        raw = os.fsencode(path)
        found.add(raw)
        parent, _, name = raw.rpartition(b"/")
        if parent not in parents:
            parents[parent] = resolve(parent)
        real = parents[parent]
        if real is not None:
            found.add(real + b"/" + name if real else name)
    return found
