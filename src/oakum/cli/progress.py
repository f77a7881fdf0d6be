"""Drawing progress: lines for steps and their output, bars for bytes where there is a terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from oakum.cli.printable import printable
from oakum.progress import Event, Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_EVERY = 2.0
"""Seconds between two plain lines about one transfer."""


@contextmanager
def watcher(mode: str) -> Iterator[Progress]:
    """A callback that draws on standard error."""
    if mode == "quiet":
        yield silent
        return
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    if mode == "tty" or (mode == "auto" and terminal):
        with _Drawn(sys.stderr) as drawn:
            yield drawn.on
        return
    lines = _Lines(sys.stderr)
    yield lines.on
    lines.finish()


class _Task:
    """A task that was started."""

    def __init__(self, number: int, label: str, total: int | None) -> None:
        self.number = number
        self.label = label
        self.total = total
        self.done = 0
        self.began = time.monotonic()
        self.told = self.began
        self.tail = ""


class _Lines:
    """Plain lines, numbered by task, as build logs have them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._tasks: dict[str, _Task] = {}
        self._count = 0
        self._lock = threading.Lock()

    def on(self, event: Event) -> None:
        with self._lock:
            self._handle(event)

    def _say(self, text: str) -> None:
        self._out.write(printable(text.expandtabs()) + "\n")
        self._out.flush()

    def _handle(self, event: Event) -> None:
        if event.kind == "note":
            self._say(f"note: {event.text}")
            return
        if event.kind == "start":
            self._count += 1
            task = _Task(self._count, event.text, event.total)
            self._tasks[event.task] = task
            size = f" ({human(event.total)})" if event.total else ""
            self._say(f"#{task.number} {event.text}{size}")
            return
        found = self._tasks.get(event.task)
        if found is not None:
            self._continue(found, event)

    def _continue(self, task: _Task, event: Event) -> None:
        if event.kind == "advance":
            task.done = event.done
            now = time.monotonic()
            if now - task.told >= _EVERY:
                task.told = now
                self._say(f"#{task.number} {_amount(task, event)} {_speed(task)}")
        elif event.kind == "log":
            *whole, task.tail = (task.tail + event.text).split("\n")
            seconds = time.monotonic() - task.began
            for line in whole:
                self._say(f"#{task.number} {seconds:.1f} {_last_drawn(line)}")
        else:
            if task.tail:
                self._say(f"#{task.number} {task.tail}")
            word = {"done": "DONE", "cached": "CACHED", "failed": "FAILED"}[event.kind]
            speed = f" {_speed(task)}" if task.done > 1 << 20 else ""
            self._say(f"#{task.number} {word} {event.text}{speed}".rstrip())
            self._tasks.pop(event.task, None)

    def finish(self) -> None:
        """Nothing is left open."""
        self._out.flush()


def _last_drawn(line: str) -> str:
    """What a terminal would show of a line that draws over itself with carriage returns."""
    return line.rstrip("\r").rpartition("\r")[2]


def _amount(task: _Task, event: Event) -> str:
    total = event.total or task.total
    return f"{human(task.done)} / {human(total)}" if total else human(task.done)


def _speed(task: _Task) -> str:
    seconds = max(time.monotonic() - task.began, 1e-3)
    return f"{human(int(task.done / seconds))}/s"


def human(count: int | None) -> str:
    """Bytes for people, in powers of 1000."""
    value = float(count or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


class _Drawn:
    """Bars for transfers that are under way; everything else as lines above them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bars: Bars | None = None
        self._rows: dict[str, int] = {}
        self._lines = _Lines(out)
        self._lock = threading.Lock()

    def __enter__(self) -> _Drawn:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        console = Console(file=self._out, no_color="NO_COLOR" in os.environ, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
        )
        self._bars.start()
        self._lines = _Lines(_Above(self._bars))  # type: ignore[arg-type]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._bars is not None
        self._bars.stop()

    def on(self, event: Event) -> None:
        assert self._bars is not None
        with self._lock:
            if event.kind == "start" and event.total:
                label = printable(event.text)[:50]
                row = self._bars.add_task(label, total=event.total)
                self._rows[event.task] = row
                return
            row_found = self._rows.get(event.task)
            if row_found is None:
                self._lines.on(event)
            elif event.kind == "advance":
                self._bars.update(row_found, completed=event.done)  # type: ignore[arg-type]
            elif event.kind in ("done", "cached", "failed"):
                self._bars.remove_task(row_found)  # type: ignore[arg-type]
                del self._rows[event.task]


class _Above:
    """Writes lines above the bars."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def write(self, text: str) -> None:
        if text.strip():
            self._bars.console.print(text.rstrip("\n"), markup=False, soft_wrap=True)

    def flush(self) -> None:
        return
