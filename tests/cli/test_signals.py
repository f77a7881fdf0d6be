"""SIGINT and SIGTERM: out at once with one line, and nothing half-made stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from support.busy import Context
from support.command import Oakum, finished
from support.slow import slow_line
from support.traces import eventually, groups_of, half_made, mounts_below, processes_with

SIGNALS = pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
MEGABYTE = 1 << 20


def wait_for(happened: Callable[[], object]) -> None:
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def random_bytes(count: int, seed: int = 1) -> bytes:
    import random

    return random.Random(seed).randbytes(count)


@SIGNALS
def test_a_build_that_is_stopped_leaves_no_process_mount_or_file(
    oakum: Oakum, context: Context, number: int, code: int, word: str
) -> None:
    mark = f"{code}{os.getpid()}"
    context.write(f"RUN echo x > /half; sleep {mark} & sleep {mark}")
    process = oakum.start("build", context.place, "-t", "app:1", "-q")
    wait_for(lambda: processes_with(mark))
    process.send_signal(number)
    began = time.monotonic()
    ended = finished(process)
    assert time.monotonic() - began < 10
    assert ended.code == code
    assert ended.err == f"error: {word}; nothing half-made was left\n"
    assert eventually(lambda: processes_with(mark))
    assert mounts_below(oakum.store) == []
    assert groups_of(process.pid) == []
    assert half_made(oakum) == []
    assert oakum.done("images", "--format", "json").document["images"] == []


@SIGNALS
def test_a_pull_that_is_stopped_leaves_no_name_and_no_half_blob(
    oakum: Oakum, context: Context, registry: str, number: int, code: int, word: str
) -> None:
    name = f"{registry}/stopped-pull:{word}"
    context.write_all("FROM scratch", "COPY noise /", noise=random_bytes(2 * MEGABYTE))
    oakum.done("build", context.place, "-t", name, "--push", "-q")
    other = Oakum(oakum.store.with_name("other"), oakum.home)
    with slow_line(registry, 60_000) as line:
        process = other.start("pull", name.replace(registry, line.host), "-q")
        wait_for(lambda: line.passed > 15_000)
        process.send_signal(number)
        began = time.monotonic()
        ended = finished(process)
        assert time.monotonic() - began < 10
    assert (ended.code, ended.err) == (code, f"error: {word}; nothing half-made was left\n")
    assert half_made(other) == []
    assert other.done("images", "--format", "json").document["images"] == []
    assert other.done("store", "check", "--format", "json").document["damage"] == []


@SIGNALS
def test_a_push_that_is_stopped_tags_nothing(
    oakum: Oakum, context: Context, registry: str, number: int, code: int, word: str
) -> None:
    context.write_all("FROM scratch", "COPY noise /", noise=random_bytes(2 * MEGABYTE, code))
    oakum.done("build", context.place, "-t", "app:1", "-q")
    name = f"stopped-push-{word}:1"
    with slow_line(registry, 60_000) as line:
        process = oakum.start("push", "app:1", f"docker://{line.host}/{name}", "-q")
        wait_for(lambda: line.passed > 15_000)
        process.send_signal(number)
        ended = finished(process)
    assert (ended.code, ended.err) == (code, f"error: {word}; nothing half-made was left\n")
    assert oakum("inspect", f"{registry}/{name}").code == 1


@SIGNALS
def test_a_build_that_waits_for_its_base_stops_as_well(
    oakum: Oakum, context: Context, registry: str, number: int, code: int, word: str
) -> None:
    context.write_all("FROM scratch", "COPY noise /", noise=random_bytes(MEGABYTE))
    oakum.done("build", context.place, "-t", f"{registry}/slow-base:{word}", "--push", "-q")
    other = Oakum(oakum.store.with_name("other"), oakum.home)
    with slow_line(registry, 40_000) as line:
        base = f"{line.host}/slow-base:{word}"
        context.write_all(f"FROM {base}", "COPY busybox /b", 'RUN ["/b", "true"]')
        process = other.start("build", context.place, "-t", "app:1", "-q")
        wait_for(lambda: line.passed > 15_000)
        process.send_signal(number)
        began = time.monotonic()
        ended = finished(process)
        assert time.monotonic() - began < 10
    assert (ended.code, ended.err) == (code, f"error: {word}; nothing half-made was left\n")
    assert half_made(other) == []


def test_a_signal_that_the_caller_ignores_stays_ignored(oakum: Oakum, context: Context) -> None:
    mark = f"1.{os.getpid()}"
    context.write(f"RUN sleep {mark}")
    ignoring = Oakum(oakum.store, oakum.home, "sh", "-c", 'trap "" INT; exec "$@"', "sh")
    process = ignoring.start("build", context.place, "-q")
    wait_for(lambda: processes_with(mark))
    process.send_signal(signal.SIGINT)
    assert finished(process).code == 0
