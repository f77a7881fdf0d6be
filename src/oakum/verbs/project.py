"""A Dockerfile together with what is known of its stages: bases, files, packages, repositories."""

from __future__ import annotations

from oakum.builder import (
    BuildRequest,
    Built,
    Image,
    StepReport,
    platform_args,
    read_dockerfile,
    run_mark,
)
from oakum.dockerfile import (
    Given,
    Lock,
    LockedStep,
    Stage,
    base_of,
    find_stage,
    fixes_blocks,
    stages,
)
from oakum.oci import Platform
from oakum.repository import AptRepository
from oakum.verbs.sources import Content, Shelves


def stage_name(stage: Stage) -> str:
    """The stage's name, or its number."""
    return stage.name or str(stage.index)


class Project:
    """The sources of a build as they stand."""

    def __init__(
        self,
        shelves: Shelves,
        request: BuildRequest,
        platforms: tuple[Platform, ...],
        built: Built | None,
        lock: Lock | None,
        refused: frozenset[str] = frozenset(),
    ) -> None:
        self.shelves = shelves
        self.request = request
        self.platforms = platforms or (request.platform,)
        self.built = built
        """The image of the sources, where it is known."""
        self.lock = lock
        """The lock beside them."""
        self.refused = refused
        """Packages that steps install in versions of their own choice, whatever the lock says."""
        self.dockerfile = read_dockerfile(request)
        self.given = Given(
            dict(request.build_args), platform_args(request.platform, request.target)
        )
        self.stages = stages(self.dockerfile)[1]
        self.blocks = fixes_blocks(self.dockerfile)
        self.bases: dict[int, Image] = {}
        """By the index of a stage that is built on an image: that image, as it will be."""

    @property
    def architecture(self) -> str:
        """dpkg's word for the platform that is built."""
        return self.request.platform.debian_architecture()

    def runs(self) -> list[StepReport]:
        """The RUN steps with what they installed: as they were built, else as the lock has them.

        On a machine that never built the image, the lock is all that is known of them.
        """
        if self.built is not None:
            return [step for step in self.built.steps if step.run]
        return [self._locked(step) for step in self._locked_steps()]

    def _locked_steps(self) -> list[LockedStep]:
        platform = str(self.request.platform)
        return [s for s in (self.lock.steps if self.lock else ()) if s.platform == platform]

    def _locked(self, step: LockedStep) -> StepReport:
        instructions = [
            instruction
            for stage in self.stages
            if stage_name(stage) == step.stage
            for instruction in stage.instructions
            if instruction.keyword == "RUN"
        ]
        marked = [one for one in instructions if run_mark(one) == step.command]
        numbered = instructions[step.run - 1 : step.run]
        found = marked[0] if len(marked) == 1 else next(iter(numbered), None)
        return StepReport(
            step.stage,
            found.first_line if found else 0,
            found.original if found else "",
            "cached",
            packages=dict(step.packages),
            run=step.run,
            command=step.command,
        )

    def chain(self, last: Stage | None = None) -> list[Stage]:
        """The stages that the target (or `last`) is built on, from the one on an image to it."""
        target = find_stage(self.stages, self.request.target) if self.request.target else None
        stage: Stage | None = last or target or self.stages[-1]
        chain: list[Stage] = []
        while stage is not None:
            chain.insert(0, stage)
            name = base_of(self.dockerfile, stage, self.given).text
            stage = find_stage(self.stages, name, stage.index)
        return chain

    def root(self, stage: Stage) -> Stage:
        """The stage that brings the image below `stage` in."""
        while True:
            name = base_of(self.dockerfile, stage, self.given).text
            parent = find_stage(self.stages, name, stage.index)
            if parent is None:
                return stage
            stage = parent

    def content(self, stage: Stage) -> Content | None:
        """Files and packages of a stage: as it was built, else of the image that it is built on."""
        state = self.built.stages.get(stage_name(stage)) if self.built else None
        if state is not None:
            return self.shelves.content(state.stack.layers, state.platform)
        return self.base_content(stage)

    def base_content(self, stage: Stage) -> Content | None:
        """Files and packages of the image that a stage is built on."""
        image = self.bases.get(self.root(stage).index)
        return self.shelves.content(image.layers, self.request.platform) if image else None

    def repositories(self, content: Content) -> list[AptRepository]:
        """The repositories for every platform that pins must hold for, this build's own first."""
        names = [self.architecture, *(p.debian_architecture() for p in self.platforms)]
        return [self.shelves.repository(content, name) for name in dict.fromkeys(names)]
