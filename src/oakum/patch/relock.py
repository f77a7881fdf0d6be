"""A lock's entries after its Dockerfile was edited: steps are worded and numbered anew."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oakum.build import run_mark
from oakum.dockerfile import Dockerfile, Instruction, LockedStep, fixes_blocks, in_block, stages


def relocated(
    steps: Iterable[LockedStep], before: Dockerfile, after: Dockerfile
) -> tuple[LockedStep, ...]:
    """The entries of `before`, for the same steps in `after`; those of a block that is gone go.

    `after` is `before` with other versions in it, and with a block of fixes more or less.
    """
    moves = _moves(before, after)
    found = []
    for step in steps:
        rows = moves.get(step.stage, [])
        at = [n for n, (mark, _, _) in enumerate(rows) if mark == step.command]
        if len(at) != 1:
            at = [step.run - 1] if step.run <= len(rows) else []
        if not at:
            found.append(step)
            continue
        mark, place, new_mark = rows[at[0]]
        if place is None:
            continue
        command = new_mark if step.command == mark else step.command
        run = step.run + place - at[0]
        found.append(msgspec.structs.replace(step, run=run, command=command))
    return tuple(found)


def _moves(before: Dockerfile, after: Dockerfile) -> dict[str, list[tuple[str, int | None, str]]]:
    """By stage, for each RUN before: its mark, its place among the RUNs after, its mark there."""
    moves = {}
    for (name, old), (_, new) in zip(_runs(before), _runs(after), strict=True):
        places = {True: [n for n, (_, own) in enumerate(new) if own], False: []}
        places[False] = [n for n, (_, own) in enumerate(new) if not own]
        rows: list[tuple[str, int | None, str]] = []
        for instruction, own in old:
            place = places[own].pop(0) if places[own] else None
            mark = run_mark(new[place][0]) if place is not None else ""
            rows.append((run_mark(instruction), place, mark))
        moves[name] = rows
    return moves


def _runs(dockerfile: Dockerfile) -> list[tuple[str, list[tuple[Instruction, bool]]]]:
    """By stage, its RUNs, each with whether it stands in oakum's own block of fixes."""
    blocks = fixes_blocks(dockerfile)
    return [
        (
            stage.name or str(stage.index),
            [(i, in_block(i, blocks)) for i in stage.instructions if i.keyword == "RUN"],
        )
        for stage in stages(dockerfile)[1]
    ]
