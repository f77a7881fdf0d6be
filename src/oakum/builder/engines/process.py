"""Programs of another builder: started without a shell, their output told as it comes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from oakum.errors import EngineError
from oakum.progress import Event, Progress

_TAIL = 400
"""Lines of output that are kept for an error."""
_LONGEST = 1 << 16
_GRACE = 5.0
"""Seconds that a program may take to stop when it is told to."""
_PATIENCE = 60.0
"""Seconds for a question that takes a moment."""


class Ended(msgspec.Struct, frozen=True):
    """How a program ended."""

    code: int
    """Exit status."""
    lines: tuple[str, ...]
    """Its output, the last lines of it where it was long."""

    @property
    def last(self) -> str:
        """The last line that says something."""
        return next((line.strip() for line in reversed(self.lines) if line.strip()), "")


class PeerFailed(Exception):
    """A build that an engine could not do; its output tells why."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.last)
        self.ended = ended


class Peer:
    """Runs the programs of one engine for one build."""

    def __init__(self, engine: str, progress: Progress) -> None:
        self._engine = engine
        self._progress = progress

    def ask(self, words: Sequence[str], env: Mapping[str, str | None] | None = None) -> Ended:
        """Run a program that answers at once; its output is not shown."""
        try:
            done = subprocess.run(
                [self._found(words[0]), *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(env),
                timeout=_PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(
                f"{words[0]} does not answer: {error}", "try it by hand, or --engine embedded"
            ) from error
        return Ended(done.returncode, tuple(done.stdout.decode("utf-8", "replace").splitlines()))

    def run(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
    ) -> Ended:
        """Run a program to its end and tell its output; it is stopped when oakum is."""
        task = f"engine {self._engine}"
        self._progress(Event(task, "start", f"{' '.join(words[:3])} …"))
        command = [self._found(words[0]), *words[1:]]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", "--", *command]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"cannot start {words[0]}: {error.strerror}", "check it") from error
        try:
            lines = self._told(process, task)
            ended = Ended(process.wait(), lines)
        except BaseException:
            _stop(process)
            self._progress(Event(task, "failed"))
            raise
        self._progress(Event(task, "failed" if ended.code else "done"))
        return ended

    def build(self, words: Sequence[str], env: Mapping[str, str | None] | None = None) -> None:
        """Run a program that builds; `PeerFailed` unless it ends well."""
        ended = self.run(words, env=env)
        if ended.code:
            raise PeerFailed(ended)

    def _told(self, process: subprocess.Popen[bytes], task: str) -> tuple[str, ...]:
        assert process.stdout is not None
        lines: deque[str] = deque(maxlen=_TAIL)
        with process.stdout as output:
            while raw := output.readline(_LONGEST):
                text = raw.decode("utf-8", "replace")
                lines.append(text.rstrip("\r\n"))
                self._progress(Event(task, "log", text))
        return tuple(lines)

    def _found(self, program: str) -> str:
        found = shutil.which(program)
        if found is None:
            raise EngineError(
                f"there is no {program} on this machine, with which --engine {self._engine} builds",
                f"install {program}, or let oakum build itself: --engine embedded",
            )
        return found


def _environment(changes: Mapping[str, str | None] | None) -> dict[str, str]:
    """This process's environment with these changes; None takes a variable away."""
    merged = {**os.environ, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            return
