"""Carries out a Dockerfile: the stages that the target needs, side by side, from the cache
where a step's inputs are known."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

import msgspec

from oakum.builder.bases import find_base
from oakum.builder.context import Directory
from oakum.builder.copy_step import directory_step
from oakum.builder.foreign import runs_here
from oakum.builder.ignore import context_ignore
from oakum.builder.images import Images
from oakum.builder.location import located, plain_kind
from oakum.builder.places import is_image, named_directory
from oakum.builder.refusals import refuse
from oakum.builder.stack import Stack
from oakum.builder.stage_builder import StageBuilder, Stopped, global_args, stage_name
from oakum.builder.stage_graph import StageGraph
from oakum.builder.state import PROXY_ARGS, StageState
from oakum.builder.steps import StepReport, Workshop
from oakum.dockerfile import (
    Dockerfile,
    Instruction,
    LockedBase,
    Stage,
    expand,
    parse_args,
    parse_dockerfile,
    stages,
)
from oakum.errors import BuildError, DockerfileError, OakumError, Unsupported
from oakum.oci import Config, Platform, parse_platform
from oakum.progress import Event

_TICK = 0.25
_MAX_TRIGGERS = 200
_TRIGGERS = "ONBUILD of the base"


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
        contexts = self._request.contexts
        self._graph = StageGraph(self._stages, self._base_name, contexts, dockerfile.name)
        self._lock = threading.Lock()
        self._directory_lock = threading.Lock()
        self._futures: dict[int, Future[StageState]] = {}
        self._reports: dict[int, list[StepReport]] = {}
        self._bases: dict[tuple[str, str], LockedBase] = {}
        self._directories: dict[str, Directory | None] = {}
        self._image_states: dict[str, StageState] = {}
        self.found: dict[tuple[str, Platform], Config] = {}
        """Configs of the images that were asked for, by place and platform."""

    def solve(self) -> Solved:
        """Build the target; raises the first error of any stage and stops the others."""
        target = self._graph.target(self._request.target)
        self._graph.check()
        self._note_unused_arguments()
        needed = self._graph.needed(target)
        for index in sorted(needed):
            for instruction in self._stages[index].instructions:
                refuse(instruction, self._dockerfile.name)
        with ThreadPoolExecutor(len(self._stages), "stage") as self._pool:
            # Every stage has a thread of its own and only ever waits for earlier stages, so no
            # wait can be for a stage that has no thread.
            for index in sorted(needed):
                self._future(self._stages[index])
            try:
                self._wait()
            except BaseException:
                self._shop.cancelled.set()
                raise
        for directory in self._directories.values():
            if directory is not None:
                directory.remember()
        by_name = {stage_name(self._stages[i]): f.result() for i, f in self._futures.items()}
        reports = tuple(one for _, some in sorted(self._reports.items()) for one in some)
        bases = tuple(base for _, base in sorted(self._bases.items()))
        state = by_name[stage_name(target)]
        return Solved(state, by_name, reports, bases, self._dockerfile)

    def foreign_run(self) -> Instruction | None:
        """The first RUN that the target needs and whose programs this machine cannot run."""
        target = self._graph.target(self._request.target)
        self._graph.check()
        for index in sorted(self._graph.needed(target)):
            stage = self._stages[index]
            run = next((one for one in stage.instructions if one.keyword == "RUN"), None)
            if run is not None and not runs_here(self._platform(stage)):
                return run
        return None

    def _platform(self, stage: Stage) -> Platform:
        """The platform of a stage: its own, that of the stage that it is built on, the build's."""
        if stage.platform:
            return parse_platform(self._expand_global(stage.platform, stage.from_))
        parent = self._graph.base(stage)
        return self._platform(parent) if parent is not None else self._request.platform

    def _note_unused_arguments(self) -> None:
        """Say which of the given build arguments no ARG declares; most often it is a slip."""
        declared = {
            name
            for instruction in self._dockerfile.instructions
            for one in (instruction, instruction.onbuild)
            if one is not None and one.keyword == "ARG"
            for name, _ in parse_args(one)
        }
        unused = self._request.build_args.keys() - declared - {*PROXY_ARGS}
        unused = {name for name in unused if not name.startswith("BUILDKIT_")}
        if unused:
            text = f"no ARG declares {', '.join(sorted(unused))}"
            self._shop.progress(Event("build arguments", "note", text))

    def _future(self, stage: Stage) -> Future[StageState]:
        """The stage's result to be; a base image's triggers may ask for stages late."""
        with self._lock:
            if stage.index not in self._futures:
                self._futures[stage.index] = self._pool.submit(self._guarded, stage)
            return self._futures[stage.index]

    def _wait(self) -> None:
        seen: set[Future[StageState]] = set()
        first: BaseException | None = None
        while pending := self._unseen(seen):
            # Again and again: a signal that another thread got wakes nobody here.
            done, _ = wait(pending, _TICK, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if error is not None and (first is None or isinstance(first, Stopped)):
                    first = error
                    self._shop.cancelled.set()
            seen |= done
        if first is not None:
            raise first

    def _unseen(self, seen: set[Future[StageState]]) -> set[Future[StageState]]:
        with self._lock:
            return set(self._futures.values()) - seen

    def _guarded(self, stage: Stage) -> StageState:
        try:
            return self._build(stage)
        except BaseException:
            self._shop.cancelled.set()
            raise

    def _base_name(self, stage: Stage) -> str:
        return self._expand_global(stage.base, stage.from_)

    def _global_args(self) -> dict[str, str]:
        return global_args(self._request, self._globals, self._dockerfile.escape)

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

    def state_of(self, stage: Stage, name: str) -> StageState | None:
        """The finished stage that `stage` calls so; waits for it."""
        found = self._graph.source(stage, name)
        return None if found is None else self._await(self._future(found))

    def _await(self, future: Future[StageState]) -> StageState:
        while True:
            try:
                return future.result(0.1)
            except TimeoutError:
                if self._shop.cancelled.is_set() and not future.done():
                    raise Stopped() from None
            except BaseException as error:
                raise Stopped() from error

    def directory_of(self, name: str) -> Directory | None:
        """The main build context (empty name), or a named one that is a directory."""
        # Opening one may take as long as the network does.
        with self._directory_lock:
            if name not in self._directories:
                self._directories[name] = self._open_directory(name)
            return self._directories[name]

    def _open_directory(self, name: str) -> Directory | None:
        if not name:
            root = self._request.context
            if root is None:
                return None
            ignore = context_ignore(root, self._request.beside, applies=self._request.ignores)
            owners = self._request.context_owners
            return Directory(self._shop.store, root, ignore, unpacked=owners)
        place = self._request.contexts.get(name)
        if place is None or is_image(place):
            return None
        shop = self._shop
        return named_directory(shop.store, shop.repositories, shop.downloads, name, place)

    def image_of(self, name: str) -> StageState:
        """The state of an image that something is copied from."""
        with self._lock:
            known = self._image_states.get(name)
        if known is None:
            place = self._request.contexts.get(name, name)
            known = self._image(place, self._request.platform)
            self._warn_of_platform(name, known.image_platform, known.platform)
            with self._lock:
                self._image_states[name] = known
        return known

    # Building one stage.

    def _build(self, stage: Stage) -> StageState:
        name = self._dockerfile.name
        try:
            state = self._base(stage)
        except OakumError as error:
            raise located(error, name, stage.from_) from error
        others = _Around(self, stage)
        builder = StageBuilder(self._shop, others, stage, state, self._global_args())
        self._reports[stage.index] = builder.reports
        for instruction in self._triggers(state):
            builder.carry_out(instruction, _TRIGGERS)
        state.runtime.pop("OnBuild", None)
        for instruction in stage.instructions:
            builder.carry_out(instruction, name)
        return state

    def _triggers(self, state: StageState) -> list[Instruction]:
        texts = list(state.runtime.get("OnBuild") or [])
        if len(texts) > _MAX_TRIGGERS:
            raise BuildError("the base image has more than 200 ONBUILD triggers", "it is odd")
        found: list[Instruction] = []
        for text in texts:
            parsed = parse_dockerfile(f"FROM scratch\n{text}\n".encode(), _TRIGGERS)
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
            directory = self.directory_of(name)
            if directory is not None:
                return self._on_directory(stage, directory, platform)
            return self._based(stage, self._request.contexts[name], platform)
        parent = self._graph.base(stage)
        if parent is not None:
            waited = self._await(self._future(parent))
            return waited.child()
        if name == "scratch":
            return self._empty(platform)
        return self._based(stage, name, platform)

    def _empty(self, platform: Platform) -> StageState:
        state = StageState(platform)
        state.image_platform = self._request.platform
        state.runtime["WorkingDir"] = "/"
        state.require_path()
        return state

    def _on_directory(self, stage: Stage, directory: Directory, platform: Platform) -> StageState:
        """The state of a stage whose base is a named context: its files, and no config."""
        state = self._empty(platform)
        result = directory_step(self._shop, directory, stage_name(stage), stage.from_).result
        state.stack = state.stack.plus(result.layer, result.content)
        state.lines.append(stage.from_.first_line)
        state.epoch = result.epoch
        state.add_history(f"COPY --from={stage.base} / / # buildkit", empty=False)
        return state

    def _based(self, stage: Stage, name: str, platform: Platform) -> StageState:
        """The state of an image that a stage begins with: its layers came by the FROM."""
        state = self._image(name, platform)
        state.lines = [stage.from_.first_line] * len(state.stack.layers)
        return state

    def _image(self, name: str, platform: Platform) -> StageState:
        try:
            found = find_base(self._images, self._request, name, platform)
        except Unsupported:
            raise
        except OakumError as error:
            raise self._perhaps_stage(error, name) from error
        image = found.image
        with self._lock:
            self.found[name, platform] = image.config
            if found.digest is not None:
                key = (found.plain, str(platform))
                self._bases[key] = LockedBase(*key, found.digest)
        state = StageState.of_image(image.config, Stack.of_base(image.layers))
        state.platform = platform
        state.epoch = _seconds(image.config.created)
        return state

    def _warn_of_platform(self, name: str, found: Platform, wanted: Platform) -> None:
        """An image that is no index is taken whatever it is for, as BuildKit takes it."""
        if found.architecture and found.architecture != wanted.architecture:
            text = f"{name} is an image for {found}, and {wanted} was asked for"
            self._shop.progress(Event(f"image {name}", "note", text))

    def _perhaps_stage(self, error: OakumError, name: str) -> OakumError:
        """The error of an image that was not found, when a stage may have been meant."""
        names = [stage.name for stage in self._stages if stage.name]
        kind = plain_kind(error)
        if not names or any(mark in name for mark in "/:@.") or kind is OakumError:
            return error
        return kind(error.what, f"no stage is called {name!r}; stages: {', '.join(names)}")


class _Around:
    """The other stages, as one stage sees them: only those before it."""

    def __init__(self, solver: Solver, stage: Stage) -> None:
        self._solver = solver
        self._stage = stage

    def state_of(self, name: str) -> StageState | None:
        return self._solver.state_of(self._stage, name)

    def directory_of(self, name: str) -> Directory | None:
        return self._solver.directory_of(name)

    def image_of(self, name: str) -> StageState:
        return self._solver.image_of(name)


def _seconds(created: str | None) -> int:
    if not created:
        return 0
    try:
        return max(0, int(datetime.fromisoformat(created[:19] + "+00:00").timestamp()))
    except ValueError:
        return 0
