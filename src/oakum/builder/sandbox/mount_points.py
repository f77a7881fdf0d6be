"""Mount points without a trace: a step's root gets them, its layer does not.

Empty directories and files (*stubs*) lie in the lowest directory of the overlay, so there is
nothing to make.  Where an image hides a stub (a whiteout, a symlink elsewhere), the mount point is
made in the upper directory before the step and taken away after it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from oakum.builder.sandbox.step import Mount, Step
from oakum.errors import BuildError

Kind = Literal["directory", "file"]
MAX_LINKS = 40
"""Symlinks that the kernel follows in one path."""


class MountPoint(msgspec.Struct, frozen=True):
    """A place that something is mounted on."""

    target: str
    """Absolute path in the step."""
    kind: Kind
    """What has to be there."""


STANDARD = (
    MountPoint("/proc", "directory"),
    MountPoint("/sys", "directory"),
    MountPoint("/dev", "directory"),
    MountPoint("/etc/resolv.conf", "file"),
    MountPoint("/etc/hosts", "file"),
)
"""What every step has."""


class Made(msgspec.Struct, frozen=True):
    """Something that was made for a mount, or a directory that this touched."""

    path: str
    """Path below the root, without a leading slash."""
    kind: Literal["directory", "file", "touched"]
    """``touched``: a directory that was there and was copied up."""
    mode: int
    """Its mode right after."""
    uid: int
    """Its owner."""
    gid: int
    """Its group."""
    mtime_ns: int
    """Its modification time right after."""


Prepared = tuple[Made, ...]


def points_of(mounts: Sequence[Mount]) -> tuple[MountPoint, ...]:
    """The mount points of a step with these mounts, the standard ones first."""
    own = (MountPoint(mount.target, _kind_of(mount)) for mount in mounts)
    return (*STANDARD, *own)


def _kind_of(mount: Mount) -> Kind:
    bound = mount.kind == "bind" and mount.source is not None and not mount.source.is_dir()
    return "file" if bound else "directory"


def make_stubs(path: Path, mounts: Sequence[Mount] = ()) -> Path:
    """Fill the directory `path`, meant as the lowest of an overlay, with empty mount points."""
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    for point in points_of(mounts):
        names = _names(point.target)
        kernels = len(names) > 1 and names[0] in ("dev", "proc", "sys")
        if not names or ".." in names or kernels:
            continue
        _make_stub(path, names, point.kind)
    for directory, _, _ in os.walk(path, topdown=False):
        os.chmod(directory, 0o755)
        os.utime(directory, (0, 0))
    for mount in mounts:
        # runc gives a tmpfs the mode of what it is mounted on.
        stub = path.joinpath(*_names(mount.target))
        if mount.kind == "tmpfs" and stub.is_dir() and not stub.is_symlink():
            os.chmod(stub, 0o1777 if mount.mode is None else mount.mode)
    return path


def _make_stub(path: Path, names: list[str], kind: Kind) -> None:
    here = path.joinpath(*names)
    try:
        (here if kind == "directory" else here.parent).mkdir(parents=True, exist_ok=True)
        if kind == "file" and not here.exists():
            here.touch(0o644)
            os.utime(here, (0, 0))
    except (FileExistsError, NotADirectoryError) as error:
        raise BuildError(
            f"the mount on /{'/'.join(names)} collides with another mount",
            "mount on paths that do not contradict each other",
        ) from error


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def resolve_in_root(root: Path, path: str, mounts: Sequence[Mount] = ()) -> str:
    """`path` with every symlink followed as the kernel would with `root` as ``/``.

    Absolute, without ``..``; what does not exist stays as it is named.  What `mounts` lay over
    the root counts, since its symlinks are the image's or a step's too.  BuildError for loops and
    for a file where a directory has to be.
    """
    shown: dict[str, Path | None] = {}
    for mount in mounts:
        shown[_resolved(root, mount.target, shown)] = mount.source
    return _resolved(root, path, shown)


def _resolved(root: Path, path: str, shown: Mapping[str, Path | None]) -> str:
    done: list[str] = []
    todo = _names(path)[::-1]
    links = 0
    while todo:
        name = todo.pop()
        if name == "..":
            done = done[:-1]
            continue
        here = _place(root, [*done, name], shown)
        try:
            mode = here.lstat().st_mode if here else 0
        except FileNotFoundError:
            done.append(name)
            continue
        except NotADirectoryError:
            raise _not_directory(path, "/" + "/".join(done)) from None
        if here is None or not stat.S_ISLNK(mode):
            done.append(name)
            continue
        links += 1
        if links > MAX_LINKS:
            raise BuildError(
                f"the mount target {path} is a loop of symlinks in the image",
                "mount on another path",
            )
        goal = os.readlink(here)
        done = [] if goal.startswith("/") else done
        todo += _names(goal)[::-1]
    return "/" + "/".join(done)


def _place(root: Path, names: list[str], shown: Mapping[str, Path | None]) -> Path | None:
    """Where on this machine a path of the step is; None in a file system that is made for it."""
    for count in range(len(names), 0, -1):
        above = "/" + "/".join(names[:count])
        if above in shown:
            source = shown[above]
            return source.joinpath(*names[count:]) if source else None
    return root.joinpath(*names)


def _not_directory(path: str, file: str) -> BuildError:
    return BuildError(
        f"cannot mount on {path}: {file} is not a directory in the image", "mount on another path"
    )


def prepare_mount_points(step: Step, upper: Path | None = None) -> Prepared:
    """Make the mount points of the step that its root lacks; what was made, to be undone.

    `upper` is the overlay's upper directory; None when the root is a plain directory.
    """
    _check_system_directories(step.root)
    made: list[Made] = []
    covered: list[str] = []
    for point in points_of(step.mounts):
        target = resolve_in_root(step.root, point.target)
        if not any((target + "/").startswith(one + "/") for one in covered):
            made += _make(step.root, target, point.kind, upper)
        covered.append(target)
    return tuple(made)


def _check_system_directories(root: Path) -> None:
    """runc makes links in /dev before it changes its root: a link there would lead it outside."""
    for name in ("dev", "proc", "sys"):
        if (root / name).is_symlink():
            raise BuildError(
                f"/{name} is a symbolic link in the image, so no step can run in it",
                f"make /{name} a directory, or leave it out",
            )


def _make(root: Path, target: str, kind: Kind, upper: Path | None) -> list[Made]:
    names = _names(target)
    missing = next(
        (n for n in range(len(names)) if not os.path.lexists(root.joinpath(*names[: n + 1]))), None
    )
    if missing is None:
        _check_kind(root.joinpath(*names), target, kind)
        return []
    parent = names[:missing]
    made = _touched(root, parent, upper)
    before = root.joinpath(*parent).lstat()
    for number in range(missing, len(names)):
        here = root.joinpath(*names[: number + 1])
        if number == len(names) - 1 and kind == "file":
            here.touch(0o644)
        else:
            here.mkdir()
            here.chmod(0o755)
    times = (before.st_atime_ns, before.st_mtime_ns)
    os.utime(root.joinpath(*parent), ns=times)
    for number in range(missing, len(names)):
        made.append(_seen(root, names[: number + 1]))
    return made


def _check_kind(here: Path, target: str, kind: Kind) -> None:
    if here.is_dir() == (kind == "directory"):
        return
    found = "a directory" if kind == "file" else "a file"
    raise BuildError(
        f"cannot mount a {kind} on {target}: it is {found} in the image", "mount on another path"
    )


def _touched(root: Path, parent: list[str], upper: Path | None) -> list[Made]:
    """Directories that will be copied up because something is made below them."""
    if upper is None:
        return []
    own = [parent[: n + 1] for n in range(len(parent))]
    return [
        _seen(root, names, "touched")
        for names in own
        if not os.path.lexists(upper.joinpath(*names))
    ]


def _seen(
    root: Path, names: list[str], kind: Literal["directory", "file", "touched"] | None = None
) -> Made:
    info = root.joinpath(*names).lstat()
    plain: Kind = "directory" if stat.S_ISDIR(info.st_mode) else "file"
    return Made(
        "/".join(names),
        kind or plain,
        stat.S_IMODE(info.st_mode),
        info.st_uid,
        info.st_gid,
        info.st_mtime_ns,
    )


def remove_mount_points(prepared: Prepared, upper: Path) -> None:
    """Take away from the unmounted `upper` (or the plain root) what was made and is unchanged."""
    top = upper.resolve()
    for made in reversed(prepared):
        here = top / made.path
        if os.path.realpath(here.parent) != str(here.parent):
            # The step put a symlink in the place of a directory above it.
            continue
        try:
            parent = here.parent.lstat()
            if not _unchanged(here, made):
                continue
            if made.kind == "file":
                here.unlink()
            else:
                here.rmdir()
        except OSError:
            continue
        os.utime(here.parent, ns=(parent.st_atime_ns, parent.st_mtime_ns))


def _unchanged(here: Path, made: Made) -> bool:
    info = here.lstat()
    if stat.S_ISDIR(info.st_mode) != (made.kind != "file") or stat.S_ISLNK(info.st_mode):
        return False
    same = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns) == (
        made.mode,
        made.uid,
        made.gid,
        made.mtime_ns,
    )
    return same and (stat.S_ISDIR(info.st_mode) or info.st_size == 0)
