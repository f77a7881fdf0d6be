"""User namespaces: being root over a range of subordinate IDs only (user_namespaces(7))."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from oakum.builder.sandbox import kernel
from oakum.errors import SandboxError

WHOLE = ("0", "0", "4294967295")
Range = tuple[int, int]
"""First ID and count."""


def in_user_namespace() -> bool:
    """Whether this process lives in a user namespace other than the machine's first."""
    try:
        return tuple(Path("/proc/self/uid_map").read_text().split()) != WHOLE
    except OSError:
        return False


def enter_user_namespace() -> str | None:
    """Make this process root in a user and mount namespace of its own; nothing when it is root.

    IDs from 1 are the user's ranges in /etc/subuid and /etc/subgid, set by newuidmap and
    newgidmap.  Without those only one ID exists inside, and the limit that this means is returned
    in words.  It is still the same process, but it must have one thread only: call it first.
    SandboxError where that or the machine forbids it.
    """
    if os.geteuid() == 0:
        return None
    if len(os.listdir("/proc/self/task")) > 1:
        raise SandboxError(
            "a process with threads cannot enter a user namespace",
            "call enter_user_namespace() before anything starts a thread, or run as root",
        )
    uids = _ranges(Path("/etc/subuid"), os.getuid())
    gids = _ranges(Path("/etc/subgid"), os.getuid())
    missing = [name for name in ("newuidmap", "newgidmap") if not shutil.which(name)]
    if uids and gids and not missing:
        _enter_with_ranges(uids, gids)
        return None
    lack = " and ".join(missing) or f"ranges for {_login()} in /etc/subuid and /etc/subgid"
    _enter_alone()
    return (
        f"without {lack}, files can only belong to one user: steps that change owners or users "
        "(as most package installs do) will fail"
    )


def _enter_with_ranges(uids: list[Range], gids: list[Range]) -> None:
    """A shell outside the namespace waits for it, and has its IDs mapped."""
    pid = str(os.getpid())
    maps = [
        ["newuidmap", pid, *_map(os.getuid(), uids)],
        ["newgidmap", pid, *_map(os.getgid(), gids)],
    ]
    script = "read go && " + " && ".join(" ".join(words) for words in maps)
    helper = subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _unshare()
    except SandboxError:
        helper.kill()
        helper.communicate()
        raise
    said = helper.communicate("go\n")[1]
    if helper.returncode:
        raise SandboxError(
            f"newuidmap or newgidmap refused: {said.strip()}",
            "check the ranges in /etc/subuid and /etc/subgid",
        )
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _own_mounts()


def _enter_alone() -> None:
    uid, gid = os.getuid(), os.getgid()
    _unshare()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    _own_mounts()


def _unshare() -> None:
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    except OSError as error:
        raise SandboxError(
            f"this machine does not let users have namespaces: {error.strerror}",
            "run as root, or see kernel.unprivileged_userns_clone, user.max_user_namespaces and "
            "kernel.apparmor_restrict_unprivileged_userns",
        ) from error


def keep_mounts_private() -> None:
    """Give this process, which is root, mounts of its own, that vanish with it, even if killed.

    What is mounted on the machine is still seen.  It must have one thread only.  Nothing where
    that is forbidden: a later process then has to clean up (`clean_mounts`).
    """
    with contextlib.suppress(OSError):
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_SLAVE)


def _own_mounts() -> None:
    with contextlib.suppress(OSError):
        kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)


def _map(own: int, ranges: list[Range]) -> list[str]:
    """Arguments of newuidmap: 0 is the user, the ranges follow."""
    words = ["0", str(own), "1"]
    inside = 1
    for first, count in ranges:
        words += [str(inside), str(first), str(count)]
        inside += count
    return words


def _login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _ranges(path: Path, uid: int) -> list[Range]:
    """The user's ranges, by name or number (subuid(5))."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    rows = [line.strip().split(":") for line in lines]
    owners = (_login(), str(uid))
    return [
        (int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[0] in owners and row[1].isdigit() and row[2].isdigit()
    ]


def identity_namespace(owner: int) -> int:
    """A new user namespace that belongs to the user `owner`; its file descriptor.

    Every ID of this process's namespace exists in it as the same number.
    """
    words = ["setpriv", "--reuid", str(owner), "--clear-groups", "unshare", "--user", "cat"]
    try:
        holder = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise _no_namespace(owner, str(error)) from error
    try:
        assert holder.stdin and holder.stdout
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        if not holder.stdout.read(1):
            raise _no_namespace(owner, "unshare failed")
        for kind in ("uid", "gid"):
            rows = Path(f"/proc/self/{kind}_map").read_text().splitlines()
            same = "".join(f"{row.split()[0]} {row.split()[0]} {row.split()[2]}\n" for row in rows)
            Path(f"/proc/{holder.pid}/{kind}_map").write_text(same)
        return os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _no_namespace(owner, str(error)) from error
    finally:
        holder.communicate()


def _no_namespace(owner: int, why: str) -> SandboxError:
    return SandboxError(
        f"bubblewrap cannot run a step as user {owner}: no user namespace for it ({why})",
        "run steps with runc or crun, or as root in the image",
    )


def maps_id(number: int, kind: str = "uid") -> bool:
    """Whether a user (or ``gid``: group) ID exists in this process's namespace."""
    rows = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return any(int(row[0]) <= number < int(row[0]) + int(row[2]) for row in rows)


def may_set_groups() -> bool:
    """Whether processes in this namespace may have supplementary groups."""
    try:
        return Path("/proc/self/setgroups").read_text().strip() == "allow"
    except OSError:
        return True
