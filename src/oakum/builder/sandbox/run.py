"""Run a step: one process tree, dead when the step ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from oakum.builder.sandbox import bubblewrap, kernel, network_files
from oakum.builder.sandbox.cgroups import clean_cgroups, new_name
from oakum.builder.sandbox.failure import explain
from oakum.builder.sandbox.limits import kept
from oakum.builder.sandbox.namespace import maps_id
from oakum.builder.sandbox.process import Cancelled, Output, supervise
from oakum.builder.sandbox.runtime import Runtime
from oakum.builder.sandbox.spec import runtime_config
from oakum.builder.sandbox.step import Step, User
from oakum.errors import SandboxError

RUNTIME_FAILED = b"runc run failed: "


def run_step(
    runtime: Runtime,
    step: Step,
    output: Output,
    *,
    state: Path,
    cancelled: Cancelled | None = None,
) -> int:
    """Run the step to its end; its exit status, 128 + N when signal N ended it.

    What it prints goes to `output` as it comes, in the calling thread; runc passes standard output
    and error on through pipes of their own, so their lines may change places.  `state` is an empty
    scratch directory.  When `run_step` returns or raises, no process of the step is left; when
    this process is killed, the kernel kills them.  A step that is cancelled ends with 137.
    BuildError when the program cannot be started, SandboxError when the runtime fails otherwise.
    """
    _check_user(step.user)
    step = kept(runtime, step)
    _offer(step, state)
    if runtime.name == "bubblewrap":
        return bubblewrap.run(runtime, step, output, state, cancelled)
    name = new_name()
    command = _oci_command(runtime, step, state, name)
    try:
        with _device_guard(runtime, step):
            status, said = supervise(command, output, cancelled, own=RUNTIME_FAILED)
    finally:
        _clean(state, name, step.cgroup_parent)
    if runtime_said := _runtime_error(state / "log"):
        raise explain(runtime_said.rpartition("run failed: ")[2], step, runtime)
    if said:
        output(said)
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
