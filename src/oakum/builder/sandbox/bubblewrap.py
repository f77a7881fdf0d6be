"""Steps run by bubblewrap (bwrap 0.8 or newer): the fallback where neither runc nor crun works.

A step has the same root, files, network, capabilities and forbidden system calls as under runc.
What bubblewrap cannot do: it always sets no_new_privs, so a program that is set-user-ID or has
file capabilities (sudo, ping) gains nothing by them; a step has no control group but one that
counts its processes, where that can be made; /sys is the machine's, for reading; a step without a
network has no /sys at all, since the machine's would name its network devices.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from oakum.builder.sandbox import capabilities
from oakum.builder.sandbox.cgroups import counted
from oakum.builder.sandbox.failure import explain
from oakum.builder.sandbox.mount_points import resolve_in_root
from oakum.builder.sandbox.namespace import (
    identity_namespace,
    in_user_namespace,
    may_set_groups,
)
from oakum.builder.sandbox.private import in_memory
from oakum.builder.sandbox.process import Cancelled, Output, supervise
from oakum.builder.sandbox.runtime import Runtime
from oakum.builder.sandbox.seccomp_filter import open_filter
from oakum.builder.sandbox.spec import MASKED, READONLY
from oakum.builder.sandbox.step import DEFAULT_SHM, OFFERED, Step, User
from oakum.errors import SandboxError

DEVICES = {
    "full": (1, 7),
    "null": (1, 3),
    "random": (1, 8),
    "tty": (5, 0),
    "urandom": (1, 9),
    "zero": (1, 5),
}
"""What bubblewrap shows in /dev, with major and minor number."""
OWN = b"bwrap: "
"""How bubblewrap's own complaints begin."""


def run(
    runtime: Runtime,
    step: Step,
    output: Output,
    offered: Path,
    cancelled: Cancelled | None,
) -> int:
    """Run the step to its end and return its exit status; see `run_step`.

    `offered` is a directory with ``resolv.conf``, ``hosts`` and ``files/``.
    """
    with (
        _own_devices(offered / "dev"),
        _open_files(step, offered) as files,
        counted(step.limits.pids) as joining,
    ):
        command = [*joining, *_as_user(step), str(runtime.path), *_fixed(step, files), *step.argv]
        status, said = supervise(command, output, cancelled, own=OWN, files=list(files.values()))
    if said and status == 1:
        raise explain(said.removeprefix(OWN).decode("utf-8", "replace").strip(), step, runtime)
    if said:
        output(said)
    return status


@contextlib.contextmanager
def _own_devices(place: Path) -> Iterator[None]:
    """Nodes for a step in the directory `place`, which is made.

    bubblewrap shows the machine's own, of which the machine's root could change owner and mode.
    """
    place.mkdir()
    if in_user_namespace():
        yield
        return
    with in_memory(place, devices=True):
        try:
            for name, number in DEVICES.items():
                os.mknod(place / name, stat.S_IFCHR | 0o666, os.makedev(*number))
                (place / name).chmod(0o666)
        except OSError as error:
            raise SandboxError(
                f"root cannot make the devices of a step here: {error.strerror}",
                "run steps with runc or crun, or oakum not as root",
            ) from error
        yield


@contextlib.contextmanager
def _open_files(step: Step, offered: Path) -> Iterator[dict[str, int]]:
    """What bubblewrap reads from file descriptors.

    Its options hold the step's environment, and with it secrets, which everyone on this machine
    could read on a command line.
    """
    files: dict[str, int] = {}
    try:
        files["args"] = os.memfd_create("bwrap-options")
        if step.security == "sandbox":
            files["seccomp"] = open_filter()
        if step.user.uid != 0:
            files["userns"] = identity_namespace(step.user.uid)
        words = b"".join(os.fsencode(word) + b"\0" for word in _options(step, offered))
        os.write(files["args"], words)
        os.lseek(files["args"], 0, os.SEEK_SET)
        yield files
    finally:
        for handle in files.values():
            os.close(handle)


def _fixed(step: Step, files: dict[str, int]) -> list[str]:
    words = [word for name, handle in files.items() for word in (f"--{name}", str(handle))]
    return [*words, "--"]


