"""Finding the runtime that works here, by running a program with it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from oakum.builder.sandbox.mount_points import make_stubs
from oakum.builder.sandbox.run import run_step
from oakum.builder.sandbox.runtime import PROGRAMS, Name, Runtime, installed
from oakum.builder.sandbox.step import Mount, Step
from oakum.errors import BuildError, SandboxError

LENT = ("bin", "lib", "lib32", "lib64", "libx32", "nix", "sbin", "usr")
"""Directories of this machine that the proof's ``true`` needs; a real step never sees them."""


def find_runtime(preferred: str | None = None, scratch: Path | None = None) -> Runtime:
    """The first of runc, crun and bubblewrap that ran a program here, or the one that is named.

    `scratch` is a directory for what that takes, which is gone afterwards.  This takes as long as
    a few steps: remember the answer.  SandboxError says what was tried.
    """
    names = [name for name in PROGRAMS if preferred in (None, name, PROGRAMS[name])]
    tried: list[str] = [] if names else [f"{preferred} is not one of {', '.join(PROGRAMS)}"]
    for name in names:
        path = installed(name)
        if path is None:
            tried.append(f"{PROGRAMS[name]} is not installed")
            continue
        for runtime in _variants(name, path):
            failure = failure_of(runtime, scratch)
            if failure is None:
                return runtime
            tried.append(failure)
    raise SandboxError(
        "no way to run a step on this machine: " + "; ".join(tried),
        "install runc, crun or bubblewrap (the packages are called so on Debian, Ubuntu and "
        "Fedora), and run where containers may be started",
    )


def _variants(name: Name, path: Path) -> list[Runtime]:
    """With control groups, and where they cannot be written to, without."""
    if name == "bubblewrap":
        return [Runtime(name, path, cgroups=False)]
    return [Runtime(name, path), Runtime(name, path, cgroups=False)]


def failure_of(runtime: Runtime, place: Path | None = None) -> str | None:
    """Run ``true`` in a root made of this machine's programs: None, or why that failed."""
    said: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="oakum-proof-", dir=place) as scratch:
        root = Path(scratch, "root")
        mounts = _lend(root)
        step = Step(make_stubs(root, mounts), ("true",), mounts=mounts)
        try:
            status = run_step(runtime, step, said.append, state=Path(scratch, "state"))
        except (SandboxError, BuildError) as error:
            return error.what
    words = b"".join(said).decode("utf-8", "replace").strip()
    return f"{runtime.name} ended with {status} ({words[-300:]})" if status else None


def _lend(root: Path) -> tuple[Mount, ...]:
    root.mkdir()
    mounts = []
    for name in LENT:
        here = Path("/", name)
        if here.is_symlink():
            (root / name).symlink_to(os.readlink(here))
        elif here.is_dir():
            mounts.append(Mount("bind", f"/{name}", here, readonly=True))
    return tuple(mounts)
