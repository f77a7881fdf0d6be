"""One step as values: what to run, in which root, and what it may see and use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from oakum.dockerfile import DEFAULT_PATH

DEFAULT_SHM = 64 * 1024 * 1024
DEFAULT_PIDS = 4096
"""Processes and threads of a step, so that one cannot take all that the machine may have."""
OFFERED = "/dev/.oakum"
"""Directory of offered files in a step; on the runtime's own tmpfs, so never in a layer."""


class User(msgspec.Struct, frozen=True):
    """Who runs the step: numbers, as the image's own files give them."""

    uid: int = 0
    """User ID."""
    gid: int = 0
    """Primary group ID."""
    groups: tuple[int, ...] = ()
    """Supplementary group IDs."""
    home: str = "/root"
    """Value of HOME unless the step's environment has one."""


class Mount(msgspec.Struct, frozen=True):
    """Something that is laid over a path of the step's root while it runs."""

    kind: Literal["bind", "tmpfs"]
    """A directory or file of this machine, or an empty file system in memory."""
    target: str
    """Absolute path in the step; symlinks in it are followed inside the root only."""
    source: Path | None = None
    """What a bind shows."""
    readonly: bool = False
    """Whether writing is refused."""
    size: int | None = None
    """Bytes that a tmpfs may hold; None: the kernel's default, half of the memory."""
    mode: int | None = None
    """Permissions of a tmpfs's root; None: 0o1777."""
    uid: int = 0
    """Owner of a tmpfs's root."""
    gid: int = 0
    """Group of a tmpfs's root."""


class Ulimit(msgspec.Struct, frozen=True):
    """A resource limit, as ``--ulimit name=soft:hard`` gives it."""

    name: str
    """Name without ``RLIMIT_``, in lower case: ``nofile``."""
    soft: int
    """Soft limit; -1: unlimited."""
    hard: int
    """Hard limit; -1: unlimited."""


class Limits(msgspec.Struct, frozen=True):
    """What a step may use of the machine, as docker's flags of the same names give it."""

    memory: int | None = None
    """Bytes of memory; None: no limit."""
    memory_swap: int | None = None
    """Bytes of memory and swap space together, -1 for any; None: twice `memory`."""
    cpu_shares: int | None = None
    """Weight against others, 2 to 262144; 1024 is usual."""
    cpu_period: int | None = None
    """Microseconds that `cpu_quota` is for; None: 100000."""
    cpu_quota: int | None = None
    """Microseconds of processor time in each period."""
    cpuset_cpus: str = ""
    """Processors that it may use: ``0-3``, ``0,1``."""
    cpuset_mems: str = ""
    """Memory nodes that it may use."""
    pids: int = DEFAULT_PIDS
    """Processes and threads at a time; -1: no limit."""

    def named(self) -> list[str]:
        """The flags of what a control group alone can keep."""
        given = {
            "--memory": self.memory,
            "--memory-swap": self.memory_swap,
            "--cpu-shares": self.cpu_shares,
            "--cpu-period": self.cpu_period,
            "--cpu-quota": self.cpu_quota,
            "--cpuset-cpus": self.cpuset_cpus or None,
            "--cpuset-mems": self.cpuset_mems or None,
        }
        return [flag for flag, value in given.items() if value is not None]


class Step(msgspec.Struct, frozen=True):
    """A process to run in a root file system."""

    root: Path
    """A mounted, writable root file system."""
    argv: tuple[str, ...]
    """The program, looked up in the PATH of `env` inside the root, and its arguments."""
    env: tuple[str, ...] = ()
    """``K=V``; PATH and HOME are added when they are not there."""
    cwd: str = "/"
    """Working directory in the step."""
    user: User = User()
    """Who runs it."""
    mounts: tuple[Mount, ...] = ()
    """What is laid over the root, in this order."""
    network: Literal["default", "host", "none"] = "default"
    """``default`` is the machine's network, as ``host`` is; ``none`` has a loopback only."""
    add_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address) lines for /etc/hosts; the address ``host-gateway`` is this machine."""
    hostname: str = "buildkitsandbox"
    """What ``hostname`` says."""
    shm_size: int | None = None
    """Bytes of /dev/shm; None: 64 MiB."""
    ulimits: tuple[Ulimit, ...] = ()
    """Resource limits; the caller's own otherwise."""
    limits: Limits = Limits()
    """What it may use."""
    cgroup_parent: str | None = None
    """Control group that the step's is made in; None: the caller's own."""
    security: Literal["sandbox", "insecure"] = "sandbox"
    """``insecure`` has all capabilities, devices and system calls (RUN --security)."""
    files: dict[str, bytes] = {}
    """Files that the step can read as ``/dev/.oakum/NAME``."""

    def environment(self) -> tuple[str, ...]:
        """`env` with PATH and HOME."""
        names = {entry.partition("=")[0] for entry in self.env}
        added = {"PATH": DEFAULT_PATH, "HOME": self.user.home}
        return (*self.env, *(f"{k}={v}" for k, v in added.items() if k not in names))
