"""Building images: stages, the cache, steps in a sandbox, layers from their results."""

from oakum.builder.build import (
    Built,
    build,
    dockerfile_path,
    lock_path,
    read_dockerfile,
    read_lock,
)
from oakum.builder.cache_format import CachePlace, parse_cache_place
from oakum.builder.disturbance import FIRST_HOSTNAME, Circumstances, disturbed
from oakum.builder.export import export
from oakum.builder.images import Image, Images
from oakum.builder.noise import rule_of
from oakum.builder.platforms import BuiltIndex, build_index
from oakum.builder.prune import Pruned, prune
from oakum.builder.request import BuildRequest, Secret
from oakum.builder.run_step import run_mark
from oakum.builder.stage_builder import platform_args
from oakum.builder.state import StageState
from oakum.builder.steps import NotCached, StepReport

__all__ = [
    "FIRST_HOSTNAME",
    "BuildRequest",
    "Built",
    "BuiltIndex",
    "CachePlace",
    "Circumstances",
    "Image",
    "Images",
    "NotCached",
    "Pruned",
    "Secret",
    "StageState",
    "StepReport",
    "build",
    "build_index",
    "disturbed",
    "dockerfile_path",
    "export",
    "lock_path",
    "parse_cache_place",
    "platform_args",
    "prune",
    "read_dockerfile",
    "read_lock",
    "rule_of",
    "run_mark",
]
