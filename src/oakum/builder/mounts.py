"""``RUN --mount``: what a step sees besides its root, and what of it counts for the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from oakum.builder import sandbox
from oakum.builder.context import Directory
from oakum.builder.ssh_agent import agent_socket
from oakum.builder.stack import identity
from oakum.builder.state import StageState
from oakum.builder.steps import Stages, Workshop
from oakum.dockerfile import Mount
from oakum.errors import BuildError
from oakum.layer import Entry, Kind, content_identity
from oakum.layer.disk import file_content
from oakum.store import discard


class MountedStep(msgspec.Struct, frozen=True):
    """Mounts that are ready for a step."""

    mounts: tuple[sandbox.Mount, ...]
    """What to mount, in order."""
    env: dict[str, str]
    """Secrets that go into the environment, and where an agent's socket is."""


def mount_identity(shop: Workshop, stages: Stages, mount: Mount) -> tuple[object, str]:
    """What of a mount belongs into the step's cache key: its options, and what it shows.

    A cache, a secret and an agent count by id and place only: what they hold never changes a key.
    What a mount shows of a context or a stage counts as it is shown, whatever surrounds it there.
    """
    # Which steps wait for each other is nothing that a step sees, nor what a stage is called.
    seen = msgspec.structs.replace(mount, sharing="", from_="")
    if mount.type != "bind" and not mount.from_:
        return msgspec.structs.astuple(seen), ""
    options = msgspec.structs.astuple(msgspec.structs.replace(seen, source=""))
    directory = stages.directory_of(mount.from_)
    if directory is not None:
        owned = {"uid": 0, "gid": 0}
        found = [
            msgspec.structs.replace(one.entry, **owned)
            for one in directory.entries(mount.source or "")
        ]
        return options, _identity(found)
    return options, _shown(shop, _state(stages, mount), mount.source)


def _identity(entries: Iterable[Entry]) -> str:
    return identity(msgspec.msgpack.encode(content_identity(entry)) for entry in entries)


def _shown(shop: Workshop, state: StageState, path: str) -> str:
    """Identity of what is at a path of a finished stage."""
    wanted = os.path.normpath("/" + path).lstrip("/")
    if not wanted:
        return state.stack.content
    tree = shop.snapshots.tree(state.stack.layers)
    resolved = tree.resolve(os.fsencode(wanted))
    if resolved is None:
        return ""
    return _identity(
        msgspec.structs.replace(node.file or node.entry, path=at[len(resolved) :].lstrip(b"/"))
        for at, node in tree.walk(resolved)
    )


def _state(stages: Stages, mount: Mount) -> StageState:
    if not mount.from_:
        raise BuildError("a bind mount needs a build context", "name a directory as the context")
    return stages.state_of(mount.from_) or stages.image_of(mount.from_)


@contextlib.contextmanager
def open_mounts(
    shop: Workshop, stages: Stages, mounts: Sequence[Mount], state: StageState, scratch: Path
) -> Iterator[MountedStep]:
    """Make every mount's source ready; what a step writes to a bind mount is thrown away."""
    with contextlib.ExitStack() as stack:
        ready: list[sandbox.Mount] = []
        env: dict[str, str] = {}
        for number, mount in enumerate(mounts):
            place = scratch / f"mount-{number}"
            place.mkdir()
            target = _target(state, mount, mounts[:number])
            if mount.type == "tmpfs":
                ready.append(sandbox.Mount("tmpfs", target, None, False, mount.size))
            elif mount.type == "cache":
                source = stack.enter_context(_cache(shop, stages, mount, target, place))
                ready.append(sandbox.Mount("bind", target, source, mount.readonly))
            elif mount.type == "secret":
                stack.enter_context(sandbox.in_memory(place))
                _secret(shop, mount, target, place, ready, env)
            elif mount.type == "ssh":
                if "SSH_AUTH_SOCK" not in state.env:
                    env.setdefault("SSH_AUTH_SOCK", target)
                ready += stack.enter_context(_agent(shop, mount, target, place))
            else:
                source = stack.enter_context(_bind(shop, stages, mount, place))
                ready.append(sandbox.Mount("bind", target, source, mount.readonly))
        yield MountedStep(tuple(ready), env)


def _target(state: StageState, mount: Mount, before: Sequence[Mount]) -> str:
    if mount.target:
        target = os.path.normpath("/" + os.path.join(state.workdir, mount.target).lstrip("/"))
        if target == "/":
            raise BuildError("nothing can be mounted on /", "write --mount=…,target=/path")
        return target
    if mount.type == "secret":
        return f"/run/secrets/{mount.id or os.path.basename(mount.source)}"
    if mount.type == "ssh":
        return f"/run/buildkit/ssh_agent.{sum(one.type == 'ssh' for one in before)}"
    raise BuildError(f"a {mount.type} mount needs a target", "write --mount=…,target=/path")


