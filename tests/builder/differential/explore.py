"""Random builds by both builders until something differs: ``make explore``.

What is known to differ (docs/compatibility.md) is left out of the comparison here.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from builder.differential.base import BASE_TIME
from builder.differential.case import OLD, Case
from builder.differential.engines import BuildKit, Oakum
from builder.differential.random_case import random_cases
from builder.differential.random_ignore import ignore_case, ignored_copies
from builder.differential.random_words import instructions, words_case
from builder.differential.record import Files, Record, differences
from builder.differential.web import serving
from oakum.store import Store
from support.reference import running_reference

Differences = dict[str, tuple[object, object]]
T = TypeVar("T")
Found = tuple[Case, Differences]
_UNSENT = re.compile(r"solve: lstat /\S+: no such file or directory")
_PATIENCE = 60.0
"""Seconds in which a build that differs is made smaller."""
_DRAWN = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


class Both:
    """The two builders, at work at the same time."""

    def __init__(self, oakum: Oakum, buildkit: BuildKit, pool: ThreadPoolExecutor) -> None:
        self.oakum = oakum
        self._buildkit = buildkit
        self._pool = pool
        self.built = self.failed = 0

    def differences(self, case: Case) -> Differences:
        """What the builders make of the case otherwise."""
        waiting = self._pool.submit(self._buildkit.record, case)
        try:
            found, _ = self.oakum.record(case)
        finally:
            expected = waiting.result()
        self.built += 1
        self.failed += expected.error is not None
        return unknown_differences(expected, found, self.oakum.base)

    def _differences_if_made(self, case: Case) -> Differences:
        try:
            return self.differences(case)
        except subprocess.CalledProcessError:
            return {}  # the script of its context does not work any more

    def smallest(self, case: Case, differ: Differences) -> tuple[Case, Differences]:
        """The case with lines left out, as long as it differs in the same kinds of things."""
        wanted, until = _kinds(differ), time.monotonic() + _PATIENCE
        for section in ("Dockerfile", "file .dockerignore", "context"):
            lines = case.sections.get(section, "").splitlines(keepends=True)
            step = max(1, len(lines) // 2)
            while step and time.monotonic() < until:
                at = 0
                while at < len(lines) and time.monotonic() < until:
                    fewer = [*lines[:at], *lines[at + step :]]
                    smaller = _with(case, section, "".join(fewer))
                    found = self._differences_if_made(smaller)
                    if found and _kinds(found) == wanted:
                        lines, case, differ = fewer, smaller, found
                    else:
                        at += step
                step //= 2
        return case, differ


def _with(case: Case, section: str, text: str) -> Case:
    return Case(case.topic, case.name, {**case.sections, section: text})


def _kinds(differ: Differences) -> set[str]:
    return {what.partition(" ")[0] for what in differ}


def unknown_differences(expected: Record, found: Record, base: Files) -> Differences:
    """As `differences`, without those that are known.

    Not looked at: which names are one file; the time of a directory that a step touched, or whose
    files it changed and put back, since docker leaves that out of the layer.  And docker misses a
    directory in which wildcards match nothing, unless another COPY has it sent.
    """
    if found.error is None and _UNSENT.search(expected.error or ""):
        return {}
    pair = _each_for_itself(expected, base), _each_for_itself(found, base)
    return {
        what: both
        for what, both in differences(*pair, base).items()
        if not (what.startswith("file ") and _same_but_settled(*both))
    }


def _each_for_itself(record: Record, base: Files) -> Record:
    """The record with second names of a file described as the file."""
    all_files = {**(base if record.on_base else {}), **record.files}
    files = {
        path: all_files[text.removeprefix("same as ")] if text.startswith("same as ") else text
        for path, text in all_files.items()
    }
    return Record(record.case, record.error, record.on_base, files, record.config, record.history)


def _same_but_settled(expected: object, found: object) -> bool:
    """Whether they are one directory, whose time docker's layer does not have."""
    one, other = str(expected).rpartition(" @"), str(found).rpartition(" @")
    kept = one[2] == str(BASE_TIME) or other[2] == str(OLD)
    return one[0].startswith("dir ") and one[0] == other[0] and kept


def shown(case: Case, differ: Differences) -> str:
    """The case as a file of cases has it, and what differs."""
    parts = [f"=== {case.name}\n"]
    parts += [f"--- {section}\n{text}" for section, text in case.sections.items() if text]
    for what, (expected, found) in differ.items():
        parts.append(f"{what}\n  docker {str(expected)[-400:]}\n  oakum  {str(found)[-400:]}\n")
    return "".join(parts)


def drawn(strategy: st.SearchStrategy[T], number: int, count: int) -> list[T]:
    """What a seed gives of a strategy."""
    found: list[T] = []

    @seed(number)
    @settings(_DRAWN, max_examples=count)
    @given(strategy)
    def draw(one: T) -> None:
        found.append(one)

    draw()
    return found


def builds(both: Both, number: int, count: int) -> Iterator[Found]:
    """Random builds of a seed that differ, made smaller."""
    for case in drawn(random_cases(), number, count):
        if differ := both.differences(case):
            yield both.smallest(case, differ)


def words(both: Both, number: int, count: int, refused: int = 6) -> Iterator[Found]:
    """Random instructions that differ."""
    return _batch(both, drawn(instructions(), number, count), words_case, refused)


def ignored(both: Both, number: int, count: int, refused: int = 6) -> Iterator[Found]:
    """Random ignore files that differ."""
    return _batch(both, drawn(ignored_copies(), number, count), ignore_case, refused)


def _batch(
    both: Both, parts: list[T], case_of: Callable[[list[T]], Case], refused: int
) -> Iterator[Found]:
    """What differs when all that oakum builds is in one build, and some that it refuses alone."""
    fails = [both.oakum.record(case_of([part]))[0].error is not None for part in parts]
    yield from _halved(both, [p for p, fail in zip(parts, fails, strict=True) if not fail], case_of)
    for part in [p for p, fail in zip(parts, fails, strict=True) if fail][:refused]:
        yield from _halved(both, [part], case_of)


def _halved(both: Both, parts: list[T], case_of: Callable[[list[T]], Case]) -> Iterator[Found]:
    differ = both.differences(case_of(parts))
    if differ and len(parts) > 1:
        middle = len(parts) // 2
        yield from _halved(both, parts[:middle], case_of)
        yield from _halved(both, parts[middle:], case_of)
    elif differ:
        yield case_of(parts), differ


KINDS = {"builds": (builds, 20), "words": (words, 120), "ignored": (ignored, 60)}


def main() -> int:
    """Build for a while; print what differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    asked = parser.parse_args()
    number, until, wrong = asked.seed, time.monotonic() + 60 * asked.minutes, 0
    with (
        tempfile.TemporaryDirectory(prefix="explore-") as name,
        serving(Path(name) / "www") as server,
        running_reference(Path(name) / "buildkit") as reference,
        Store(Path(name) / "store") as store,
        ThreadPoolExecutor(1) as pool,
    ):
        buildkit = BuildKit(Path(name) / "buildkit", server, reference)
        both = Both(Oakum(Path(name) / "oakum", server, store), buildkit, pool)
        while time.monotonic() < until:
            for kind in asked.kinds:
                explore, count = KINDS[kind]
                for case, differ in explore(both, number, count):
                    wrong += 1
                    print(shown(case, differ), flush=True)
            print(f"seed {number}: {both.built} builds, {both.failed} of them fail", flush=True)
            number += 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
