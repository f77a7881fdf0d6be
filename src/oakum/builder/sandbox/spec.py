"""The configuration that runc and crun run a step by (OCI runtime spec 1.0, config.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oakum.builder.sandbox import capabilities
from oakum.builder.sandbox.limits import resources
from oakum.builder.sandbox.mount_points import resolve_in_root
from oakum.builder.sandbox.namespace import in_user_namespace, may_set_groups
from oakum.builder.sandbox.seccomp import oci_policy
from oakum.builder.sandbox.step import DEFAULT_SHM, OFFERED, Step, Ulimit

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
NAMESPACES = ("pid", "ipc", "uts", "mount")


def runtime_config(
    step: Step, offered: Path, cgroup: str | None, *, devices: bool
) -> dict[str, Any]:
    """The ``config.json`` of a step.

    `offered` is a directory with ``resolv.conf``, ``hosts`` and ``files/``; `cgroup` the path of
    its control group, if it has one; `devices` says whether that guards the use of devices.
    """
    insecure = step.security == "insecure"
    return {
        "ociVersion": "1.0.2",
        "process": _process(step, insecure, devices),
        "root": {"path": str(step.root.absolute()), "readonly": False},
        "hostname": step.hostname,
        "mounts": [*_system_mounts(step, insecure), *_offered_mounts(step, offered), *_own(step)],
        "linux": _linux(step, cgroup, insecure),
    }


def _process(step: Step, insecure: bool, devices: bool) -> dict[str, Any]:
    allowed = capabilities.granted(everything=insecure)
    if not devices and not insecure:
        allowed.remove("CAP_MKNOD")
    active = allowed if step.user.uid == 0 else []
    return {
        "terminal": False,
        "user": {
            "uid": step.user.uid,
            "gid": step.user.gid,
            "additionalGids": list(step.user.groups) if may_set_groups() else [],
            "umask": 0o022,
        },
        "args": list(step.argv),
        "env": list(step.environment()),
        "cwd": step.cwd,
        "capabilities": {"bounding": allowed, "effective": active, "permitted": active},
        "rlimits": [_limit(limit) for limit in step.ulimits],
        "noNewPrivileges": False,
    }


def _limit(limit: Ulimit) -> dict[str, Any]:
    soft, hard = (2**64 - 1 if value < 0 else value for value in (limit.soft, limit.hard))
    return {"type": f"RLIMIT_{limit.name.upper()}", "soft": soft, "hard": hard}


def _linux(step: Step, cgroup: str | None, insecure: bool) -> dict[str, Any]:
    kinds = [*NAMESPACES, *(["network"] if step.network == "none" else [])]
    if Path("/proc/self/ns/cgroup").exists():
        kinds.append("cgroup")
    linux: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in kinds],
        "resources": {"devices": _device_rules(insecure)},
    }
    if cgroup:
        linux["cgroupsPath"] = cgroup
        linux["resources"] |= resources(step.limits)
    if not insecure:
        linux["seccomp"] = oci_policy()
        linux["maskedPaths"] = list(MASKED)
        linux["readonlyPaths"] = list(READONLY)
    return linux


def _device_rules(insecure: bool) -> list[dict[str, Any]]:
    """Any node may be made; only the harmless ones, which the runtime adds, may be opened."""
    if insecure:
        return [{"allow": True, "access": "rwm"}]
    made = [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    return [{"allow": False, "access": "rwm"}, *made]


def _system_mounts(step: Step, insecure: bool) -> list[dict[str, Any]]:
    rootless = in_user_namespace()
    quiet = ["nosuid", "noexec", "nodev"]
    tty = [] if rootless else ["gid=5"]
    size = step.shm_size or DEFAULT_SHM
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *tty]
    writing = [] if insecure else ["ro"]
    return [
        _mount("/proc", "proc", quiet),
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", terminals),
        _mount("/dev/shm", "tmpfs", [*quiet, "mode=1777", f"size={size}"], "shm"),
        _mount("/dev/mqueue", "mqueue", quiet),
        *_sys_mounts(step, rootless, [*quiet, *writing]),
    ]


def _sys_mounts(step: Step, rootless: bool, options: list[str]) -> list[dict[str, Any]]:
    """sysfs shows the network namespace's devices, so its owner alone may mount it."""
    if rootless:
        if step.network == "none":
            return [_mount("/sys", "sysfs", options)]
        return [_mount("/sys", "none", ["rbind", "rslave", *options], "/sys")]
    return [
        _mount("/sys", "sysfs", options),
        _mount("/sys/fs/cgroup", "cgroup", [*options, "relatime"]),
    ]


def _offered_mounts(step: Step, offered: Path) -> list[dict[str, Any]]:
    options = ["bind", "ro", "nosuid", "nodev"]
    mounts = [
        _mount(resolve_in_root(step.root, f"/etc/{name}"), "bind", options, str(offered / name))
        for name in ("resolv.conf", "hosts")
    ]
    if step.files:
        mounts.append(_mount(OFFERED, "bind", options, str(offered / "files")))
    return mounts


def _own(step: Step) -> list[dict[str, Any]]:
    return [_own_mount(step, number) for number in range(len(step.mounts))]


def _own_mount(step: Step, number: int) -> dict[str, Any]:
    mount = step.mounts[number]
    target = resolve_in_root(step.root, mount.target, step.mounts[:number])
    if mount.kind == "bind":
        options = ["rbind", "rprivate", "nodev", "ro" if mount.readonly else "rw"]
        return _mount(target, "bind", options, str(mount.source))
    options = ["nosuid", "nodev", f"mode={0o1777 if mount.mode is None else mount.mode:o}"]
    options += [f"uid={mount.uid}", f"gid={mount.gid}"]
    options += [f"size={mount.size}"] if mount.size else []
    options += ["ro"] if mount.readonly else []
    return _mount(target, "tmpfs", options)


def _mount(target: str, kind: str, options: list[str], source: str = "") -> dict[str, Any]:
    return {
        "destination": target,
        "type": kind,
        "source": source or kind,
        "options": options,
    }
