"""Pushing and pulling an image of one gigabyte."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.workflows import Samples
from benchmarks.world import World, hold, reference_root

SIZE = 10**9
"""Bytes of the image's files, at least."""


def transfer(world: World) -> dict[str, Samples]:
    """Push to a registry that has nothing of the image; pull into a place that has nothing."""
    push: Samples = {"oakum": [], "skopeo": []}
    pull: Samples = {"oakum": [], "skopeo": []}
    empty = world.registry.state()
    image = f"{world.registry.host}/big:1"
    store, layout = world.place / "big-store", world.place / "big-layout"
    world.say("transfer: making the image")
    world.oakum("build", _context(world), "-t", image, store=store)
    world.oakum("copy", f"store:{image}", f"oci:{layout}:1", store=store)
    for number in range(world.runs):
        os.sync()
        push["oakum"].append(world.oakum("push", image, store=store))
        world.registry.restore(empty)
        os.sync()
        log = world.place / "skopeo.log"
        command = ["skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:1"]
        push["skopeo"].append(measured([*command, f"docker://{image}"], log))
        if number + 1 < world.runs:
            world.registry.restore(empty)
        world.say(
            f"push: oakum {push['oakum'][-1].seconds:.2f} s, skopeo "
            f"{push['skopeo'][-1].seconds:.2f} s"
        )
    for _ in range(world.runs):
        shutil.rmtree(store)
        os.sync()
        pull["oakum"].append(world.oakum("pull", image, store=store))
        shutil.rmtree(layout)
        os.sync()
        command = ["skopeo", "copy", "--src-tls-verify=false", f"docker://{image}"]
        pull["skopeo"].append(measured([*command, f"oci:{layout}:1"], log))
        world.say(
            f"pull: oakum {pull['oakum'][-1].seconds:.2f} s, skopeo "
            f"{pull['skopeo'][-1].seconds:.2f} s"
        )
    shutil.rmtree(store)
    shutil.rmtree(layout)
    world.registry.restore(empty)
    return {"push": push, "pull": pull}


def _context(world: World) -> Path:
    """A Debian root, and the same again below other directories until the size is reached."""
    context = world.context("big")
    hold(reference_root(), context / "root.tar")
    with tarfile.open(context / "root.tar") as tar:
        once = sum(member.size for member in tar)
    copies = -(-SIZE // once)
    lines = [f"ADD root.tar {'/' if not copy else f'/copy-{copy}/'}" for copy in range(copies)]
    (context / "Dockerfile").write_text("\n".join(["FROM scratch", *lines]) + "\n")
    return context
