"""Where steps run: a root made of layers, seen by one process tree and by nothing else."""

from oakum.build.sandbox.mount_points import (
    Prepared,
    make_stubs,
    prepare_mount_points,
    remove_mount_points,
    resolve_in_root,
)
from oakum.build.sandbox.namespace import in_user_namespace
from oakum.build.sandbox.overlay import clean_mounts, copy_root, mount_overlay
from oakum.build.sandbox.proof import find_runtime
from oakum.build.sandbox.run import CannotStart, run_step
from oakum.build.sandbox.runtime import Runtime
from oakum.build.sandbox.step import Mount, Step, Ulimit, User

__all__ = [
    "CannotStart",
    "Mount",
    "Prepared",
    "Runtime",
    "Step",
    "Ulimit",
    "User",
    "clean_mounts",
    "copy_root",
    "find_runtime",
    "in_user_namespace",
    "make_stubs",
    "mount_overlay",
    "prepare_mount_points",
    "remove_mount_points",
    "resolve_in_root",
    "run_step",
]
