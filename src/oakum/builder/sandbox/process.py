"""A runtime as a child process: one process tree, dead when the step ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from oakum.errors import SandboxError

KILLED = 137
"""Exit status of a step that was cancelled."""
TICK = 0.05
"""Seconds between looks at whether the step was cancelled."""

MAX_COMPLAINT = 64 * 1024
"""Bytes of a runtime's own complaint; what is longer is a step's output."""

Output = Callable[[bytes], None]


class Cancelled(Protocol):
    """Says when a step is no longer wanted."""

    def is_set(self) -> bool:
        """Whether it is to be ended."""


def tied(command: Sequence[str]) -> list[str]:
    """`command` as the first process of a PID namespace that dies with this thread.

    The kernel ends every process of a PID namespace, nested ones included, when its first does.
    setpriv has unshare die with this thread, unshare has `command` die with itself; the shell
    between them notices that this process died before setpriv could ask for it.
    """
    alive = f'[ "$PPID" = {os.getpid()} ] && umask 022 && exec "$@"'
    return [
        *("setpriv", "--pdeathsig", "KILL", "sh", "-c", alive, "sh"),
        *("unshare", "--mount", "--propagation", "slave", "--pid", "--fork"),
        *("--kill-child=KILL", "--mount-proc", "--", *command),
    ]


def supervise(
    command: Sequence[str],
    output: Output,
    cancelled: Cancelled | None,
    *,
    own: bytes,
    files: Sequence[int] = (),
) -> tuple[int, bytes]:
    """Run `command` tied to this thread, in a session of its own, with nothing to read.

    Its exit status (137 when it was cancelled), and what it printed if that begins with `own`, as
    the runtime's own complaints do; such output is not passed on.  The command inherits the open
    `files`.
    """
    # Not the machine's /dev/null, whose owner and mode root of a step could change through it.
    nothing, writer = os.pipe()
    os.close(writer)
    try:
        process = subprocess.Popen(
            tied(command),
            stdin=nothing,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=files,
        )
    except OSError as error:
        raise SandboxError(
            f"cannot start {error.filename}: {error.strerror}", "install the package util-linux"
        ) from error
    finally:
        os.close(nothing)
    try:
        withheld = _pump(process, output, cancelled, own)
        if withheld is None:
            return KILLED, b""
        status = process.wait()
    finally:
        _end(process)
    return (status if status >= 0 else 128 - status), withheld


def _pump(
    process: subprocess.Popen[bytes],
    output: Output,
    cancelled: Cancelled | None,
    own: bytes,
) -> bytes | None:
    """Pass on what comes until the last writer is gone; None when the step was cancelled."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    held: bytes | None = b""
    while cancelled is None or not cancelled.is_set():
        if not select.select([pipe], [], [], TICK if cancelled else None)[0]:
            continue
        chunk = os.read(pipe, 65536)
        if not chunk:
            if held and not held.startswith(own):
                output(held)
                held = None
            return held or b""
        if held is not None:
            held += chunk
            size = min(len(held), len(own))
            if held[:size] == own[:size] and len(held) < MAX_COMPLAINT:
                continue
            chunk, held = held, None
        output(chunk)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left; return when it is gone."""
    if process.poll() is None:
        first = _children(process.pid)
        for child in first or [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()


def _children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
