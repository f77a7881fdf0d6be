"""How a step's root is put together: an overlay, and where that is refused, a copy.

``OAKUM_SNAPSHOTTER=overlay`` or ``copy`` in the environment decides; without it, an overlay is
tried where the store is.  A copy costs the time and the space of the whole root for each step.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from oakum.builder.sandbox.copied import copied_root
from oakum.builder.sandbox.overlay import mount_overlay
from oakum.errors import SandboxError, UsageError

VARIABLE = "OAKUM_SNAPSHOTTER"
Snapshotter = Literal["overlay", "copy"]


def choose_snapshotter(directory: Path) -> tuple[Snapshotter, str]:
    """What works below the existing `directory`, and why an overlay does not, else ``""``.

    `directory` is on the file system of the store.
    """
    named = os.environ.get(VARIABLE, "")
    if named not in ("", "overlay", "copy"):
        raise UsageError(f"{VARIABLE} is {named[:40]!r}", "overlay or copy")
    if named == "copy":
        return "copy", ""
    refused = "" if named else _refusal(directory)
    return ("copy", refused) if refused else ("overlay", "")


def _refusal(directory: Path) -> str:
    """Mount an overlay and remove a file in it: why that cannot be done, or ``""``."""
    place = Path(tempfile.mkdtemp(prefix="overlay-", dir=directory))
    lower, upper, work, root = (place / name for name in ("lower", "upper", "work", "root"))
    try:
        for path in (lower, upper, work, root):
            path.mkdir()
        (lower / "file").touch()
        with mount_overlay([lower], upper, work, root):
            (root / "file").unlink()
        os.mknod(upper / "own", stat.S_IFCHR, 0)
    except (SandboxError, OSError) as error:
        return str(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return ""


@contextlib.contextmanager
def stacked(
    how: Snapshotter, lowers: Sequence[Path], upper: Path, work: Path, target: Path
) -> Iterator[Path]:
    """`lowers` (the lowest first) as one writable root at `target` while in the context.

    All are directories, and `upper`, `work` and `target` are empty and on one file system.  After
    the context `upper` holds what was changed: with whiteouts in overlay's form, or for a copy in
    that of `copied`.
    """
    if how == "overlay":
        with mount_overlay(lowers, upper, work, target):
            yield target
    else:
        with copied_root(lowers, upper, target):
            yield target
