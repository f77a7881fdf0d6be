"""The block of fixes that oakum writes into a stage and keeps up to date."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from oakum.dockerfile.edits import Edit, NotEditable, apply_edits
from oakum.dockerfile.instruction import Dockerfile
from oakum.dockerfile.lines import line_starts
from oakum.dockerfile.parse import parse_dockerfile
from oakum.dockerfile.stages import Stage, find_stage, stages
from oakum.dockerfile.text import Span

BEGIN = "# oakum: fixes begin"
END = "# oakum: fixes end"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?")
_VERSION = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~-]*")
_ADVISORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]*")
_ITEM = re.compile(r"(?<=\s)([a-z0-9][a-z0-9+.:-]+)=([0-9][^\s\\`;&|]*)")

_COMMENT = re.compile(r"# ([a-z0-9][a-z0-9+.:-]+) [^\s:]+(?::[^\s:]+)*: (.+)")


class FixLine(msgspec.Struct, frozen=True):
    """One package of a block."""

    package: str
    """Name, with ``:architecture`` where needed."""
    version: str
    """The exact version."""
    advisories: tuple[str, ...] = ()
    """CVE numbers and the like that it closes."""


class FixesBlock(msgspec.Struct, frozen=True):
    """A block as it stands in a file."""

    stage: int
    """Index of the stage that it is in."""
    span: Span
    """From the first byte of its begin line to the last of its end line, line end included."""
    first_line: int
    last_line: int
    packages: tuple[tuple[str, str], ...]
    """Packages and their versions."""
    advisories: Mapping[str, tuple[str, ...]]
    """What each package's comment says that its fix closes."""


def fixes_blocks(dockerfile: Dockerfile) -> tuple[FixesBlock, ...]:
    """The blocks of the file; markers inside a heredoc are none.

    Raises `NotEditable` for a begin without an end.
    """
    raw = dockerfile.raw
    starts = line_starts(raw)
    inside = [h.span for one in dockerfile.instructions for h in one.heredocs]
    found: list[FixesBlock] = []
    begin: int | None = None
    for number, (start, end) in enumerate(itertools.pairwise(starts), 1):
        if any(span.start <= start < span.end for span in inside):
            continue
        text = raw[start:end].strip()
        if text == BEGIN.encode() and begin is None:
            begin = number
        elif text == END.encode() and begin is not None:
            span = Span(starts[begin - 1], end)
            found.append(_block(dockerfile, span, begin, number))
            begin = None
    if begin is not None:
        raise NotEditable(
            f"{dockerfile.name}:{begin}: {BEGIN!r} without {END!r}", "put the end line back"
        )
    return tuple(found)


def _block(dockerfile: Dockerfile, span: Span, first: int, last: int) -> FixesBlock:
    _, found = stages(dockerfile)
    stage = [one.index for one in found if one.from_.first_line < first]
    lines = dockerfile.raw[span.start : span.end].decode("utf-8", "replace").split("\n")
    items = [i for line in lines if not line.lstrip().startswith("#") for i in _ITEM.findall(line)]
    said = [_COMMENT.fullmatch(line.strip()) for line in lines]
    closes = {one[1]: tuple(_ADVISORY.findall(one[2])) for one in said if one}
    return FixesBlock(stage[-1] if stage else -1, span, first, last, tuple(items), closes)


def set_fixes_block(
    dockerfile: Dockerfile,
    stage: Stage,
    fixes: Sequence[FixLine],
    at: Literal["base", "end"] = "base",
    user: str | None = None,
) -> Edit | None:
    """The edit that gives the stage exactly this block; None where it has it already.

    `at` says where a new block goes: right after FROM, or at the stage's end; an existing one
    stays where it is.  `user` is the base image's USER.  Without fixes the block goes away.
    Raises `NotEditable`.
    """
    for fix in fixes:
        _check(fix)
    existing = [one for one in fixes_blocks(dockerfile) if one.stage == stage.index]
    if len(existing) > 1:
        raise NotEditable(
            f"{dockerfile.name}:{existing[1].first_line}: a second block of fixes in one stage",
            "delete one of them",
        )
    if existing:
        return _changed(dockerfile, stage, existing[0], fixes, user)
    if not fixes:
        return None
    position = _position(dockerfile, stage, at)
    before = _user(dockerfile, stage, dockerfile.line_of(position) if at == "base" else None, user)
    text = _text(dockerfile, fixes, before)
    edit = _inserted(dockerfile, position, text)
    edited = parse_dockerfile(apply_edits(dockerfile.raw, [edit]), dockerfile.name)
    if len(edited.instructions) != len(dockerfile.instructions) + _added(text):
        raise NotEditable(
            f"{dockerfile.name}:{dockerfile.line_of(position)}: no room for a block here",
            "end the line before it without the escape character",
        )
    return edit


