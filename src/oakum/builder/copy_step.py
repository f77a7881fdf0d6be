"""COPY, ADD of local files, and WORKDIR: layers that are written without running anything.

Such a layer depends on its sources and on where they land: the directories above the destination
as the image has them, and the numbers that ``--chown``'s names stand for.  It does not depend on
the rest of the image, so it is carried unchanged over a parent that was built again.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from oakum.builder.accounts import parse_owner
from oakum.builder.add_sources import disk_item
from oakum.builder.cache import StepResult
from oakum.builder.context import Directory
from oakum.builder.copy_sources import flag_truth, sources_of
from oakum.builder.copying import Change, CopyPlan, Source, destination_of
from oakum.builder.ignore import Ignore, parse_patterns
from oakum.builder.memory import inputs_of_items
from oakum.builder.modes import parse_mode
from oakum.builder.stack import identity
from oakum.builder.state import StageState
from oakum.builder.steps import (
    NOT_TO_BE_USED,
    Found,
    NotCached,
    Stages,
    Workshop,
    check_flags,
)
from oakum.builder.target import Item, Target
from oakum.builder.tree_sources import file_item
from oakum.dockerfile import Instruction, heredoc_marker
from oakum.errors import BuildError
from oakum.layer import Entry, Kind, content_identity
from oakum.progress import Event
from oakum.tree import Tree

Opener = Callable[[], Iterator[bytes]]
_FLAGS = {
    *("from", "chown", "chmod", "link", "parents"),
    *("checksum", "exclude", "unpack", "keep-git-dir"),
}


def copy_step(
    shop: Workshop,
    stages: Stages,
    state: StageState,
    instruction: Instruction,
    expand: Callable[[str], str],
    stage: str,
) -> Found:
    """Carry out a COPY or ADD, or take its layer from the cache."""
    began = time.monotonic()
    check_flags(instruction, _FLAGS)
    *written, last = _words(instruction, expand)
    destination = destination_of(last, state.workdir)
    sources, newest = sources_of(shop, stages, state, instruction, written, expand)
    plan = _plan(shop, state, instruction, expand)
    plan.add(sources, destination)
    items = [_dated(item, newest) for item in plan.entries()]
    clamp = shop.request.source_date_epoch
    return _layer(shop, instruction, stage, "copy", items, clamp=clamp, epoch=newest, began=began)


def directory_step(
    shop: Workshop, directory: Directory, stage: str, instruction: Instruction
) -> Found:
    """The layer of a stage that begins with a named context: everything that it has."""
    began = time.monotonic()
    items = tuple(map(disk_item, directory.entries("")))
    newest = max((item.entry.mtime for item in items), default=0)
    plan = CopyPlan(Tree(), Change())
    plan.add([Source("", items)], destination_of("/", "/"))
    entries = list(plan.entries())
    clamp = shop.request.source_date_epoch
    return _layer(shop, instruction, stage, "copy", entries, clamp=clamp, epoch=newest, began=began)


def _layer(
    shop: Workshop,
    instruction: Instruction,
    stage: str,
    kind: str,
    items: Sequence[Item],
    *,
    clamp: int | None,
    epoch: int,
    began: float,
) -> Found:
    """The layer that holds `items`, from the cache or written now."""
    key = identity([kind, *(_identity(item) for item in items)])
    inputs = functools.partial(inputs_of_items, items)
    why = NOT_TO_BE_USED if shop.uncached(stage) else ""
    found = None if why else shop.cache.find(key, None)
    if found is not None:
        found = _timed(shop, key, found, items, clamp)
        return Found(found, True, time.monotonic() - began, key=key, inputs=inputs)
    if shop.request.only_cached:
        raise NotCached(stage, instruction)
    layer, content = shop.layering.write(_written(items, clamp))
    result = StepResult(layer, content, epoch=epoch, seconds=time.monotonic() - began)
    shop.remember(key, result)
    return Found(result, False, time.monotonic() - began, why, key=key, inputs=inputs)


def _timed(
    shop: Workshop, key: str, found: StepResult, items: Sequence[Item], clamp: int | None
) -> StepResult:
    """The result with the times that its items have now, where a build fixes times."""
    if clamp is None:
        return found
    (index,) = shop.snapshots.indexes([found.layer])
    times = [min(item.entry.mtime, clamp) for item in items]
    if times == [entry.mtime for entry in index.entries]:
        return found
    layer, content = shop.layering.write(_written(items, clamp))
    made = msgspec.structs.replace(found, layer=layer, content=content)
    shop.remember(key, made)
    return made


def copy_history(instruction: Instruction, expand: Callable[[str], str]) -> str:
    """What the history says of a COPY or ADD behind its keyword: heredocs stand after files."""
    flags = {flag.name: flag.value for flag in instruction.flags}
    shown = [f"--{n}={expand(flags[n] or '')}" for n in ("chown", "chmod") if n in flags]
    if "parents" in flags:
        shown.insert(0, "--parents")
    *sources, destination = _words(instruction, expand)
    heredocs = [f"<<{heredoc.name}" for heredoc in instruction.heredocs]
    files = [word for word in sources if not (heredocs and heredoc_marker(word))]
    return " ".join([*shown, *files, *heredocs, destination])


def _words(instruction: Instruction, expand: Callable[[str], str]) -> list[str]:
    return [
        word if heredoc_marker(word) is not None and instruction.heredocs else expand(word)
        for word in instruction.arguments
    ]


def _plan(
    shop: Workshop, state: StageState, instruction: Instruction, expand: Callable[[str], str]
) -> CopyPlan:
    mode_text = expand(instruction.flag("chmod") or "")
    mode = parse_mode(mode_text) if mode_text else None
    # A linked layer stands on nothing; BuildKit links none whose modes are changed.
    linked = flag_truth(instruction, "link", False) and mode is None
    tree = Tree() if linked else shop.snapshots.tree(state.stack.layers)
    owner = None
    text = expand(instruction.flag("chown") or "")
    if text:
        files = shop.files(() if linked else state.stack.layers, tree)
        owner, unknown = parse_owner(text, files.read("etc/passwd"), files.read("etc/group"))
        if unknown:
            shop.progress(Event("chown", "note", f"line {instruction.first_line}: {unknown}"))
    patterns = "\n".join(expand(f.value or "") for f in instruction.flags if f.name == "exclude")
    change = Change(owner, mode, Ignore(parse_patterns(os.fsencode(patterns))))
    return CopyPlan(tree, change, lambda path: file_item(shop, state, tree, path))


def _dated(item: Item, newest: int) -> Item:
    """The item with a time: directories that were made get the newest of the sources."""
    if item.entry.mtime or item.entry.kind is not Kind.DIRECTORY:
        return item
    return msgspec.structs.replace(item, entry=msgspec.structs.replace(item.entry, mtime=newest))


def _identity(item: Item) -> bytes:
    return msgspec.msgpack.encode(content_identity(item.entry))


def _written(items: Sequence[Item], clamp: int | None) -> Iterator[tuple[Entry, Opener | None]]:
    for item in items:
        entry = item.entry
        if clamp is not None and entry.mtime > clamp:
            entry = msgspec.structs.replace(entry, mtime=clamp)
        yield entry, item.content


def workdir_step(shop: Workshop, state: StageState, stage: str, line: Instruction) -> Found:
    """The layer of a WORKDIR: the directory where it is missing, owned by the stage's user."""
    began = time.monotonic()
    tree = shop.snapshots.tree(state.stack.layers)
    target = Target(tree)
    path = target.resolve(os.fsencode(state.workdir))
    if target.entry(path) is None:
        owner = (0, 0)
        if state.user:
            files = shop.files(state.stack.layers, tree)
            owner, _ = parse_owner(state.user, files.read("etc/passwd"), files.read("etc/group"))
        target.make_directories(path, 0o755, owner)
    elif not target.is_directory(path):
        raise BuildError(
            f"the working directory /{os.fsdecode(path)} is not a directory", "name another one"
        )
    items = [_dated(item, state.epoch) for item in target.entries()]
    clamp = shop.request.source_date_epoch
    return _layer(shop, line, stage, "workdir", items, clamp=clamp, epoch=0, began=began)
