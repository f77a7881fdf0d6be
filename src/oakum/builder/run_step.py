"""RUN: a command in the sandbox on top of the stack, and the layer of what it changed."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from oakum.builder import sandbox
from oakum.builder.cache import StepResult
from oakum.builder.dating import dated
from oakum.builder.lock_pins import apt_files
from oakum.builder.memory import inputs_of_run
from oakum.builder.mounts import MountedStep, mount_identity, open_mounts
from oakum.builder.noise import RULES
from oakum.builder.preflight import pins_checked, recorded_files
from oakum.builder.run_command import PIPES, RunCommand, run_mark
from oakum.builder.sandboxed import run_on_layers
from oakum.builder.stack import identity
from oakum.builder.state import StageState
from oakum.builder.step_downloads import Offer, unrecorded
from oakum.builder.step_packages import check_lock, packages_of_step
from oakum.builder.steps import (
    NOT_TO_BE_USED,
    Found,
    NotCached,
    Stages,
    Workshop,
)
from oakum.dockerfile import (
    Instruction,
    LockedStep,
)
from oakum.errors import BuildError
from oakum.progress import Event
from oakum.store import discard
from oakum.tree import ImageTree, Tree

_APT = b"usr/bin/apt-get"


def run_instruction(
    shop: Workshop,
    stages: Stages,
    state: StageState,
    instruction: Instruction,
    expand: Callable[[str], str],
    stage: str,
    number: int,
) -> Found:
    """Carry out a RUN, or take its layer from the cache."""
    began = time.monotonic()
    run = RunCommand(shop, state, instruction, expand)
    mark = run_mark(instruction)
    entry = _entry(shop, stage, number, mark)
    pins = entry.packages if entry else None
    # An entry that is the step's by its number alone was made for another command: what it
    # installs is held at those versions, but nobody promised that it installs just that.
    promised = pins if entry and entry.command in ("", mark) else None
    sources = [mount_identity(shop, stages, mount) for mount in run.mounts]
    key = _key(shop, state, run, sources)
    hosts = shop.request.add_hosts
    inputs = inputs_of_run(state, run.words, run.network, hosts, list(zip(run.mounts, sources)))
    recorded = entry.files if entry and promised is not None else {}
    why = ""
    if shop.uncached(stage):
        why = NOT_TO_BE_USED
    elif (stage, mark) in shop.request.rerun:
        why = "a step behind it needs newer package lists"
    else:
        found = shop.cache.find(key, promised)
        held = found and dated(shop, key, found)
        if held is not None:
            state.add_history(run.history(state), empty=False)
            seconds = time.monotonic() - began
            return Found(held, True, seconds, command=mark, key=key, inputs=inputs)
        if found is not None:
            why = "its layer has times of another SOURCE_DATE_EPOCH"
        elif promised is not None and shop.cache.results(key):
            why = "the lock asks for other package versions"
    if shop.request.only_cached:
        raise NotCached(stage, instruction)
    with shop.slots:
        result = _execute(shop, stages, state, run, _Promise(pins, promised, recorded), stage)
    shop.remember(key, result)
    state.add_history(run.history(state), empty=False)
    return Found(result, False, time.monotonic() - began, why, mark, key, inputs)


def _entry(shop: Workshop, stage: str, number: int, mark: str) -> LockedStep | None:
    lock = shop.request.lock
    return lock.step(stage, number, str(shop.request.platform), mark) if lock else None


def _key(shop: Workshop, state: StageState, run: RunCommand, sources: Sequence[object]) -> str:
    return identity(
        [
            "run",
            state.stack.content,
            run.argv,
            sorted(state.env.items()),
            state.workdir,
            state.user,
            run.network,
            sorted(shop.request.add_hosts, key=lambda pair: pair[0]),
            list(sources),
            str(state.platform),
            [run.program.name, run.program.text] if run.program else [],
            *(RULES if shop.request.reproducible else ()),
        ]
    )


class _Promise(msgspec.Struct, frozen=True):
    """What the lock says of a step."""

    pins: Mapping[str, str] | None
    """Versions that packages are held at."""
    packages: Mapping[str, str] | None
    """What the step installs, exactly; None when nobody promised that."""
    files: Mapping[str, str]
    """What it was installed from: URL → SHA-256."""


class _Place(msgspec.Struct, frozen=True):
    """Where a step runs."""

    files: ImageTree
    """The files that it begins with."""
    lowers: Sequence[Path]
    """The directories that they are in, the lowest first."""
    scratch: Path
    """A directory for the time that it takes."""
    upper: Path
    """Where its changes go."""
    stage: str
    """Its stage."""
    cancelled: sandbox.Cancelled
    """What says that it is to end."""


def _execute(
    shop: Workshop,
    stages: Stages,
    state: StageState,
    run: RunCommand,
    promise: _Promise,
    stage: str,
) -> StepResult:
    began, started = time.monotonic(), time.time()
    # Before anything looks into them: layers that are fetched now are unpacked as they come.
    lowers = shop.snapshots.lowers(state.stack.layers)
    tree = shop.snapshots.tree(state.stack.layers)
    replayed = recorded_files(shop, state, tree, promise.packages, promise.files)
    asked = replayed is None and not shop.request.offline
    files = shop.files(state.stack.layers, tree)
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=shop.scratch))
    upper = scratch / "kept" / "fs"
    upper.mkdir(parents=True)
    os.chmod(upper, 0o755)
    ahead = shop.layering.ahead(upper, scratch)
    try:
        with pins_checked(shop, state, tree, run.instruction, wanted=asked) as cancelled:
            place = _Place(files, lowers, scratch, upper, stage, cancelled)
            with _offer(shop, state, run, files, scratch, replayed) as offer:
                status = _sandboxed(shop, stages, state, run, promise.pins, offer, place)
            if status != 0:
                raise _failed(run.instruction, status, offer)
        _keep_kernels_directories(tree, upper)
        epoch = shop.request.source_date_epoch
        clamp = state.epoch if epoch is None else epoch
        layer, content, settled = shop.layering.of_upper(
            upper,
            tree,
            clamp,
            int(started),
            marked=shop.snapshots.how == "copy",
            known=ahead.stop() if ahead else {},
            quiet=shop.request.reproducible,
        )
        packages = packages_of_step(files, upper)
        check_lock(run.instruction, packages, promise.packages)
        if offer.configuration and (lacking := unrecorded(packages, offer.used)):
            shown = ", ".join(lacking[:4]) + (" …" if len(lacking) > 4 else "")
            text = (
                f"not recorded, from an https source, a file or a cache mount of the step: {shown}"
            )
            shop.progress(Event(f"step {stage}:{run.instruction.first_line}", "note", text))
        if shop.request.disturbance is None:
            shop.snapshots.keep(scratch / "kept", layer.diff_id)
    finally:
        if ahead:
            ahead.close()
        discard(scratch)
    seconds = time.monotonic() - began
    return StepResult(
        layer,
        content,
        packages,
        offer.used,
        seconds=seconds,
        clamp=clamp,
        exact=settled.exact,
        recorded=settled.recorded,
    )


def _failed(instruction: Instruction, status: int, offer: Offer) -> BuildError:
    what = (
        f"line {instruction.first_line}: the step failed, exit code: {status}: "
        f"{instruction.original[:300]}"
    )
    if offer.refused:
        return BuildError(
            f"{what}; it asked for {offer.refused[0][:200]}, of which oakum has no copy",
            "build once without --offline; 'oakum lock' records what a step was installed from",
        )
    return BuildError(
        what, "its output stands above (unless -q hid it); fix the command and build again"
    )


def _offer(
    shop: Workshop,
    state: StageState,
    run: RunCommand,
    files: ImageTree,
    scratch: Path,
    replayed: Mapping[str, str] | None,
) -> contextlib.AbstractContextManager[Offer]:
    """What the step's apt is offered; nothing where there is no apt or no network."""
    if run.network == "none" or files.tree.resolve(_APT) is None:
        return contextlib.nullcontext(Offer())
    return shop.step_downloads.offered(
        files,
        state.platform.debian_architecture(),
        run.env,
        scratch,
        replayed,
        with_lists=any("apt" in word for word in run.words),
    )


