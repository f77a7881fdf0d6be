"""``RUN apt-get update`` in a step of its own: it must run again when a later step needs new lists.

Its text does not change, so the cache has it, with the lists of the day that it ran, and no newer
version can be installed from those.
"""

from __future__ import annotations

from collections.abc import Iterator

from oakum.builder import run_mark
from oakum.dockerfile import Instruction, Survey
from oakum.verbs.draft import Draft
from oakum.verbs.project import Project, stage_name


def outdated_lists(project: Project, survey: Survey, draft: Draft) -> frozenset[tuple[str, str]]:
    """The steps, by stage and mark, that give their lists to the steps that a draft raises."""
    updates = {(u.stage, u.instruction.first_line): u for u in survey.updates}
    steps = {(step.stage, step.run): step.line for step in project.runs()}
    lines = {(one.stage, steps.get((one.stage, one.run))) for one in draft.raised}
    lines |= {(change.stage, change.line) for change in draft.changes if change.kind == "pin"}
    found = set()
    for name, line in lines:
        before: list[tuple[str, Instruction]] = []
        for index, stage, instruction in _runs(project, name):
            if line is not None and instruction.first_line <= line <= instruction.last_line:
                own = updates.get((index, instruction.first_line))
                if own is not None and own.needed and before:
                    found.add((before[-1][0], run_mark(before[-1][1])))
                break
            update = updates.get((index, instruction.first_line))
            if update is not None and not update.needed:
                before.append((stage, instruction))
    return frozenset(found)


def _runs(project: Project, name: str) -> Iterator[tuple[int, str, Instruction]]:
    """The RUNs of a stage and of those that it is built on, the first of them first."""
    last = next((stage for stage in project.stages if stage_name(stage) == name), None)
    for stage in project.chain(last) if last is not None else []:
        for instruction in stage.instructions:
            if instruction.keyword == "RUN":
                yield stage.index, stage_name(stage), instruction
