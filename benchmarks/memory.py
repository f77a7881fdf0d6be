"""Peak memory of a tool: what its processes hold together, without those of its build steps."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

INTERVAL = 0.025
"""Seconds between two looks."""


class Watch(threading.Thread):
    """Looks at process trees until it is stopped; `peak` is in bytes.

    Counted is the resident memory of the given processes and their descendants, added up, so a
    page that two of them share counts twice.  Processes in another PID namespace are the build
    steps' (apt, dpkg): they are the same for every tool and are left out.
    """

    def __init__(self, *roots: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._roots = roots
        self._ended = threading.Event()
        self._space = _namespace(os.getpid())
        self._counted: dict[int, bool] = {}
        for root in roots[1:]:
            _forget_peak(root)

    def run(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._look()

    def stop(self) -> int:
        """End the watch; the peak."""
        self._ended.set()
        self.join()
        return self.peak

    def _look(self) -> None:
        total = 0
        for root in self._roots:
            for pid in _descendants(root):
                if pid not in self._counted:
                    self._counted[pid] = _namespace(pid) == self._space
                if self._counted[pid]:
                    now, highest = _resident(pid)
                    total += now
                    self.peak = max(self.peak, highest)
        self.peak = max(self.peak, total)


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        lists = [Path(f"/proc/{pid}/task/{task}/children").read_text() for task in tasks]
    except OSError:
        return
    for child in " ".join(lists).split():
        yield from _descendants(int(child))


def _resident(pid: int) -> tuple[int, int]:
    """Bytes resident now, and at most so far."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    now, highest = (fields.get(name, "0 kB").split()[0] for name in ("VmRSS", "VmHWM"))
    return int(now) * 1024, int(highest) * 1024


def _namespace(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0


def _forget_peak(pid: int) -> None:
    """Let the highest value of a process that runs already start anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
