"""Carries out a Dockerfile: the stages that the target needs, side by side, from the cache
where a step's inputs are known."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec

from oakum.build.context import Directory
from oakum.build.copy_step import copy_history, copy_step, workdir_step
from oakum.build.ignore import Ignore, parse_patterns
from oakum.build.images import Images, reference_of
from oakum.build.instructions import CONFIG_INSTRUCTIONS, declare_args, workdir_of
from oakum.build.run_step import run_instruction
from oakum.build.stack import Stack
from oakum.build.state import StageState
from oakum.build.steps import Found, StepReport, Workshop
from oakum.dockerfile import (
    Dockerfile,
    Instruction,
    LockedBase,
    Stage,
    expand,
    find_stage,
    parse_args,
    parse_dockerfile,
    parse_mount,
    stages,
)
from oakum.errors import BuildError, DockerfileError, OakumError, Unsupported, UsageError
from oakum.oci import Platform, host_platform, parse_platform
from oakum.progress import Event

_MAX_TRIGGERS = 200


class Solved(msgspec.Struct, frozen=True):
    """A build that is done, before an image is put together."""

    state: StageState
    """The target stage."""
    stages: dict[str, StageState]
    """Every stage that was needed, by name or number."""
    steps: tuple[StepReport, ...]
    """What became of every instruction, in the order of the Dockerfile."""
    bases: tuple[LockedBase, ...]
    """What the names of images resolved to."""
    dockerfile: Dockerfile
    """The Dockerfile that was built."""


class Solver:
    """One build."""

    def __init__(self, shop: Workshop, dockerfile: Dockerfile, images: Images) -> None:
        self._shop = shop
        self._request = shop.request
        self._images = images
        self._dockerfile = dockerfile
        self._globals, self._stages = stages(dockerfile)
        self._lock = threading.Lock()
        self._futures: dict[int, Future[StageState]] = {}
        self._reports: dict[tuple[int, int], StepReport] = {}
        self._bases: dict[tuple[str, str], LockedBase] = {}
        self._directories: dict[str, Directory | None] = {}
        self._image_states: dict[str, StageState] = {}

    def solve(self) -> Solved:
        """Build the target; raises the first error of any stage and stops the others."""
        target = self._target()
        needed = self._needed(target)
        with ThreadPoolExecutor(max(1, len(needed)), "stage") as pool:
            # Every stage has a thread of its own and only ever waits for earlier stages, so no
            # wait can be for a stage that has no thread.
            for index in sorted(needed):
                self._futures[index] = pool.submit(self._guarded, self._stages[index])
            try:
                self._wait()
            except BaseException:
                self._shop.cancelled.set()
                raise
        for directory in self._directories.values():
            if directory is not None:
                directory.remember()
        by_name = {stage_name(self._stages[i]): f.result() for i, f in self._futures.items()}
        reports = tuple(report for _, report in sorted(self._reports.items()))
        bases = tuple(base for _, base in sorted(self._bases.items()))
        state = by_name[stage_name(target)]
        return Solved(state, by_name, reports, bases, self._dockerfile)

    def _wait(self) -> None:
        pending = set(self._futures.values())
        first: BaseException | None = None
        while pending:
            done = {future for future in pending if future.done()}
            for future in done:
                error = future.exception()
                if error is not None and (first is None or isinstance(first, _Stopped)):
                    first = error
                    self._shop.cancelled.set()
            pending -= done
            if pending and not done:
                try:
                    next(iter(pending)).result(0.05)
                except TimeoutError:
                    continue
                except BaseException:
                    continue
        if first is not None:
            raise first

    def _guarded(self, stage: Stage) -> StageState:
        try:
            return self._build(stage)
        except BaseException:
            self._shop.cancelled.set()
            raise

    def _target(self) -> Stage:
        wanted = self._request.target
        if not self._stages:
            raise DockerfileError(f"{self._dockerfile.name} has no FROM", "begin it with FROM")
        if wanted is None:
            return self._stages[-1]
        found = find_stage(self._stages, wanted)
        if found is None:
            names = ", ".join(stage.name for stage in self._stages if stage.name)
            raise UsageError(
                f"there is no stage {wanted!r} in {self._dockerfile.name}",
                f"its named stages are: {names or 'none'}",
            )
        return found

    def _needed(self, target: Stage) -> set[int]:
        needed: set[int] = set()
        todo = [target]
        while todo:
            stage = todo.pop()
            if stage.index in needed:
                continue
            needed.add(stage.index)
            for name in self._mentioned(stage):
                other = find_stage(self._stages, name, stage.index)
                if other is not None and name not in self._request.contexts:
                    todo.append(other)
        return needed

    def _mentioned(self, stage: Stage) -> list[str]:
        """Names that may be stages: the base, ``COPY --from``, ``RUN --mount=from``."""
        names = [self._expand_global(stage.base, stage.from_)]
        for instruction in stage.instructions:
            inner = instruction.onbuild or instruction
            names += [flag.value or "" for flag in inner.flags if flag.name == "from"]
            if inner.keyword == "RUN":
                names += [
                    parse_mount(flag.value or "", lambda text: text).from_
                    for flag in inner.flags
                    if flag.name == "mount"
                ]
        return [name for name in names if name]

    def _global_args(self) -> dict[str, str]:
        known = platform_args(self._request.platform, self._request.target)
        for instruction in self._globals:
            for name, default in parse_args(instruction):
                if name in self._request.build_args:
                    known[name] = self._request.build_args[name]
                elif default is not None:
                    known[name] = expand(default, known, self._dockerfile.escape)
        return known

    def _expand_global(self, text: str, instruction: Instruction) -> str:
        name = expand(text, self._global_args(), self._dockerfile.escape)
        if not name:
            raise DockerfileError(
                f"{self._dockerfile.name}:{instruction.first_line}: base name ({text}) should not "
                f"be blank: {instruction.original}",
                "give the ARG before FROM a default, or pass --build-arg",
            )
        return name

    # What a stage asks of the others (the protocol `Stages`).

    def state_of(self, name: str, before: int | None = None) -> StageState | None:
        """The finished stage of that name or number; waits for it."""
        stage = find_stage(self._stages, name, before)
        if stage is None:
            return None
        return self._await(self._futures[stage.index])

    def _await(self, future: Future[StageState]) -> StageState:
        while True:
            try:
                return future.result(0.1)
            except TimeoutError:
                if self._shop.cancelled.is_set() and not future.done():
                    raise _Stopped() from None
            except BaseException as error:
                raise _Stopped() from error

    def directory_of(self, name: str) -> Directory | None:
        """The main build context (empty name), or a named one that is a directory."""
        with self._lock:
            if name not in self._directories:
                self._directories[name] = self._open_directory(name)
            return self._directories[name]

    def _open_directory(self, name: str) -> Directory | None:
        if not name:
            root = self._request.context
            if root is None:
                return None
            return Directory(self._shop.store, root, self._ignore(root))
        place = self._request.contexts.get(name)
        if place is None or "://" in place:
            return None
        root = Path(place).absolute()
        if not root.is_dir():
            raise UsageError(f"--build-context {name}: {root} is not a directory", "check it")
        return Directory(self._shop.store, root, _ignore_file(root / ".dockerignore"))

    def _ignore(self, root: Path) -> Ignore:
        file = self._request.dockerfile or root / "Dockerfile"
        own = file.with_name(file.name + ".dockerignore")
        return _ignore_file(own if own.is_file() else root / ".dockerignore")

    def image_of(self, name: str) -> StageState:
        """The state of an image that something is copied from."""
        with self._lock:
            known = self._image_states.get(name)
        if known is None:
            known = self._image(name, self._request.platform)
            with self._lock:
                self._image_states[name] = known
        return known

    # Building one stage.

    def _build(self, stage: Stage) -> StageState:
        state = self._base(stage)
        builder = _StageBuilder(self, self._shop, stage, state)
        for instruction in self._triggers(state):
            builder.carry_out(instruction)
        state.runtime.pop("OnBuild", None)
        for instruction in stage.instructions:
            builder.carry_out(instruction)
        return state

    def _triggers(self, state: StageState) -> list[Instruction]:
        texts = list(state.runtime.get("OnBuild") or [])
        if len(texts) > _MAX_TRIGGERS:
            raise BuildError("the base image has more than 200 ONBUILD triggers", "it is odd")
        found: list[Instruction] = []
        for text in texts:
            parsed = parse_dockerfile(f"FROM scratch\n{text}\n".encode(), "ONBUILD of the base")
            if any(i.keyword in ("FROM", "ONBUILD", "MAINTAINER") for i in parsed.instructions[1:]):
                raise BuildError(f"the base image's ONBUILD trigger {text[:200]!r} is not allowed")
            found += parsed.instructions[1:]
        return found

    def _base(self, stage: Stage) -> StageState:
        name = self._expand_global(stage.base, stage.from_)
        platform = self._request.platform
        if stage.platform:
            platform = parse_platform(self._expand_global(stage.platform, stage.from_))
        if name in self._request.contexts:
            return self._image(self._request.contexts[name], platform)
        parent = find_stage(self._stages, name, stage.index)
        if parent is not None:
            waited = self._await(self._futures[parent.index])
            return waited.child()
        if name == "scratch":
            state = StageState(platform)
            state.runtime["WorkingDir"] = "/"
            state.require_path()
            return state
        return self._image(name, platform)

    def _image(self, name: str, platform: Platform) -> StageState:
        plain = name
        if name.startswith(("docker-image://", "oci-layout://")):
            plain = name.removeprefix("docker-image://")
            plain = plain.replace("oci-layout://", "oci:", 1)
        elif "://" in name:
            raise Unsupported(
                f"a build context at {name[:120]} is not built yet",
                "name a directory, docker-image://… or oci-layout://…",
            )
        lock = self._request.lock
        locked = lock.base(plain, str(platform)) if lock else None
        image = self._images.find(
            plain, platform, refresh=self._request.pull and locked is None, digest=locked
        )
        if not plain.startswith("oci:"):
            reference = reference_of(plain)
            digest = reference.digest or locked or image.root.digest
            with self._lock:
                self._bases[plain, str(platform)] = LockedBase(plain, str(platform), digest)
        state = StageState.of_image(image.config, Stack.of_base(image.layers))
        state.platform = platform
        state.epoch = _seconds(image.config.created)
        return state

    def report(self, stage: Stage, report: StepReport) -> None:
        """Keep what became of an instruction."""
        with self._lock:
            self._reports[stage.index, len(self._reports)] = report



class _Stopped(OakumError):
    """A stage gave up because another one failed."""

    def __init__(self) -> None:
        super().__init__("stopped, because another stage failed")


class _Around:
    """The other stages, as one stage sees them: only those before it."""

    def __init__(self, solver: Solver, stage: Stage) -> None:
        self._solver = solver
        self._stage = stage

    def state_of(self, name: str) -> StageState | None:
        return self._solver.state_of(name, self._stage.index)

    def directory_of(self, name: str) -> Directory | None:
        return self._solver.directory_of(name)

    def image_of(self, name: str) -> StageState:
        return self._solver.image_of(name)


class _StageBuilder:
    """Carries out the instructions of one stage, in order."""

    def __init__(self, solver: Solver, shop: Workshop, stage: Stage, state: StageState) -> None:
        self._solver = solver
        self._shop = shop
        self._stage = stage
        self._name = stage_name(stage)
        self._state = state
        self._around = _Around(solver, stage)
        self._runs = 0
        self._automatic = platform_args(shop.request.platform, shop.request.target)
        self._global = solver._global_args()

    def carry_out(self, instruction: Instruction) -> None:
        """One instruction: change the state, add a layer where it makes one, report."""
        if self._shop.cancelled.is_set():
            raise _Stopped()
        began = time.monotonic()
        try:
            found = self._step(instruction)
        except DockerfileError as error:
            raise self._located(error, instruction) from error
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
        self._solver.report(self._stage, report)

    def _located(self, error: DockerfileError, instruction: Instruction) -> DockerfileError:
        if f"line {instruction.first_line}:" in error.what:
            return error
        return type(error)(f"line {instruction.first_line}: {error.what}", error.todo)

    def _tell(self, instruction: Instruction, kind: str, text: str) -> None:
        task = task_name(self._name, instruction)
        self._shop.progress(Event(task, kind, text))  # type: ignore[arg-type]

    def _adopt(self, instruction: Instruction, found: Found) -> StepReport:
        result = found.result
        state = self._state
        state.stack = state.stack.plus(result.layer, result.content)
        state.lines.append(instruction.first_line)
        state.epoch = max(state.epoch, result.epoch)
        return StepReport(
            self._name,
            instruction.first_line,
            instruction.original,
            "cached" if found.cached else "ran",
            found.seconds,
            result.layer.diff_id,
            dict(result.packages),
            self._runs if instruction.keyword == "RUN" else 0,
            found.command,
            found.why,
        )

    def _expand(self, text: str) -> str:
        return expand(text, self._state.env, self._solver._dockerfile.escape)

    def _step(self, instruction: Instruction) -> Found | None:
        keyword = instruction.keyword
        state = self._state
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


def _seconds(created: str | None) -> int:
    if not created:
        return 0
    try:
        return max(0, int(datetime.fromisoformat(created[:19] + "+00:00").timestamp()))
    except ValueError:
        return 0


def _ignore_file(path: Path) -> Ignore:
    try:
        return Ignore(parse_patterns(path.read_bytes()))
    except FileNotFoundError:
        return Ignore(())
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}", "check it") from error


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
