"""What ``oakum --help`` takes over Python's own start."""

from __future__ import annotations

import sys

from benchmarks.measure import measured
from benchmarks.tools import BIN
from benchmarks.workflows import Samples
from benchmarks.world import World


def show_help(world: World) -> Samples:
    """In turns: the help, and a Python that does nothing."""
    commands = {
        "oakum": [str(BIN / "oakum"), "--help"],
        "python": [sys.executable, "-c", "pass"],
    }
    samples: Samples = {name: [] for name in commands}
    for _ in range(world.runs):
        for name, command in commands.items():
            samples[name].append(measured(command, world.place / "help.log"))
    return samples
