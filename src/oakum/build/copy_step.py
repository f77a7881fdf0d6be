"""COPY, ADD of local files, and WORKDIR: layers that are written without running anything.

Such a layer depends on its sources and on where they land: the directories above the destination
as the image has them, and the numbers that ``--chown``'s names stand for.  It does not depend on
the rest of the image, so it is carried unchanged over a parent that was built again.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from oakum.build.accounts import parse_owner
from oakum.build.add_sources import archive_source, remote_source
from oakum.build.cache import StepResult
from oakum.build.context import Directory, SourceEntry
from oakum.build.copying import CopyPlan, Destination, Item, Source, destination_of, parse_mode
from oakum.build.stack import identity
from oakum.build.state import StageState
from oakum.build.steps import Found, NotCached, Stages, Workshop
from oakum.build.tree_sources import tree_sources
from oakum.dockerfile import Instruction, expand_raw, heredoc_marker
from oakum.errors import BuildError, DockerfileError, Unsupported
from oakum.layer import Entry, Kind, content_identity
from oakum.layer.disk import file_content
from oakum.tree import Tree

Opener = Callable[[], Iterator[bytes]]
_FLAGS = {"from", "chown", "chmod", "link", "checksum"}
_MAX_HEREDOC = 16 << 20


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
    _check_flags(instruction)
    *written, last = _words(instruction, expand)
    destination = destination_of(last, state.workdir)
    sources, newest = _sources(shop, stages, state, instruction, written, expand)
    _check_destination(instruction, sources, destination)
    plan, tree = _plan(shop, state, instruction, expand)
    plan.add(sources, destination)
    items = list(plan.entries())
    key = identity(["copy", *(_identity(item) for item in items)])
    found = None if _uncached(shop, stage) else shop.cache.find(key, None)
    if found is not None:
        return Found(found, True, time.monotonic() - began)
    if shop.request.only_cached:
        raise NotCached(stage, instruction)
    del tree
    layer, content = shop.layering.write(_written(items, shop.request.source_date_epoch))
    result = StepResult(layer, content, {}, newest, seconds=time.monotonic() - began)
    shop.cache.put(key, result)
    return Found(result, False, time.monotonic() - began)


def _uncached(shop: Workshop, stage: str) -> bool:
    return shop.request.no_cache or stage in shop.request.no_cache_filter


def _check_flags(instruction: Instruction) -> None:
    for flag in instruction.flags:
        if flag.name not in _FLAGS:
            raise Unsupported(
                f"line {instruction.first_line}: {instruction.keyword} --{flag.name} is not "
                f"built yet: {instruction.original}",
                "build this Dockerfile with docker for now",
            )


def _words(instruction: Instruction, expand: Callable[[str], str]) -> list[str]:
    return [
        word if heredoc_marker(word) is not None and instruction.heredocs else expand(word)
        for word in instruction.arguments
    ]


def _sources(
    shop: Workshop,
    stages: Stages,
    state: StageState,
    instruction: Instruction,
    written: Sequence[str],
    expand: Callable[[str], str],
) -> tuple[list[Source], int]:
    sources: list[Source] = []
    origin = instruction.flag("from")
    heredocs = list(instruction.heredocs)
    for text in written:
        marker = heredoc_marker(text) if heredocs else None
        if marker is not None:
            sources.append(_heredoc(heredocs.pop(0), state, expand))
        elif origin is not None:
            sources += _from(shop, stages, expand(origin), text)
        elif instruction.keyword == "ADD" and text.startswith(("http://", "https://")):
            checksum = instruction.flag("checksum")
            sources.append(remote_source(shop, text, expand(checksum) if checksum else None))
        elif instruction.keyword == "ADD" and _is_git(text):
            raise Unsupported(
                f"line {instruction.first_line}: ADD of a git repository is not built yet: "
                f"{instruction.original}",
                "clone it before the build, or in a RUN step",
            )
        else:
            sources += _local(shop, stages, instruction, text)
    newest = max((item.entry.mtime for s in sources for item in s.items), default=0)
    return sources, newest


def _is_git(text: str) -> bool:
    return text.startswith(("git@", "git://", "ssh://")) or text.partition("#")[0].endswith(".git")


def _heredoc(heredoc: object, state: StageState, expand: Callable[[str], str]) -> Source:
    from oakum.dockerfile import Heredoc

    assert isinstance(heredoc, Heredoc)
    text = heredoc.text
    if heredoc.expand:
        text = expand_raw(text, state.variables({}))
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > _MAX_HEREDOC:
        raise BuildError("a heredoc of more than 16 MiB", "put it into a file of the context")
    return Source(heredoc.name, (memory_item(b"", data),))


def memory_item(path: bytes, data: bytes, mode: int = 0o644, mtime: int = 0) -> Item:
    """A file whose content is in memory."""
    import hashlib

    digest = hashlib.sha256(data).digest()
    entry = Entry(path, Kind.FILE, mode, 0, 0, len(data), mtime, digest=digest)
    return Item(entry, lambda: iter((data,)))


def _local(shop: Workshop, stages: Stages, instruction: Instruction, text: str) -> list[Source]:
    directory = stages.directory_of("")
    if directory is None:
        raise BuildError(
            f"line {instruction.first_line}: there is no build context to copy {text!r} from",
            "name a directory as the context",
        )
    return [
        _directory_source(shop, directory, path, instruction.keyword == "ADD")
        for path in directory.expand(text)
    ]


def _directory_source(shop: Workshop, directory: Directory, path: str, unpack: bool) -> Source:
    entries = [_owned_by_root(entry) for entry in directory.entries(path)]
    name = posixpath.basename(path) or "."
    top = entries[0]
    if unpack and top.entry.kind is Kind.FILE:
        unpacked = archive_source(shop, name, top)
        if unpacked is not None:
            return unpacked
    return Source(name, tuple(_disk_item(entry) for entry in entries))


def _owned_by_root(found: SourceEntry) -> SourceEntry:
    entry = msgspec.structs.replace(found.entry, uid=0, gid=0)
    return SourceEntry(entry, found.source)


def _disk_item(found: SourceEntry) -> Item:
    source = found.source
    return Item(found.entry, (lambda: file_content(source)) if source else None)


def _from(shop: Workshop, stages: Stages, origin: str, text: str) -> list[Source]:
    directory = stages.directory_of(origin) if origin else None
    if directory is not None:
        return [_directory_source(shop, directory, path, False) for path in directory.expand(text)]
    state = stages.state_of(origin)
    if state is None:
        state = stages.image_of(origin)
    return tree_sources(shop, state, text)


def _check_destination(
    instruction: Instruction, sources: Sequence[Source], destination: Destination
) -> None:
    if len(instruction.arguments) > 2 and not destination.directory:
        raise DockerfileError(
            f"line {instruction.first_line}: when using {instruction.keyword} with more than one "
            f"source file, the destination must be a directory and end with a /: "
            f"{instruction.original}",
            "end the destination in '/'",
        )


def _plan(
    shop: Workshop, state: StageState, instruction: Instruction, expand: Callable[[str], str]
) -> tuple[CopyPlan, Tree]:
    tree = shop.snapshots.tree(state.stack.layers)
    owner = None
    text = instruction.flag("chown")
    if text:
        files = shop.files(state.stack.layers, tree)
        owner = parse_owner(expand(text), files.read("etc/passwd"), files.read("etc/group"))
    mode_text = instruction.flag("chmod")
    mode = parse_mode(expand(mode_text)) if mode_text else None
    return CopyPlan(tree, owner, mode), tree


def _identity(item: Item) -> bytes:
    return msgspec.msgpack.encode(content_identity(item.entry))


def _written(items: Sequence[Item], clamp: int | None) -> Iterator[tuple[Entry, Opener | None]]:
    for item in items:
        entry = item.entry
        if clamp is not None and entry.mtime > clamp:
            entry = msgspec.structs.replace(entry, mtime=clamp)
        yield entry, item.content if callable(item.content) else None


def workdir_step(shop: Workshop, state: StageState, stage: str, line: Instruction) -> Found:
    """The layer of a WORKDIR: the directory where it is missing, owned by root."""
    began = time.monotonic()
    tree = shop.snapshots.tree(state.stack.layers)
    path = os.fsencode(state.workdir.lstrip("/"))
    plan = CopyPlan(tree, None, None)
    if path and tree.lookup(path) is None:
        top = Item(Entry(b"", Kind.DIRECTORY, 0o755, mtime=state.epoch))
        plan.add([Source("", (top,))], Destination(state.workdir, True))
    items = list(plan.entries())
    key = identity(["workdir", *(_identity(item) for item in items)])
    found = None if _uncached(shop, stage) else shop.cache.find(key, None)
    if found is not None:
        return Found(found, True, time.monotonic() - began)
    if shop.request.only_cached:
        raise NotCached(stage, line)
    dated = [
        msgspec.structs.replace(
            item,
            entry=msgspec.structs.replace(item.entry, mtime=item.entry.mtime or state.epoch),
        )
        for item in items
    ]
    layer, content = shop.layering.write(_written(dated, None))
    result = StepResult(layer, content, epoch=0, seconds=time.monotonic() - began)
    shop.cache.put(key, result)
    return Found(result, False, time.monotonic() - began)
