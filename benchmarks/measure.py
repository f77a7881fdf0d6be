"""Running a command and measuring it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.memory import Watch


@dataclass(frozen=True)
class Sample:
    """What one repetition of a job took."""

    seconds: float
    """Wall clock time."""
    memory: int
    """Peak, in bytes; 0 if the command was over before anybody looked."""
    pushed: int | None = None
    """Bytes that the registry stored anew, for jobs that push."""
    builder: float | None = None
    """Seconds that steps of the builder stage ran, where the tool tells; cached ones are none."""

    def then(self, other: Sample) -> Sample:
        """Both commands, one after the other."""
        return replace(
            self, seconds=self.seconds + other.seconds, memory=max(self.memory, other.memory)
        )


class JobFailed(Exception):
    """A job cannot be measured; says why."""


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    """This process's, without what keeps an installed Python from using its compiled modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | (more or {})


def measured(
    command: Sequence[str | Path], log: Path, *daemons: int, env: dict[str, str] | None = None
) -> Sample:
    """Run a command, its output into `log`; `daemons` are processes that work for it."""
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(env),
        )
        watch = Watch(process.pid, *daemons)
        watch.start()
        try:
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - begin
    memory = watch.stop()
    if status:
        end = log.read_text(errors="replace")[-2000:]
        raise JobFailed(f"{' '.join(map(str, command))} ended with {status}\n{end}")
    return Sample(seconds, memory)
