"""A Dockerfile together with what is known of its stages: bases, files, packages, repositories."""

from __future__ import annotations

from oakum.builder import (
    BuildRequest,
    Built,
    Image,
    platform_args,
    read_dockerfile,
)
from oakum.dockerfile import Given, Stage, base_of, find_stage, fixes_blocks, stages
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
    ) -> None:
        self.shelves = shelves
        self.request = request
        self.platforms = platforms or (request.platform,)
        self.built = built
        """The image of the sources, where it is known."""
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

    def chain(self) -> list[Stage]:
        """The stages that the target is built on, from the one on an image to the target."""
        target = find_stage(self.stages, self.request.target) if self.request.target else None
        stage: Stage | None = target or self.stages[-1]
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
