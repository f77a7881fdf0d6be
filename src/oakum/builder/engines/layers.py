"""Which instruction made which layer of an image that another builder made, and what that says.

The history of an image has a line for every instruction, but no line numbers: the lines behind
those of the base are compared with the instructions of the stages, one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from oakum.builder.engines.sources import Outline
from oakum.builder.images import Image, Images
from oakum.builder.run_command import run_mark
from oakum.builder.stack import Stack
from oakum.builder.stage_builder import stage_name
from oakum.builder.state import StageState
from oakum.builder.step_packages import STATUS, changed_packages
from oakum.builder.steps import StepReport
from oakum.dockerfile import Instruction, Stage
from oakum.layer import Layer, index_blob, known_kept
from oakum.oci import Config
from oakum.store import Store

_MADE = ("RUN", "COPY", "ADD", "WORKDIR")
"""Instructions that make layers."""
_NOP = re.compile(r"^/bin/sh -c #\(nop\) +")


class Reading(msgspec.Struct, frozen=True):
    """What an image and its Dockerfile tell of its steps."""

    stages: dict[str, StageState]
    """The target, and the stages that it is built on."""
    steps: tuple[StepReport, ...]
    """The instructions of those stages; none where layers could not be told apart."""

    @property
    def told(self) -> bool:
        """Whether it is known which instruction made which layer."""
        return bool(self.steps)


def read_steps(
    images: Images, outline: Outline, image: Image, root: Image | None, new: frozenset[str]
) -> Reading:
    """The stages and steps of an image; `new` are diff IDs of layers that were unknown before."""
    layers = image.layers
    makers = _makers(outline, image.config, root)
    if makers is None:
        state = StageState.of_image(image.config, Stack.of_base(layers))
        return Reading({stage_name(outline.target): state}, ())
    base = len(layers) - len(makers)
    packages = _packages(images, layers, base, makers)
    made = {id(maker): base + number for number, maker in enumerate(makers)}
    found: dict[str, StageState] = {}
    steps: list[StepReport] = []
    lines: list[int | None] = [outline.chain[0].from_.first_line] * base
    for stage in outline.chain:
        runs = 0
        for instruction in stage.instructions:
            number = made.get(id(instruction))
            runs += instruction.keyword == "RUN"
            steps.append(_step(stage, instruction, runs, layers, number, new, packages))
            if number is not None:
                lines.append(instruction.first_line)
        found[stage_name(stage)] = _state(outline, image, stage, layers[: len(lines)], lines)
    return Reading(found, tuple(steps))


def _state(
    outline: Outline,
    image: Image,
    stage: Stage,
    layers: Sequence[Layer],
    lines: Sequence[int | None],
) -> StageState:
    stack = Stack.of_base(tuple(layers))
    if stage is outline.target:
        state = StageState.of_image(image.config, stack)
    else:
        state = StageState(outline.request.platform)
        state.stack = stack
    state.lines = list(lines)
    return state


def _step(
    stage: Stage,
    instruction: Instruction,
    runs: int,
    layers: Sequence[Layer],
    number: int | None,
    new: frozenset[str],
    packages: dict[int, dict[str, str]],
) -> StepReport:
    name, line, text = stage_name(stage), instruction.first_line, instruction.original
    if number is None:
        return StepReport(name, line, text, "config")
    diff_id = str(layers[number].diff_id)
    is_run = instruction.keyword == "RUN"
    return StepReport(
        name,
        line,
        text,
        "ran" if diff_id in new else "cached",
        layer=diff_id,
        packages=packages.get(number, {}),
        run=runs if is_run else 0,
        command=run_mark(instruction) if is_run else "",
    )


def _makers(outline: Outline, config: Config, root: Image | None) -> list[Instruction] | None:
    """For every layer above the base's the instruction that made it; None when it is not clear."""
    if root is None and outline.base_name(outline.chain[0]) != "scratch":
        return None
    below = root.config.diff_ids if root else ()
    if config.diff_ids[: len(below)] != below:
        return None
    history = config.document.get("history") or []
    known = len(root.config.document.get("history") or []) if root else 0
    made = [_keyword(line) for line in history[known:] if not line.get("empty_layer")]
    if len(made) != len(config.diff_ids) - len(below):
        return None
    todo = [i for stage in outline.chain for i in stage.instructions if i.keyword in _MADE]
    return _matched(made, todo)


def _matched(made: Sequence[str], todo: Sequence[Instruction]) -> list[Instruction] | None:
    """The instructions that made layers, in order; a WORKDIR need not have made one."""
    found: list[Instruction] = []
    rest = list(todo)
    for keyword in made:
        while rest and rest[0].keyword == "WORKDIR" != keyword:
            rest.pop(0)
        if not rest or rest[0].keyword != keyword:
            return None
        found.append(rest.pop(0))
    return None if any(one.keyword != "WORKDIR" for one in rest) else found


def _keyword(line: dict[str, object]) -> str:
    """The instruction that a line of history speaks of: BuildKit's words, or docker's of old."""
    text = str(line.get("created_by") or "")
    plain = _NOP.sub("", text)
    first = plain.split(None, 1)[0] if plain.split() else ""
    return first if first in _MADE else "RUN"


def _packages(
    images: Images, layers: Sequence[Layer], base: int, makers: Sequence[Instruction]
) -> dict[int, dict[str, str]]:
    """For each layer of a RUN that has dpkg's database: what it changed in it."""
    store = images.store
    found: dict[int, dict[str, str]] = {}
    ready = False
    for number, maker in enumerate(makers, base):
        after = known_kept(store, layers[number].diff_id).get(STATUS.encode())
        if maker.keyword != "RUN" or after is None:
            continue
        if not ready:
            images.fetch(layers[:base])
            for layer in layers[:base]:
                index_blob(store, layer.descriptor, layer.diff_id)
            ready = True
        found[number] = changed_packages(_before(store, layers[:number]), after)
    return found


def _before(store: Store, layers: Sequence[Layer]) -> bytes | None:
    for layer in reversed(layers):
        status = known_kept(store, layer.diff_id).get(STATUS.encode())
        if status is not None:
            return status
    return None
