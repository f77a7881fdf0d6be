"""What a step may use of the machine, for a control group or as the kernel's rlimits."""

from __future__ import annotations

import resource
from typing import Any

import msgspec

from oakum.builder.sandbox.capabilities import granted
from oakum.builder.sandbox.cgroups import limits_swap
from oakum.builder.sandbox.namespace import in_user_namespace
from oakum.builder.sandbox.runtime import Runtime
from oakum.builder.sandbox.step import Limits, Step, Ulimit
from oakum.errors import SandboxError

ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rss", "rtprio", "rttime", "sigpending", "stack"),
)
"""The names that docker takes (setrlimit(2))."""


def resources(limits: Limits) -> dict[str, Any]:
    """The limits in ``linux.resources`` of a runtime configuration (OCI runtime spec)."""
    memory: dict[str, int] = {}
    if limits.memory is not None:
        memory["limit"] = limits.memory
        if limits.memory_swap is not None or limits_swap():
            twice = 2 * limits.memory
            memory["swap"] = twice if limits.memory_swap is None else limits.memory_swap
    cpu = {
        "shares": limits.cpu_shares,
        "period": limits.cpu_period,
        "quota": limits.cpu_quota,
        "cpus": limits.cpuset_cpus or None,
        "mems": limits.cpuset_mems or None,
    }
    found: dict[str, Any] = {
        "memory": memory,
        "cpu": {name: value for name, value in cpu.items() if value is not None},
        "pids": {"limit": limits.pids} if limits.pids > 0 else {},
    }
    return {name: values for name, values in found.items() if values}


def kept(runtime: Runtime, step: Step) -> Step:
    """The step with what this runtime can keep of its limits; SandboxError if that is not all.

    Without a control group the number of processes is the kernel's RLIMIT_NPROC, which counts the
    processes of one user in this user namespace, and does not hold for the machine's root.
    """
    for limit in step.ulimits:
        _check_raise(limit)
    if runtime.cgroups:
        return step
    named = step.limits.named() + (["--cgroup-parent"] if step.cgroup_parent else [])
    if named:
        raise SandboxError(
            f"{runtime.name} gives steps no control group here, so {named[0]} cannot be kept",
            "leave it out, or run as root with runc or crun where control groups can be written",
        )
    if step.limits.pids < 0 or any(one.name == "nproc" for one in step.ulimits):
        return step
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = step.limits.pids if hard < 0 else min(step.limits.pids, hard)
    return msgspec.structs.replace(step, ulimits=(*step.ulimits, Ulimit("nproc", most, most)))


def _check_raise(limit: Ulimit) -> None:
    """Who may not raise a limit above the hard one is told so, which no runtime does well."""
    if not in_user_namespace() and "CAP_SYS_RESOURCE" in granted(everything=True):
        return
    number = getattr(resource, f"RLIMIT_{limit.name.upper()}", None)
    hard = -1 if number is None else resource.getrlimit(number)[1]
    if hard >= 0 and not 0 <= limit.hard <= hard:
        raise SandboxError(
            f"--ulimit {limit.name}={limit.soft}:{limit.hard} is above {hard}, "
            "the most that this user may have",
            "lower it, raise the user's own limit, or run as root",
        )
