"""Where COPY and ADD take files from: the context, a stage, an image, an address, the text."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from oakum.builder.add_sources import archive_source, disk_item, git_source, remote_source
from oakum.builder.context import Directory
from oakum.builder.copying import Source
from oakum.builder.downloads import is_web_address
from oakum.builder.git_address import parse_git_address
from oakum.builder.ignore import Ignore
from oakum.builder.state import StageState
from oakum.builder.steps import Stages, Workshop
from oakum.builder.target import Item
from oakum.builder.tree_sources import tree_sources
from oakum.builder.wildcards import has_wildcard
from oakum.dockerfile import Heredoc, Instruction, expand_raw, heredoc_marker
from oakum.errors import BuildError, DockerfileError
from oakum.layer import Entry, Kind

_MAX_HEREDOC = 16 << 20
Truth = TypeVar("Truth", bool, None)


def sources_of(
    shop: Workshop,
    stages: Stages,
    state: StageState,
    instruction: Instruction,
    written: Sequence[str],
    expand: Callable[[str], str],
) -> tuple[list[Source], int]:
    """What the `written` sources name, in their order, and the newest time of it.

    Raises `BuildError` for what is not there.
    """
    sources: list[Source] = []
    origin = instruction.flag("from")
    checksum = instruction.flag("checksum")
    heredocs = list(instruction.heredocs)
    adds = instruction.keyword == "ADD"
    parents = flag_truth(instruction, "parents", False)
    if checksum is not None and (len(written) != 1 or not _is_remote(written[0])):
        raise DockerfileError(
            "checksum requires HTTP(S) or Git sources, and just one", "leave it out"
        )
    digest = expand(checksum) if checksum else None
    for text in written:
        marker = heredoc_marker(text) if heredocs else None
        if marker is not None:
            sources.append(_heredoc(heredocs.pop(0), state))
        elif (address := parse_git_address(text)) is not None:
            if not adds:
                raise DockerfileError("source can't be a git ref for COPY", "use ADD")
            keep = flag_truth(instruction, "keep-git-dir", None)
            sources.append(git_source(shop, address, digest, keep))
        elif is_web_address(text):
            if not adds:
                raise DockerfileError("source can't be a URL for COPY", "use ADD")
            unpack = flag_truth(instruction, "unpack", False)
            sources.append(remote_source(shop, text, digest, unpack))
        elif origin is not None:
            sources += _from(shop, stages, expand(origin), text, parents)
        else:
            directory = stages.directory_of("")
            if directory is None:
                raise BuildError(
                    f"line {instruction.first_line}: there is no build context to copy {text!r} "
                    "from",
                    "name a directory as the context",
                )
            unpack = flag_truth(instruction, "unpack", adds)
            sources += _directory_sources(shop, directory, text, unpack, parents)
    newest = max((item.entry.mtime for s in sources for item in s.items), default=0)
    return sources, newest


def flag_truth(instruction: Instruction, name: str, default: Truth) -> bool | Truth:
    """Whether a flag that may be given as ``=false`` is set."""
    value = instruction.flag(name)
    return default if value is None else value.lower() != "false"


def _is_remote(text: str) -> bool:
    return is_web_address(text) or parse_git_address(text) is not None


def _heredoc(heredoc: Heredoc, state: StageState) -> Source:
    text = expand_raw(heredoc.text, state.env) if heredoc.expand else heredoc.text
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > _MAX_HEREDOC:
        raise BuildError("a heredoc of more than 16 MiB", "put it into a file of the context")
    digest = hashlib.sha256(data).digest()
    entry = Entry(b"", Kind.FILE, 0o644, size=len(data), digest=digest)
    return Source(heredoc.name, (Item(entry, lambda: iter((data,))),))


def _directory_sources(
    shop: Workshop, directory: Directory, text: str, unpack: bool, parents: bool
) -> list[Source]:
    if not parents:
        return [_directory_source(shop, directory, p, unpack) for p in directory.expand(text)]
    above, pattern = _pivot(text)
    include = Ignore((pattern,))
    found = [
        Source(
            posixpath.basename(path),
            tuple(map(disk_item, directory.entries(path, include.ignores))),
            include=include,
        )
        for path in directory.expand(above)
    ]
    return _required(found, text)


def _pivot(text: str) -> tuple[str, str]:
    """What ``COPY --parents`` copies: a pattern below a directory, which is before ``/./``."""
    above, mark, rest = text.partition("/./")
    if not mark:
        above, rest = "", text
    return above or "/", posixpath.normpath("/" + rest).lstrip("/") or "**"


def _required(found: list[Source], text: str) -> list[Source]:
    """The sources; `BuildError` when a path without wildcards names nothing."""
    named = any(
        source.include.ignores(os.fsdecode(item.entry.path))
        for source in found
        if source.include is not None
        for item in source.items[1:]
    )
    if not named and not has_wildcard(text):
        raise BuildError(
            f"{text!r}: not found, and COPY --parents has no wildcard", "check the path"
        )
    return found


def _directory_source(shop: Workshop, directory: Directory, path: str, unpack: bool) -> Source:
    entries = list(directory.entries(path))
    name = posixpath.basename(path) or "."
    top = entries[0]
    if unpack and top.entry.kind is Kind.FILE:
        unpacked = archive_source(shop, name, top.source)
        if unpacked is not None:
            return unpacked
    return Source(name, tuple(disk_item(entry) for entry in entries))


def _from(shop: Workshop, stages: Stages, origin: str, text: str, parents: bool) -> list[Source]:
    directory = stages.directory_of(origin) if origin else None
    if directory is not None:
        return _directory_sources(shop, directory, text, False, parents)
    state = stages.state_of(origin)
    if state is None:
        state = stages.image_of(origin)
    if not parents:
        return tree_sources(shop, state, text)
    above, pattern = _pivot(text)
    include = Ignore((pattern,))
    found = tree_sources(shop, state, above)
    return _required([msgspec.structs.replace(s, include=include) for s in found], text)
