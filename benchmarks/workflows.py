"""Both workflows: a pin of an image that is built and pushed is raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.archive import Pins
from benchmarks.measure import Sample
from benchmarks.tools import Oakum, Tool
from benchmarks.world import World, write_app

Samples = dict[str, list[Sample]]
"""What each tool took, one a repetition."""


@dataclass(frozen=True)
class Project:
    """A build context whose Dockerfile pins some packages."""

    name: str
    place: Path
    pins: Pins
    text: Callable[[str, str], str]
    """The Dockerfile, for a list of pinned packages and a comment in their RUN."""

    def write(self, versions: dict[str, str], comment: str = "") -> None:
        pinned = " ".join(f"{name}={version}" for name, version in versions.items())
        (self.place / "Dockerfile").write_text(self.text(pinned, comment))


def one_stage(world: World) -> Project:
    """The first workflow: a web server and an application."""
    place = world.context("workflow-1")
    write_app(place / "app")

    def text(pinned: str, comment: str) -> str:
        return (
            f"FROM {world.base}\n"
            f"RUN apt-get update && apt-get install -y {pinned}{comment}\n"
            "COPY ./app /app\n"
            'CMD ["/app/run"]\n'
        )

    return Project("workflow-1", place, _server(world), text)


def two_stages(world: World) -> Project:
    """The second workflow: a builder with a pinned tool; the final stage's dependency is raised."""
    place = world.context("workflow-2")
    write_app(place / "app-source")
    (place / "app-source" / "Makefile").write_text(
        "all:\n\tmkdir -p /out && cat file-* >/out/data && cp run /out/run\n"
    )
    pins = world.archive.pending("openssl", "curl", "libxml2-utils", without=_server(world))
    make = world.archive.newest("make")

    def text(pinned: str, comment: str) -> str:
        return (
            f"FROM {world.base} AS builder\n"
            f"RUN apt-get update && apt-get install -y --no-install-recommends make={make}\n"
            "COPY ./app-source /src\n"
            "RUN make -C /src\n"
            f"FROM {world.base}\n"
            f"RUN apt-get update && apt-get install -y --no-install-recommends {pinned}{comment}\n"
            "COPY --from=builder /out /app\n"
            'CMD ["/app/run"]\n'
        )

    return Project("workflow-2", place, pins, text)


def raise_a_pin(world: World, project: Project) -> Samples:
    """All tools build and push the old version; then, in turns, each goes to the new one."""
    old, new = (f"{world.registry.host}/{{}}/{project.name}:{tag}" for tag in ("1.0", "1.0.1"))
    project.write(project.pins.old)
    for tool in world.builders:
        world.say(f"{project.name}: {tool.name} builds and pushes the old version")
        tool.build(project.place, old.format(tool.name))
        tool.push(old.format(tool.name))
    world.oakum.keep()
    before = world.registry.state()
    samples: Samples = {tool.name: [] for tool in world.builders}
    for number in range(world.runs):
        for tool in world.builders:
            sample = _raised(tool, project, new.format(tool.name), number)
            sample = replace(sample, pushed=world.registry.grown(before))
            world.registry.restore(before)
            samples[tool.name].append(sample)
            world.say(f"{project.name}: {tool.name} {sample.seconds:.2f} s")
    world.oakum.restore()
    return samples


def _raised(tool: Tool, project: Project, tag: str, number: int) -> Sample:
    """oakum starts from the store of the old version and from the Dockerfile of the old pin.

    The others get the Dockerfile with the new pin ready made.  Their caches cannot be set back, so
    a comment that is new each time keeps them from finding the step of the repetition before.
    """
    if isinstance(tool, Oakum):
        tool.restore()
        project.write(project.pins.old)
        return tool.rebuild(project.place, tag, tuple(project.pins.old))
    project.write(project.pins.new, comment=f" # repetition {number}")
    return tool.build(project.place, tag).then(tool.push(tag))


def _server(world: World) -> Pins:
    return world.archive.pending("nginx", "nginx-light", "apache2")
