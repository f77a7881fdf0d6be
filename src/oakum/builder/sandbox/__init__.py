"""Where steps run: a root made of layers, seen by one process tree and by nothing else."""

from oakum.builder.sandbox.accounts import resolve_user
from oakum.builder.sandbox.certificates import (
    OfferedCertificates,
    offer_ca,
    proxy_environment,
    withdraw_ca,
)
from oakum.builder.sandbox.cgroups import clean_cgroups
from oakum.builder.sandbox.copied import copy_root
from oakum.builder.sandbox.failure import CannotStart
from oakum.builder.sandbox.mount_points import (
    Prepared,
    make_stubs,
    prepare_mount_points,
    remove_mount_points,
    resolve_in_root,
)
from oakum.builder.sandbox.namespace import (
    enter_user_namespace,
    in_user_namespace,
    keep_mounts_private,
)
from oakum.builder.sandbox.overlay import clean_mounts, mount_overlay
from oakum.builder.sandbox.private import in_memory, pinned
from oakum.builder.sandbox.process import Cancelled
from oakum.builder.sandbox.proof import find_runtime
from oakum.builder.sandbox.run import run_step
from oakum.builder.sandbox.runtime import Runtime
from oakum.builder.sandbox.snapshotter import Snapshotter, choose_snapshotter, stacked
from oakum.builder.sandbox.step import DEFAULT_PIDS, Limits, Mount, Step, Ulimit, User

__all__ = [
    "DEFAULT_PIDS",
    "Cancelled",
    "CannotStart",
    "Limits",
    "Mount",
    "OfferedCertificates",
    "Prepared",
    "Runtime",
    "Snapshotter",
    "Step",
    "Ulimit",
    "User",
    "choose_snapshotter",
    "clean_cgroups",
    "clean_mounts",
    "copy_root",
    "enter_user_namespace",
    "find_runtime",
    "in_memory",
    "in_user_namespace",
    "keep_mounts_private",
    "make_stubs",
    "mount_overlay",
    "offer_ca",
    "pinned",
    "prepare_mount_points",
    "proxy_environment",
    "remove_mount_points",
    "resolve_in_root",
    "resolve_user",
    "run_step",
    "stacked",
    "withdraw_ca",
]
