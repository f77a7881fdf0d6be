"""Control groups: what a killed runtime left behind, and one for a runtime that makes none."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "oakum-"
_TRIES = 100
"""Looks, 0.01 s apart, at whether a group is empty; what stays goes at the next start."""


def new_name() -> str:
    """Name for a container and its control group; it tells whose it is."""
    return f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"


def clean_cgroups(name: str | None = None, parent: str | None = None) -> None:
    """Remove the empty groups called `name`, or of all steps whose oakum is dead."""
    for directory in _directories(parent):
        names = [name] if name else _dead(directory)
        for one in names:
            with contextlib.suppress(OSError):
                os.rmdir(directory / one)


@contextlib.contextmanager
def counted(most: int) -> Iterator[list[str]]:
    """A group of at most `most` processes and threads; the words before a command that join it.

    No words where such a group cannot be made, or for -1.
    """
    group = _counting_group(most) if most > 0 else None
    if group is None:
        yield []
        return
    try:
        yield ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(group)]
    finally:
        for _ in range(_TRIES):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.01)


def _counting_group(most: int) -> Path | None:
    name = new_name()
    for directory in _directories(None):
        group = directory / name
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            if (group / "pids.max").exists():
                (group / "pids.max").write_text(str(most))
                return group
        except OSError:
            pass
        os.rmdir(group)
    return None


def limits_swap() -> bool:
    """Whether control groups of this machine can limit swap space."""
    names = ("memory.memsw.limit_in_bytes", "memory.swap.max")
    return any((one / name).exists() for one in _directories(None) for name in names)


def _dead(directory: Path) -> list[str]:
    try:
        found = [one for one in os.listdir(directory) if one.startswith(PREFIX)]
    except OSError:
        return []
    return [one for one in found if not Path("/proc", one.split("-")[1]).exists()]


def _directories(parent: str | None) -> list[Path]:
    """Where a step's groups are made: below this process's own, in each hierarchy."""
    own = _own_groups()
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        kind, options = tail.split(" ")[0], tail.split(" ")[-1]
        if kind not in ("cgroup", "cgroup2"):
            continue
        named = [own[one] for one in options.split(",") if one in own]
        group = named[0] if kind == "cgroup" and named else own.get("", "/")
        below = group if not parent else parent if parent.startswith("/") else f"{group}/{parent}"
        found.append(Path(head.split(" ")[4] + below))
    return found


def _own_groups() -> dict[str, str]:
    """Controller (empty for version 2) to this process's group."""
    groups: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for one in controllers.split(","):
            groups[one] = path
    return groups
