"""Building images: stages, the cache, steps in a sandbox, layers from their results."""

from oakum.builder.build import (
    Built,
    build,
    dockerfile_path,
    lock_path,
    read_dockerfile,
    read_lock,
    require_own_sources,
)
from oakum.builder.export import export
from oakum.builder.images import Image, Images
from oakum.builder.places import Place, opened_context, parse_place
from oakum.builder.prune import Pruned, prune
from oakum.builder.request import BuildRequest, Secret
from oakum.builder.run_step import run_mark
from oakum.builder.stage_builder import platform_args
from oakum.builder.state import StageState
from oakum.builder.steps import NotCached, StepReport

__all__ = [
    "BuildRequest",
    "Built",
    "Image",
    "Images",
    "NotCached",
    "Place",
    "Pruned",
    "Secret",
    "StageState",
    "StepReport",
    "build",
    "dockerfile_path",
    "export",
    "lock_path",
    "opened_context",
    "parse_place",
    "platform_args",
    "prune",
    "read_dockerfile",
    "read_lock",
    "require_own_sources",
    "run_mark",
]
