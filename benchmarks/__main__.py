"""Measure every row of the table, beside the peer, in one run."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable

from benchmarks.builds import (
    copies,
    empty_machine,
    first_build,
    real_files,
    scaling,
    stages,
    steps,
)
from benchmarks.document import PAGE, RESULTS, table, write_page, write_results
from benchmarks.machine import facts
from benchmarks.measure import JobFailed
from benchmarks.rows import rows
from benchmarks.scaling import curves
from benchmarks.scan import scan
from benchmarks.startup import show_help
from benchmarks.transfer import transfer
from benchmarks.unchanged import build_again
from benchmarks.workflows import Samples, one_stage, raise_a_pin, two_stages
from benchmarks.world import World, running_world

Job = Callable[[World], dict[str, Samples]]

JOBS: dict[str, Job] = {
    "help": lambda world: {"help": show_help(world)},
    "workflow-1": lambda world: {"workflow-1": raise_a_pin(world, one_stage(world))},
    "workflow-2": lambda world: {"workflow-2": raise_a_pin(world, two_stages(world))},
    "unchanged": lambda world: {"unchanged": build_again(world)},
    "first": first_build,
    "copies": copies,
    "steps": steps,
    "stages": stages,
    "real": real_files,
    "empty": empty_machine,
    "scan": scan,
    "transfer": transfer,
}
ROWS = {name: (name,) for name in JOBS} | {
    "bytes": ("workflow-1", "workflow-2"),
    "memory": tuple(JOBS),
    "scaling": ("scaling",),
}
"""The jobs that a row needs."""


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = {job for row in arguments.only or ROWS for job in ROWS[row]}
    failed = []
    measured: dict[str, Samples] = {}
    with running_world(1 if arguments.quick else arguments.runs, _say) as world:
        known = facts(world)
        for name in JOBS:
            if name not in wanted:
                continue
            _say(f"== {name}")
            try:
                measured |= JOBS[name](world)
            except JobFailed as error:
                failed.append(name)
                _say(f"{name} failed: {error}")
        points = scaling(world) if "scaling" in wanted else {}
    found = list(rows(measured))
    print(table(found))
    if points:
        print(curves(points))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    if not (arguments.quick or arguments.only):
        write_page(found, known, points)
        write_results(measured, found, known, points)
        _say(f"written: {PAGE}, {RESULTS}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures oakum beside its neighbours.  A whole run writes docs/benchmarks.md"
        " and benchmarks/results.json; with --quick or --only the table is only shown.",
    )
    parser.add_argument("--runs", type=_runs, default=5, help="repetitions, at least 5")
    parser.add_argument("--quick", action="store_true", help="one repetition: does all of it run?")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=_names())
    return parser.parse_args()


def _runs(text: str) -> int:
    runs = int(text)
    if runs < 5:
        raise argparse.ArgumentTypeError("a median needs at least 5 (or --quick)")
    return runs


def _names() -> str:
    return f"measure this row only; may be repeated: {', '.join(ROWS)}"


_BEGIN = time.monotonic()


def _say(text: str) -> None:
    print(f"[{time.monotonic() - _BEGIN:6.1f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
