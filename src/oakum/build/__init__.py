"""Building images: stages, the cache, steps in a sandbox, layers from their results."""

from oakum.build.build import (
    Built,
    build,
    dockerfile_path,
    lock_path,
    read_dockerfile,
    read_lock,
)
from oakum.build.export import export
from oakum.build.images import Image, Images
from oakum.build.prune import Pruned, prune
from oakum.build.request import BuildRequest, Secret
from oakum.build.run_step import run_mark
from oakum.build.stage_builder import platform_args
from oakum.build.state import StageState
from oakum.build.steps import NotCached, StepReport

__all__ = [
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