def _changed(
    dockerfile: Dockerfile,
    stage: Stage,
    block: FixesBlock,
    fixes: Sequence[FixLine],
    user: str | None,
) -> Edit | None:
    old = dockerfile.raw[block.span.start : block.span.end]
    if not fixes:
        return Edit(block.span, b"", "the base has caught up: fixes removed")
    new = _text(dockerfile, fixes, _user(dockerfile, stage, block.first_line, user))
    if not old.endswith(b"\n"):
        new = new.rstrip(b"\r\n")
    return None if new == old else Edit(block.span, new, "fixes brought up to date")


def _check(fix: FixLine) -> None:
    right = _PACKAGE.fullmatch(fix.package) and _VERSION.fullmatch(fix.version)
    if not right or not all(_ADVISORY.fullmatch(one) for one in fix.advisories):
        raise NotEditable(
            f"not a package, version and advisories: {fix.package[:80]!r}, {fix.version[:80]!r}",
            "names from reports and archives are checked before they are written",
        )


def _position(dockerfile: Dockerfile, stage: Stage, at: Literal["base", "end"]) -> int:
    """Offset of the line that the block goes before; the file's length for its end."""
    starts = line_starts(dockerfile.raw)
    last = stage.from_ if at == "base" or not stage.instructions else stage.instructions[-1]
    return starts[last.last_line]


def _user(
    dockerfile: Dockerfile, stage: Stage, before_line: int | None, user: str | None
) -> str | None:
    """The USER in force before a line of the stage (None: at its end)."""
    parent = find_stage(stages(dockerfile)[1], stage.base, before=stage.index)
    if parent is not None:
        user = _user(dockerfile, parent, None, user)
    for one in stage.instructions:
        if before_line is not None and one.first_line >= before_line:
            break
        if one.keyword == "USER":
            user = one.arguments[0]
    return user


def _text(dockerfile: Dockerfile, fixes: Sequence[FixLine], user: str | None) -> bytes:
    escape = dockerfile.escape
    ordered = sorted(fixes, key=lambda fix: fix.package)
    lines = [BEGIN]
    for fix in ordered:
        closes = f": {', '.join(fix.advisories)}" if fix.advisories else ""
        lines.append(f"# {fix.package} {fix.version}{closes}")
    switch = (user or "").split(":")[0] not in ("", "root", "0")
    if switch:
        lines.append("USER root")
    lines.append(f"RUN apt-get update && DEBIAN_FRONTEND=noninteractive {escape}")
    lines.append(f"    apt-get install -y --no-install-recommends --only-upgrade {escape}")
    lines += [f"    {fix.package}={fix.version} {escape}" for fix in ordered]
    lines.append("    && rm -rf /var/lib/apt/lists/*")
    if switch:
        lines.append(f"USER {user}")
    lines.append(END)
    newline = _newline(dockerfile.raw)
    return "".join(f"{line}{newline}" for line in lines).encode("utf-8", "surrogateescape")


def _newline(raw: bytes) -> str:
    first = raw.find(b"\n")
    return "\r\n" if first > 0 and raw[first - 1 : first] == b"\r" else "\n"


def _inserted(dockerfile: Dockerfile, position: int, text: bytes) -> Edit:
    """The block before the line at `position`; a last line without a line end gets one."""
    raw = dockerfile.raw
    if position == len(raw) and not raw.endswith(b"\n"):
        newline = _newline(raw).encode()
        text = newline + text.removesuffix(newline)
    return Edit(Span(position, position), text, "fixes that the base image lacks")


def _added(text: bytes) -> int:
    """Instructions in a block: a RUN, and two USER where it is run as root for a while."""
    return 3 if b"\nUSER " in text else 1


def in_block(line: int, blocks: Sequence[FixesBlock]) -> bool:
    """Whether a line of the Dockerfile stands in one of the blocks."""
    return any(block.first_line <= line <= block.last_line for block in blocks)
