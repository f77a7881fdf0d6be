"""A process on a stack of layers: mounts, mount points, the step, and nothing left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from oakum.builder.sandbox import (
    Cancelled,
    Runtime,
    Snapshotter,
    Step,
    in_memory,
    make_stubs,
    prepare_mount_points,
    remove_mount_points,
    run_step,
    stacked,
)


@contextlib.contextmanager
def mounted(
    how: Snapshotter, lowers: Sequence[Path], upper: Path, scratch: Path, step: Step
) -> Iterator[Path]:
    """The layers with `upper` on top, and below them empty places for the step's mounts."""
    stubs = make_stubs(scratch / "stubs", step.mounts)
    root, work = scratch / "root", scratch / "work"
    root.mkdir()
    work.mkdir()
    with stacked(how, [stubs, *lowers], upper, work, root):
        yield root


def run_on_layers(
    runtime: Runtime,
    step: Step,
    lowers: Sequence[Path],
    upper: Path,
    scratch: Path,
    output: Callable[[bytes], None],
    cancelled: Cancelled | None = None,
    *,
    how: Snapshotter = "overlay",
) -> int:
    """Run a step whose root is made of `lowers`; its exit status.

    What it changes is in `upper` afterwards, and only that: mount points that were missing are
    taken away again.  Its whiteouts are as `stacked` makes them.  `scratch` is an existing
    directory on the file system of `upper`; what a runtime is told, secrets in the step's
    environment among it, stays in memory.
    """
    state = scratch / "state"
    state.mkdir()
    with in_memory(state), mounted(how, lowers, upper, scratch, step):
        prepared = prepare_mount_points(step, upper)
        status = run_step(runtime, step, output, state=state, cancelled=cancelled)
    remove_mount_points(prepared, upper)
    return status
