"""Building again when nothing changed."""

from __future__ import annotations

from benchmarks.workflows import Samples, one_stage
from benchmarks.world import World


def build_again(world: World) -> Samples:
    """The first workflow's image is there; each tool builds it again."""
    project = one_stage(world)
    project.write(project.pins.old)
    samples: Samples = {tool.name: [] for tool in world.builders}
    tag = f"{world.registry.host}/unchanged:1.0"
    for tool in world.builders:
        world.say(f"unchanged: {tool.name} builds")
        tool.build(project.place, tag)
    for _ in range(world.runs):
        for tool in world.builders:
            samples[tool.name].append(tool.build(project.place, tag))
    return samples
