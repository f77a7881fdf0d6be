"""A process on a stack of layers: mounts, mount points, the step, and nothing left behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from oakum.build.sandbox import (
    Runtime,
    Step,
    make_stubs,
    mount_overlay,
    prepare_mount_points,
    remove_mount_points,
    run_step,
)


@contextlib.contextmanager
def mounted(lowers: Sequence[Path], upper: Path, scratch: Path, step: Step) -> Iterator[Path]:
    """The layers with `upper` on top, and below them empty places for the step's mounts."""
    stubs = make_stubs(scratch / "stubs", step.mounts)
    root, work = scratch / "root", scratch / "work"
    root.mkdir()
    work.mkdir()
    with mount_overlay([stubs, *lowers], upper, work, root):
        yield root


def run_on_layers(
    runtime: Runtime,
    step: Step,
    lowers: Sequence[Path],
    upper: Path,
    scratch: Path,
    output: Callable[[bytes], None],
    cancelled: threading.Event | None = None,
) -> int:
    """Run a step whose root is made of `lowers`; its exit status.

    What it changes is in `upper` afterwards, and only that: mount points that were missing are
    taken away again.  `scratch` is an existing directory on the file system of `upper`.
    """
    state = scratch / "state"
    state.mkdir()
    with mounted(lowers, upper, scratch, step):
        prepared = prepare_mount_points(step, upper)
        status = run_step(runtime, step, output, state=state, cancelled=cancelled)
    remove_mount_points(prepared, upper)
    return status
