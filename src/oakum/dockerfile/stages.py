"""Stages: each FROM and what follows it."""

from __future__ import annotations

import msgspec

from oakum.dockerfile.instruction import Dockerfile, Instruction


class Stage(msgspec.Struct, frozen=True):
    """A FROM and its instructions."""

    index: int
    """Position among the stages, from 0."""
    name: str | None
    """The name after AS, in lower case; None without one."""
    base: str
    """What is after FROM, variables unexpanded."""
    platform: str | None
    """Value of ``--platform``, variables unexpanded."""
    from_: Instruction
    """The FROM itself."""
    instructions: tuple[Instruction, ...]
    """What follows it, up to the next FROM."""


def stages(dockerfile: Dockerfile) -> tuple[tuple[Instruction, ...], tuple[Stage, ...]]:
    """The ARGs before the first FROM, and the stages."""
    instructions = dockerfile.instructions
    starts = [at for at, one in enumerate(instructions) if one.keyword == "FROM"]
    ends = [*starts[1:], len(instructions)]
    found = tuple(
        _stage(index, instructions[start:end])
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    return instructions[: starts[0]] if starts else instructions, found


def _stage(index: int, instructions: tuple[Instruction, ...]) -> Stage:
    from_, *rest = instructions
    name = from_.arguments[2].lower() if len(from_.arguments) == 3 else None
    return Stage(index, name, from_.arguments[0], from_.flag("platform"), from_, tuple(rest))


def find_stage(found: tuple[Stage, ...], name: str, before: int | None = None) -> Stage | None:
    """The last stage of that name (any case) or number, among those below index `before`."""
    known = found[:before]
    for stage in reversed(known):
        if stage.name == name.lower():
            return stage
    if name.isdecimal() and name.isascii() and int(name) < len(known):
        return known[int(name)]
    return None
