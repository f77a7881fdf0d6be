"""What a run may leave on the machine: mounts, processes, control groups, half-made things."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from support.command import Oakum


def mounts_below(directory: Path) -> list[str]:
    """Mount points of this machine below a directory."""
    shown = str(directory).replace(" ", "\\040")
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(shown)]


def processes_with(word: str) -> list[int]:
    """Processes with `word` in their command line or environment, but for this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in text and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def groups_of(pid: int) -> list[Path]:
    """Control groups that the process made for steps."""
    top = Path("/sys/fs/cgroup")
    return [Path(d) for d, _, _ in os.walk(top) if Path(d).name.startswith(f"oakum-{pid}-")]


def half_made(oakum: Oakum) -> list[str]:
    """What is in the store's place for half-made things, but for empty locks."""
    return [name for name in os.listdir(oakum.store / "tmp") if not name.startswith("serial-")]


def eventually(nothing: Callable[[], object]) -> bool:
    """Whether something is empty within ten seconds."""
    for _ in range(1000):
        if not nothing():
            return True
        time.sleep(0.01)
    return False
