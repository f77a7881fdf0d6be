"""Building images: stages, the cache, steps in a sandbox, layers from their results."""

from oakum.builder.build import (
    Built,
    build,
    dockerfile_path,
    lock_path,
    read_dockerfile,
    read_lock,
)
from oakum.builder.export import export
from oakum.builder.images import Image, Images
from oakum.builder.prune import Pruned, prune
from oakum.builder.request import Agent, BuildRequest, Secret
from oakum.builder.run_step import run_mark
from oakum.builder.stage_builder import platform_args
from oakum.builder.state import StageState
from oakum.builder.steps import NotCached, StepReport

__all__ = [
    "Agent",
    "BuildRequest",
    "Built",
    "Image",
    "Images",
    "NotCached",
    "Pruned",
    "Secret",
    "StageState",
    "StepReport",
    "build",
    "dockerfile_path",
    "export",
    "lock_path",
    "platform_args",
    "prune",
    "read_dockerfile",
    "read_lock",
    "run_mark",
]
