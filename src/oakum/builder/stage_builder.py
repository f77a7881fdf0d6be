"""Carries out the instructions of one stage, in order."""

from __future__ import annotations

import time
from collections.abc import Iterable

from oakum.builder.copy_step import copy_history, copy_step, workdir_step
from oakum.builder.instructions import CONFIG_INSTRUCTIONS, declare_args, workdir_of
from oakum.builder.location import located
from oakum.builder.request import BuildRequest
from oakum.builder.run_step import run_instruction
from oakum.builder.state import StageState
from oakum.builder.steps import Found, Stages, StepReport, Workshop
from oakum.dockerfile import Instruction, Stage, expand, parse_args
from oakum.errors import DockerfileError, OakumError, Unsupported
from oakum.oci import Platform, host_platform
from oakum.progress import Event


class Stopped(OakumError):
    """A stage gave up because another one failed."""

    def __init__(self) -> None:
        super().__init__("stopped, because another stage failed")


class StageBuilder:
    """One stage while it is built."""

    def __init__(
        self,
        shop: Workshop,
        stages: Stages,
        stage: Stage,
        state: StageState,
        global_args: dict[str, str],
    ) -> None:
        self._shop = shop
        self._around = stages
        self._stage = stage
        self._name = stage_name(stage)
        self._state = state
        self.reports: list[StepReport] = []
        self._runs = 0
        self._automatic = platform_args(shop.request.platform, shop.request.target)
        self._global = global_args
        self._memory = shop.memory.stage(self._name, state.stack.content, stage.instructions)

    def carry_out(self, instruction: Instruction, file: str) -> None:
        """One instruction of `file`: change the state, add a layer where it makes one, report."""
        if self._shop.cancelled.is_set():
            raise Stopped()
        began = time.monotonic()
        try:
            found = self._step(instruction)
        except OakumError as error:
            raise located(error, file, instruction) from error
        if found is None:
            status = "config"
            report = StepReport(
                self._name,
                instruction.first_line,
                instruction.original,
                "config",
                run=0,
                seconds=time.monotonic() - began,
            )
        else:
            status = "cached" if found.cached else "ran"
            report = self._adopt(instruction, found)
        if status != "config":
            kind = "cached" if status == "cached" else "done"
            self._tell(instruction, kind, f"{found.seconds:.1f}s" if found else "")
        self.reports.append(report)

    def _tell(self, instruction: Instruction, kind: str, text: str) -> None:
        task = task_name(self._name, instruction)
        self._shop.progress(Event(task, kind, text))  # type: ignore[arg-type]

    def _adopt(self, instruction: Instruction, found: Found) -> StepReport:
        result = found.result
        state = self._state
        state.stack = state.stack.plus(result.layer, result.content)
        state.lines.append(instruction.first_line)
        state.epoch = max(state.epoch, result.epoch)
        why, changed = self._memory.built(
            instruction, found.key, result.content, found.inputs, ran=not found.cached
        )
        return StepReport(
            self._name,
            instruction.first_line,
            instruction.original,
            "cached" if found.cached else "ran",
            found.seconds,
            result.layer.diff_id,
            dict(result.packages),
            dict(result.files),
            self._runs if instruction.keyword == "RUN" else 0,
            found.command,
            found.why or why,
            found.key,
            changed,
        )

    def _expand(self, text: str) -> str:
        return expand(text, self._state.env, self._stage.from_.escape)

    def _step(self, instruction: Instruction) -> Found | None:
        keyword = instruction.keyword
        state = self._state
        if any("\udc80" <= character <= "\udcff" for character in instruction.original):
            raise DockerfileError(
                f"{keyword} is not valid UTF-8", "a config and its history hold text only"
            )
        if keyword in CONFIG_INSTRUCTIONS:
            CONFIG_INSTRUCTIONS[keyword](state, instruction, self._expand)
            return None
        if keyword == "ARG":
            given = dict(self._shop.request.build_args)
            inherited = {**self._automatic, **self._global}
            declare_args(state, instruction, self._expand, given, inherited)
            return None
        self._tell(instruction, "start", _label(self._name, instruction))
        if keyword == "RUN":
            self._runs += 1
            return run_instruction(
                self._shop, self._around, state, instruction, self._expand, self._name, self._runs
            )
        if keyword in ("COPY", "ADD"):
            found = copy_step(
                self._shop, self._around, state, instruction, self._expand, self._name
            )
            shown = copy_history(instruction, self._expand)
            state.add_history(f"{instruction.keyword} {shown} # buildkit", empty=False)
            return found
        if keyword == "WORKDIR":
            state.workdir = workdir_of(state, self._expand(instruction.arguments[0]))
            state.runtime["WorkingDir"] = state.workdir
            if state.workdir == "/":
                state.add_history("WORKDIR /", empty=True)
                return None
            found = workdir_step(self._shop, state, self._name, instruction)
            state.add_history(f"WORKDIR {state.workdir}", empty=False)
            return found
        raise Unsupported(
            f"line {instruction.first_line}: {keyword} is not built yet: {instruction.original}",
            "build this Dockerfile with docker for now",
        )


def _label(stage: str, instruction: Instruction) -> str:
    return f"[{stage}] {instruction.original}"


def task_name(stage: str, instruction: Instruction) -> str:
    """The name under which progress speaks of a step."""
    return f"step {stage}:{instruction.first_line}"


def stage_name(stage: Stage) -> str:
    """The stage's name, or its number."""
    return stage.name or str(stage.index)


def platform_args(target: Platform, stage: str | None) -> dict[str, str]:
    """The arguments that are there without being passed (Dockerfile reference)."""
    here = host_platform()
    found = {"TARGETSTAGE": stage or "default"}
    for prefix, platform in (("TARGET", target), ("BUILD", here)):
        found[f"{prefix}PLATFORM"] = str(platform)
        found[f"{prefix}OS"] = platform.os
        found[f"{prefix}ARCH"] = platform.architecture
        found[f"{prefix}VARIANT"] = platform.variant or ""
    return found


def global_args(
    request: BuildRequest, before: Iterable[Instruction], escape: str
) -> dict[str, str]:
    """The arguments that FROM sees; `before` are the ARGs that stand before the first."""
    known = platform_args(request.platform, request.target)
    for instruction in before:
        for name, default in parse_args(instruction):
            if name in request.build_args:
                known[name] = request.build_args[name]
            elif default is not None:
                known[name] = expand(default, known, escape)
    return known