def _sandboxed(
    shop: Workshop,
    stages: Stages,
    state: StageState,
    run: RunCommand,
    locked: Mapping[str, str] | None,
    offer: Offer,
    place: _Place,
) -> int:
    files, scratch, upper = place.files, place.scratch, place.upper
    user = sandbox.resolve_user(
        state.user or None, files.read("etc/passwd"), files.read("etc/group")
    )
    user = msgspec.structs.replace(user, groups=tuple({*user.groups, user.gid}))
    lowers = place.lowers
    offered = _offered(files.read("etc/apt/preferences"), locked, offer)
    task = f"step {place.stage}:{run.instruction.first_line}"

    def output(data: bytes) -> None:
        shop.progress(Event(task, "log", data.decode("utf-8", "replace")))

    with open_mounts(shop, stages, run.mounts, state, scratch) as extra:
        env = _environment(run, user.home, offered, extra)
        step = sandbox.Step(
            root=scratch / "root",
            argv=tuple(run.argv),
            env=tuple(f"{name}={value}" for name, value in env.items()),
            cwd=state.workdir,
            user=user,
            mounts=(*extra.mounts, *_program_mounts(run, scratch), *offer.mounts),
            files=offered,
            network=run.network,  # type: ignore[arg-type]
            add_hosts=shop.request.add_hosts,
            ulimits=shop.request.ulimits,
            shm_size=shop.request.shm_size,
            limits=shop.request.limits,
            cgroup_parent=shop.request.cgroup_parent,
        )
        if shop.request.disturbance:
            step = msgspec.structs.replace(step, hostname=shop.request.disturbance.hostname)
        certificates = _certificates(shop, lowers, scratch)
        if certificates is not None:
            step = msgspec.structs.replace(
                step,
                env=(*step.env, *certificates.env),
                files={**step.files, **certificates.files},
            )
            lowers = [*lowers, scratch / "certificates"]
        try:
            status = run_on_layers(
                shop.runtime(),
                step,
                lowers,
                upper,
                scratch,
                output,
                place.cancelled,
                how=shop.snapshots.how,
            )
        except sandbox.CannotStart as error:
            where = f"line {run.instruction.first_line}: {run.instruction.original[:300]}"
            raise BuildError(f"{where}: {error.what}", error.todo) from error
    if certificates is not None:
        sandbox.withdraw_ca(certificates, upper)
    return status