@contextlib.contextmanager
def _bind(shop: Workshop, stages: Stages, mount: Mount, place: Path) -> Iterator[Path]:
    directory = stages.directory_of(mount.from_)
    if directory is not None:
        yield _copied(directory, mount.source.lstrip("/"), place)
        return
    state = _state(stages, mount)
    lowers = shop.snapshots.lowers(state.stack.layers)
    upper, work, merged = place / "upper", place / "work", place / "merged"
    for path in (upper, work, merged):
        path.mkdir()
    with sandbox.stacked(shop.snapshots.how, lowers, upper, work, merged):
        tree = shop.snapshots.tree(state.stack.layers)
        resolved = tree.resolve(os.fsencode(mount.source.lstrip("/")))
        if resolved is None:
            raise BuildError(
                f"{mount.source!r} is not in {mount.from_!r}, from which it is to be mounted",
                "check the path",
            )
        yield merged / os.fsdecode(resolved)


def _copied(directory: Directory, path: str, place: Path) -> Path:
    """The part of a context that a bind mount shows, without what .dockerignore leaves out."""
    root = place / "context"
    for found in directory.entries(path):
        relative = os.fsdecode(found.entry.path)
        where = root / relative if relative else root
        if found.entry.kind is Kind.DIRECTORY:
            where.mkdir(parents=True, exist_ok=True)
        elif found.entry.kind is Kind.SYMLINK:
            os.symlink(found.entry.link, os.fsencode(where))
        elif found.entry.kind is Kind.FILE:
            with where.open("wb") as file:
                for piece in file_content(found.source):
                    file.write(piece)
        elif found.entry.kind is Kind.FIFO:
            os.mkfifo(where)
        else:
            continue
        if found.entry.kind is not Kind.SYMLINK:
            os.chmod(where, found.entry.mode)
        os.utime(where, (found.entry.mtime, found.entry.mtime), follow_symlinks=False)
    return root


@contextlib.contextmanager
def _cache(
    shop: Workshop, stages: Stages, mount: Mount, target: str, place: Path
) -> Iterator[Path]:
    """The directory of a cache mount: shared, one user at a time, or one of several."""
    name = hashlib.sha256((mount.id or target).encode()).hexdigest()[:32]
    base = shop.store.cache("mounts") / name
    base.mkdir(exist_ok=True)
    (base / "id").write_text(mount.id or target)
    for number in range(10_000):
        path = base / str(number if mount.sharing == "private" else 0)
        handle = os.open(base / f"{path.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if mount.sharing == "private":
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
            else:
                # Those who share hold it too, so that nothing is taken away from under them.
                alone = mount.sharing == "locked"
                fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            if not path.is_dir():
                _new_cache(shop, stages, mount, path, place)
            if not mount.source or mount.from_:
                yield path
                return
            with sandbox.pinned(path, mount.source, place / "source") as source:
                yield source
            return
        finally:
            os.close(handle)
    raise BuildError(f"no free private cache {mount.id or target!r}", "prune the store")


def _new_cache(shop: Workshop, stages: Stages, mount: Mount, path: Path, place: Path) -> None:
    made = Path(tempfile.mkdtemp(dir=path.parent))
    if mount.from_:
        with _bind(shop, stages, mount, place) as source:
            if not source.is_dir():
                raise BuildError(
                    f"{mount.source!r} in {mount.from_!r} is not a directory, as a cache must be",
                    "name a directory",
                )
            sandbox.copy_root([source], made)
    _give(made, mount, 0o755)
    try:
        made.rename(path)
    except OSError:
        discard(made)


def _secret(
    shop: Workshop,
    mount: Mount,
    target: str,
    place: Path,
    ready: list[sandbox.Mount],
    env: dict[str, str],
) -> None:
    name = mount.id or os.path.basename(mount.source or target)
    value = shop.request.secret(name)
    if value is None:
        if mount.required:
            raise BuildError(
                f"secret {name}: not found, and the step requires it",
                f"pass --secret id={name},src=FILE or --secret id={name},env=NAME",
            )
        return
    if mount.env is not None:
        env[mount.env or name] = value.decode("utf-8", "surrogateescape")
        if not mount.target:
            return
    file = place / "secret"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as writer:
        writer.write(value)
    _give(file, mount, 0o400)
    ready.append(sandbox.Mount("bind", target, file, True))


def _give(path: Path, mount: Mount, mode: int) -> None:
    """The owner and the mode that a mount asks for."""
    try:
        os.chown(path, mount.uid or 0, mount.gid or 0)
    except OSError as error:
        raise BuildError(
            f"no {mount.type} mount can belong to {mount.uid or 0}:{mount.gid or 0}: "
            f"{error.strerror}",
            "give your user ranges in /etc/subuid and /etc/subgid, or run as root",
        ) from error
    os.chmod(path, mode if mount.mode is None else mount.mode)


@contextlib.contextmanager
def _agent(shop: Workshop, mount: Mount, target: str, place: Path) -> Iterator[list[sandbox.Mount]]:
    name = mount.id or "default"
    agent = next((one for one in shop.request.agents if one.id == name), None)
    if agent is None:
        if mount.required:
            raise BuildError(
                f"ssh agent {name}: not found, and the step requires it", f"pass --ssh {name}"
            )
        yield []
        return
    with sandbox.in_memory(place), agent_socket(agent, place) as path:
        _give(path, mount, 0o600)
        yield [sandbox.Mount("bind", target, path, True)]
