"""Building images: stages, the cache, steps in a sandbox, layers from their results."""

from oakum.builder.asking import check, list_targets, outline
from oakum.builder.assemble import LAST_SECOND
from oakum.builder.build import (
    Built,
    build,
    dockerfile_path,
    lock_path,
    read_dockerfile,
    read_lock,
    require_own_sources,
)
from oakum.builder.cache_format import CachePlace, parse_cache_place
from oakum.builder.disturbance import FIRST_HOSTNAME, Circumstances, disturbed
from oakum.builder.engines import EMBEDDED, EngineReport, find_engine
from oakum.builder.export import export
from oakum.builder.images import Image, Images
from oakum.builder.noise import rule_of
from oakum.builder.places import Place, opened_context, parse_place
from oakum.builder.platforms import BuiltIndex, build_index
from oakum.builder.prune import KINDS, Pruned, prune
from oakum.builder.request import Agent, BuildRequest, Secret
from oakum.builder.run_command import run_mark
from oakum.builder.stage_builder import platform_args
from oakum.builder.state import StageState
from oakum.builder.steps import NotCached, StepReport

__all__ = [
    "EMBEDDED",
    "FIRST_HOSTNAME",
    "KINDS",
    "LAST_SECOND",
    "Agent",
    "BuildRequest",
    "Built",
    "BuiltIndex",
    "CachePlace",
    "Circumstances",
    "EngineReport",
    "Image",
    "Images",
    "NotCached",
    "Place",
    "Pruned",
    "Secret",
    "StageState",
    "StepReport",
    "build",
    "build_index",
    "check",
    "disturbed",
    "dockerfile_path",
    "export",
    "find_engine",
    "list_targets",
    "lock_path",
    "opened_context",
    "outline",
    "parse_cache_place",
    "parse_place",
    "platform_args",
    "prune",
    "read_dockerfile",
    "read_lock",
    "require_own_sources",
    "rule_of",
    "run_mark",
]