def _program_mounts(run: RunCommand, scratch: Path) -> list[sandbox.Mount]:
    """A heredoc that is a program, as a file in the step."""
    if run.program is None:
        return []
    pipes = scratch / "pipes"
    pipes.mkdir()
    file = pipes / run.program.name
    file.write_bytes(run.program.text.encode("utf-8", "surrogateescape"))
    file.chmod(0o755)
    return [sandbox.Mount("bind", PIPES, pipes, True)]


def _keep_kernels_directories(tree: Tree, upper: Path) -> None:
    """The directories that every step has become the image's, as docker leaves them."""
    for name in ("dev", "proc", "sys"):
        if tree.get(name.encode()) is None and not os.path.lexists(upper / name):
            (upper / name).mkdir()
            (upper / name).chmod(0o755)


def _certificates(
    shop: Workshop, lowers: Sequence[Path], scratch: Path
) -> sandbox.OfferedCertificates | None:
    """Further certificate authorities for the step, as a layer that is no part of the image."""
    bundle = shop.request.ca_certificates
    if bundle is None:
        return None
    for name in ("certificates", "certificates-upper", "certificates-work", "certificates-root"):
        (scratch / name).mkdir()
    upper, work = scratch / "certificates-upper", scratch / "certificates-work"
    root = scratch / "certificates-root"
    with sandbox.stacked(shop.snapshots.how, lowers, upper, work, root):
        return sandbox.offer_ca(bundle, root, scratch / "certificates")


def _offered(
    preferences: bytes | None, locked: Mapping[str, str] | None, offer: Offer
) -> dict[str, bytes]:
    """The files that a step's apt is told of."""
    files = apt_files(locked, preferences) if locked else {}
    if offer.configuration:
        files["apt.conf"] = offer.configuration.encode() + files.get("apt.conf", b"")
    return files


def _environment(
    run: RunCommand, home: str, offered: Mapping[str, bytes], extra: MountedStep
) -> dict[str, str]:
    env = dict(run.env)
    for pair in sandbox.proxy_environment(os.environ):
        name, _, value = pair.partition("=")
        env.setdefault(name, value)
    env.setdefault("HOME", home)
    env.update(extra.env)
    if offered:
        env["APT_CONFIG"] = "/dev/.oakum/apt.conf"
    return env
