"""One step as values: what to run, in which root, and what it may see and use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHM = 64 * 1024 * 1024
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