def _as_user(step: Step) -> list[str]:
    """Who bubblewrap is when it starts, and with that who the step is.

    As another user than root, bubblewrap sets the step up as the owner of a user namespace in
    which everyone is who they are outside.  The bounding set is what root may have in the step;
    bubblewrap itself has everything by inheriting it.
    """
    user = step.user
    words = ["prlimit", *_limits(step), "--"] if step.ulimits else []
    words += ["setpriv", "--regid", str(user.gid), *_groups(user)]
    if user.uid != 0:
        return [*words, "--reuid", str(user.uid)]
    # In this order: nothing outside of the bounding set may become inheritable.
    words += ["--inh-caps", _set_of(capabilities.granted(everything=True)), "--", "setpriv"]
    return [*words, "--bounding-set", _set_of(_granted(step)), "--"]


def _set_of(names: list[str]) -> str:
    """The capabilities `names` and no others, as setpriv wants them."""
    return ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in names)])


def _groups(user: User) -> list[str]:
    if not may_set_groups():
        return ["--keep-groups"]
    listed = ",".join(str(group) for group in user.groups)
    return ["--groups", listed] if listed else ["--clear-groups"]


def _limits(step: Step) -> list[str]:
    shown = [
        (limit.name, *("unlimited" if n < 0 else str(n) for n in (limit.soft, limit.hard)))
        for limit in step.ulimits
    ]
    return [f"--{name}={soft}:{hard}" for name, soft, hard in shown]


def _granted(step: Step) -> list[str]:
    return capabilities.granted(everything=step.security == "insecure")


def _options(step: Step, offered: Path) -> list[str]:
    words = ["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--hostname", step.hostname, "--die-with-parent"]
    words += ["--unshare-net"] if step.network == "none" else []
    words += ["--bind", str(step.root.absolute()), "/"]
    words += [*_system(step, offered / "dev"), *_offered(step, offered)]
    for number in range(len(step.mounts)):
        words += _mount(step, number)
    words += ["--cap-drop", "ALL"]
    if step.user.uid == 0:
        words += [word for name in _granted(step) for word in ("--cap-add", name)]
    words += ["--clearenv"]
    for name, value in (pair.partition("=")[::2] for pair in step.environment()):
        words += ["--setenv", name, value]
    return [*words, "--chdir", step.cwd]


def _system(step: Step, nodes: Path) -> list[str]:
    proc, dev, sys = (resolve_in_root(step.root, path) for path in ("/proc", "/dev", "/sys"))
    size = str(step.shm_size or DEFAULT_SHM)
    words = ["--proc", proc, "--dev", dev, "--mqueue", f"{dev}/mqueue"]
    for node in sorted(nodes.iterdir()):
        words += ["--dev-bind", str(node), f"{dev}/{node.name}"]
    words += ["--perms", "1777", "--size", size, "--tmpfs", f"{dev}/shm"]
    words += ["--tmpfs", sys] if step.network == "none" else ["--ro-bind", "/sys", sys]
    if step.security == "sandbox":
        for path in READONLY:
            words += ["--ro-bind", path, path] if os.path.exists(path) else []
        for path in MASKED:
            words += _masked(path) if step.network != "none" or path.startswith("/proc") else []
    return words


def _masked(path: str) -> list[str]:
    if os.path.isdir(path):
        return ["--tmpfs", path, "--remount-ro", path]
    return ["--ro-bind", "/dev/null", path] if os.path.exists(path) else []


def _offered(step: Step, offered: Path) -> list[str]:
    words = []
    for name in ("resolv.conf", "hosts"):
        words += ["--ro-bind", str(offered / name), resolve_in_root(step.root, f"/etc/{name}")]
    if step.files:
        words += ["--ro-bind", str(offered / "files"), OFFERED]
    return words


def _mount(step: Step, number: int) -> list[str]:
    mount = step.mounts[number]
    target = resolve_in_root(step.root, mount.target, step.mounts[:number])
    if mount.kind == "bind":
        return ["--ro-bind" if mount.readonly else "--bind", str(mount.source), target]
    if (mount.uid, mount.gid) not in ((0, 0), (step.user.uid, step.user.gid)):
        raise SandboxError(
            f"bubblewrap cannot mount a tmpfs of another user on {mount.target}",
            "run steps with runc or crun",
        )
    words = ["--perms", f"{0o1777 if mount.mode is None else mount.mode:o}"]
    words += ["--size", str(mount.size)] if mount.size else []
    words += ["--tmpfs", target]
    return [*words, "--remount-ro", target] if mount.readonly else words
