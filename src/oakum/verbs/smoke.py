"""``verify --run``: a command in the image, in the sandbox, whose failure fails the proof."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from oakum.builder import sandbox
from oakum.builder.images import Images
from oakum.builder.sandboxed import run_on_layers
from oakum.builder.snapshot import Snapshots
from oakum.dockerfile import DEFAULT_PATH
from oakum.layer import Layer
from oakum.oci import Config
from oakum.progress import Event, Progress, silent
from oakum.store import Store, discard
from oakum.transport import RegistryOptions
from oakum.tree import ImageTree
from oakum.verbs.interface import Problem, Proof

_TAIL = 2000


def run_in_image(
    store: Store,
    layers: Sequence[Layer],
    config: Config,
    command: str,
    proof: Proof,
    progress: Progress = silent,
) -> Proof:
    """Run ``/bin/sh -c command`` as the image's user; what it writes is thrown away."""
    images = Images(store, RegistryOptions(), progress)
    snapshots = Snapshots(store, images.fetch)
    indexes = snapshots.indexes(layers)
    files = ImageTree(store, indexes, [layer.descriptor for layer in layers])
    runtime = config.runtime
    user = sandbox.resolve_user(
        str(runtime.get("User") or "") or None, files.read("etc/passwd"), files.read("etc/group")
    )
    env = [str(pair) for pair in runtime.get("Env") or []]
    if not any(pair.startswith("PATH=") for pair in env):
        env.append(f"PATH={DEFAULT_PATH}")
    scratch = Path(tempfile.mkdtemp(prefix="smoke-", dir=store.place.scratch))
    upper = scratch / "upper"
    upper.mkdir()
    output = bytearray()

    def collect(data: bytes) -> None:
        output.extend(data)
        del output[:-_TAIL]

    progress(Event("smoke", "start", f"run {command}"))
    try:
        step = sandbox.Step(
            root=scratch / "root",
            argv=("/bin/sh", "-c", command),
            env=tuple(env),
            cwd=str(runtime.get("WorkingDir") or "/"),
            user=user,
            network="none",
        )
        status = run_on_layers(
            sandbox.find_runtime(scratch=store.place.scratch),
            step,
            snapshots.lowers(layers),
            upper,
            scratch,
            collect,
            how=snapshots.how,
        )
    finally:
        discard(scratch)
    progress(Event("smoke", "done" if status == 0 else "failed"))
    if status == 0:
        return proof
    tail = output.decode("utf-8", "replace").strip()
    problem = Problem("command", command, f"exit code {status}: {tail}")
    return msgspec.structs.replace(proof, passed=False, problems=(*proof.problems, problem))
