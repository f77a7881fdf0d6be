"""Where steps run: a root made of layers, seen by one process tree and by nothing else."""

from oakum.build.sandbox.accounts import resolve_user
from oakum.build.sandbox.certificates import (
    OfferedCertificates,
    offer_ca,
    proxy_environment,
    withdraw_ca,
)
from oakum.build.sandbox.mount_points import (
    Prepared,
    make_stubs,
    prepare_mount_points,
    remove_mount_points,
    resolve_in_root,
)
from oakum.build.sandbox.namespace import enter_user_namespace, in_user_namespace
from oakum.build.sandbox.overlay import clean_mounts, copy_root, mount_overlay
from oakum.build.sandbox.proof import find_runtime
from oakum.build.sandbox.run import CannotStart, run_step
from oakum.build.sandbox.runtime import Runtime
from oakum.build.sandbox.step import Mount, Step, Ulimit, User

__all__ = [
    "CannotStart",
    "Mount",
    "OfferedCertificates",
    "Prepared",
    "Runtime",
    "Step",
    "Ulimit",
    "User",
    "clean_mounts",
    "copy_root",
    "enter_user_namespace",
    "find_runtime",
    "in_user_namespace",
    "make_stubs",
    "mount_overlay",
    "offer_ca",
    "prepare_mount_points",
    "proxy_environment",
    "remove_mount_points",
    "resolve_in_root",
    "resolve_user",
    "run_step",
    "withdraw_ca",
]
