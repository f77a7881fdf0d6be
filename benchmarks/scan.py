"""Scanning the reference image: what is installed, and for oakum also what has a fix."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.measure import Sample, measured
from benchmarks.tools import BIN
from benchmarks.workflows import Samples
from benchmarks.world import World

SYFT = BIN / "syft"


def scan(world: World) -> dict[str, Samples]:
    """Cold: nothing is known, neither image nor indexes.  Warm: the same scan once more."""
    cold: Samples = {"oakum": [], "syft": []}
    warm: Samples = {"oakum": []}
    store = world.place / "scan-store"
    image = world.reference
    for _ in range(world.runs):
        shutil.rmtree(store, ignore_errors=True)
        os.sync()
        cold["oakum"].append(_oakum(world, image, store))
        warm["oakum"].append(_oakum(world, image, store))
        cold["syft"].append(_syft(world, image))
        world.say(
            f"scan: oakum {cold['oakum'][-1].seconds:.2f} s, then {warm['oakum'][-1].seconds:.2f}"
            f" s; syft {cold['syft'][-1].seconds:.2f} s"
        )
    shutil.rmtree(store)
    return {"scan-cold": cold, "scan-warm": warm}


def _oakum(world: World, image: str, store: Path) -> Sample:
    return world.oakum("scan", image, "--progress", "plain", store=store)


def _syft(world: World, image: str) -> Sample:
    env = {
        "SYFT_REGISTRY_INSECURE_USE_HTTP": "true",
        "SYFT_CHECK_FOR_APP_UPDATE": "false",
        "SYFT_CACHE_DIR": str(world.place / "syft-cache"),
    }
    command = [str(SYFT), "scan", f"registry:{image}", "-o", "syft-json", "--quiet"]
    return measured(command, world.place / "syft.log", env=env)
