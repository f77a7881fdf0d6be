"""Run a step: one process tree, dead when the step ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from oakum.build.sandbox import kernel, network_files
from oakum.build.sandbox.cgroups import clean_cgroups, new_name
from oakum.build.sandbox.namespace import maps_id
from oakum.build.sandbox.runtime import Runtime
from oakum.build.sandbox.spec import runtime_config
from oakum.build.sandbox.step import Step, User
from oakum.errors import BuildError, SandboxError

RUNTIME_FAILED = b"runc run failed: "
KILLED = 137
"""Exit status of a step that was cancelled."""
TICK = 0.05
"""Seconds between looks at whether the step was cancelled."""

Output = Callable[[bytes], None]


def run_step(
    runtime: Runtime,
    step: Step,
    output: Output,
    *,
    state: Path,
    cancelled: threading.Event | None = None,
) -> int:
    """Run the step to its end; its exit status, 128 + N when signal N ended it.

    What it prints (standard output and error, in order) goes to `output` as it comes, in the
    calling thread.  `state` is an empty scratch directory.  When `run_step` returns or raises, no
    process of the step is left; when this process is killed, the kernel kills them.  A step that
    is cancelled ends with 137.  BuildError when the program cannot be started, SandboxError when
    the runtime fails otherwise.
    """
    _check_user(step.user)
    name = new_name()
    _offer(step, state)
    command = _oci_command(runtime, step, state, name)
    try:
        with _device_guard(runtime, step):
            status = supervise(command, output, cancelled)
    finally:
        _clean(state, name, step.cgroup_parent)
    if runtime_said := _runtime_error(state / "log"):
        raise _explain(runtime_said, step, runtime)
    return status


def _check_user(user: User) -> None:
    if not (maps_id(user.uid) and maps_id(user.gid, "gid")):
        raise SandboxError(
            f"user {user.uid}:{user.gid} of the step does not exist in this user namespace",
            "give your user ranges in /etc/subuid and /etc/subgid (usermod --add-subuids, "
            "--add-subgids), or run as root",
        )


def _offer(step: Step, state: Path) -> None:
    """Write what the step gets to see of this machine."""
    files = state / "files"
    files.mkdir(mode=0o755, parents=True, exist_ok=True)
    machine = step.network != "none"
    (state / "resolv.conf").write_bytes(network_files.resolv_conf(loopback_reachable=machine))
    (state / "hosts").write_bytes(network_files.hosts(step))
    for name, content in step.files.items():
        path = files / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)
    for name in ("resolv.conf", "hosts"):
        (state / name).chmod(0o644)


def _oci_command(runtime: Runtime, step: Step, state: Path, name: str) -> list[str]:
    cgroup = f"{step.cgroup_parent.rstrip('/')}/{name}" if step.cgroup_parent else name
    config = runtime_config(
        step, state, cgroup if runtime.cgroups else None, devices=runtime.cgroups
    )
    (state / "config.json").write_bytes(msgspec.json.encode(config))
    log = ["--log", str(state / "log"), "--log-format", "json"]
    options = ["--root", str(state / "runtime"), *log]
    if not runtime.cgroups:
        options += (
            ["--rootless", "true"] if runtime.name == "runc" else ["--cgroup-manager", "disabled"]
        )
    return [str(runtime.path), *options, "run", "--no-new-keyring", "--bundle", str(state), name]


def tied(command: list[str]) -> list[str]:
    """`command` as the first process of a PID namespace that dies with this thread.

    The kernel ends every process of a PID namespace, nested ones included, when its first does.
    setpriv has unshare die with this thread, unshare has `command` die with itself; the shell
    between them notices that this process died before setpriv could ask for it.
    """
    alive = f'[ "$PPID" = {os.getpid()} ] && exec "$@"'
    return [
        *("setpriv", "--pdeathsig", "KILL", "sh", "-c", alive, "sh"),
        *("unshare", "--mount", "--propagation", "slave", "--pid", "--fork"),
        *("--kill-child=KILL", "--mount-proc", "--", *command),
    ]


def supervise(command: list[str], output: Output, cancelled: threading.Event | None) -> int:
    """Run `command` tied to this thread, in a session of its own, with nothing to read."""
    try:
        process = subprocess.Popen(
            tied(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(
            f"cannot start {error.filename}: {error.strerror}", "install the package util-linux"
        ) from error
    try:
        if not _pump(process, output, cancelled):
            return KILLED
        status = process.wait()
    finally:
        _end(process)
    return status if status >= 0 else 128 - status


def _pump(
    process: subprocess.Popen[bytes], output: Output, cancelled: threading.Event | None
) -> bool:
    """Pass on what comes until the last writer is gone; False when the step was cancelled.

    What the runtime itself says last is in its log as well; it is held back.
    """
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    held: bytes | None = b""
    while cancelled is None or not cancelled.is_set():
        if not select.select([pipe], [], [], TICK if cancelled else None)[0]:
            continue
        chunk = os.read(pipe, 65536)
        if not chunk:
            if held and not held.startswith(RUNTIME_FAILED):
                output(held)
            return True
        if held is not None:
            held += chunk
            size = min(len(held), len(RUNTIME_FAILED))
            if held[:size] == RUNTIME_FAILED[:size]:
                continue
            chunk, held = held, None
        output(chunk)
    return False


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


@contextlib.contextmanager
def _device_guard(runtime: Runtime, step: Step) -> Iterator[None]:
    """Where no control group guards devices, the root's device nodes must not work."""
    if runtime.cgroups or os.statvfs(step.root).f_flag & os.ST_NODEV:
        yield
        return
    kernel.mount(step.root, step.root, "", kernel.MS_BIND | kernel.MS_REC)
    try:
        flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_NODEV
        kernel.mount("none", step.root, "", flags)
        yield
    finally:
        kernel.unmount(step.root, kernel.MNT_DETACH)


def _clean(state: Path, name: str, cgroup_parent: str | None) -> None:
    """What a runtime that was killed did not take away itself."""
    left = state / "runtime" / name
    if left.exists():
        shutil.rmtree(left, ignore_errors=True)
        clean_cgroups(name, cgroup_parent)


def _runtime_error(log: Path) -> str:
    """The last error that the runtime wrote about itself; empty when it did its work."""
    try:
        lines = log.read_bytes().splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        with contextlib.suppress(msgspec.DecodeError):
            entry = msgspec.json.decode(line)
            if entry.get("level") in ("error", "fatal") and "run failed" in entry.get("msg", ""):
                return str(entry["msg"])
    return ""


class CannotStart(BuildError):
    """The step's program could not be started; `status` is what a shell would have said."""

    def __init__(self, what: str, todo: str, status: int) -> None:
        super().__init__(what, todo)
        self.status = status


def _explain(said: str, step: Step, runtime: Runtime) -> BuildError | SandboxError:
    program = step.argv[0]
    reasons = (
        (
            r"executable file not found|exec:.*no such file",
            127,
            "is not in the image",
            "install it in an earlier step, or correct its name or PATH",
        ),
        (
            r"exec format error",
            126,
            "is not a program for this machine",
            "check its architecture, and the first line of a script (#!)",
        ),
        (
            r"exec:.*(permission denied|is a directory)",
            126,
            "is not executable",
            "make it executable with chmod +x in an earlier step",
        ),
    )
    for pattern, status, what, todo in reasons:
        if re.search(pattern, said):
            return CannotStart(f"the step's program {program!r} {what}", todo, status)
    return SandboxError(
        f"{runtime.name} could not start the step: {said.rpartition('run failed: ')[2]}",
        "see 'oakum build --help' about --runtime, or try another one",
    )
