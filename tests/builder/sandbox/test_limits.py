"""What a step may use of the machine, as docker's flags have it."""

from __future__ import annotations

import os

import pytest

from builder.sandbox.conftest import Box
from support.command import Oakum

BOMB = r"""
trap '' TERM
n=0
while [ $n -lt 200 ]; do sleep 60 & n=$((n+1)); done 2>/dev/null
echo forked $n
"""


def test_a_fork_bomb_ends_at_the_limit_and_leaves_nothing(prison: Box) -> None:
    place = prison.context().write(
        "COPY bomb /bomb",
        "RUN sh /bomb; echo the shell ended with $?",
        bomb=BOMB,
    )
    ended = prison.build(place, "--pids-limit", "50", "--no-cache-filter", "0")
    assert "forked 200" not in ended.err
    assert "the shell ended with 2" in ended.err
    assert "forked 200" in prison.output(place, "--no-cache-filter", "0")


def test_processes_are_limited_unless_one_says_otherwise(prison: Box) -> None:
    place = prison.context().write(
        "RUN cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>&-; "
        "echo nproc $(grep processes /proc/self/limits)"
    )
    said = prison.output(place)
    if prison.sandbox == "runc" and prison.who == "root":
        assert " 4096\n" in said
    else:
        assert "nproc Max processes 4096 4096 " in said


def test_limits_are_in_no_cache_key(prison: Box) -> None:
    place = prison.context().write("RUN echo hello > /hello")
    prison.output(place)
    words = ("--ulimit", "nofile=512", "--shm-size", "32m", "--pids-limit", "1000")
    assert "0 steps run" in prison.build(place, *words).out


def test_ulimits_and_the_size_of_shared_memory_are_as_asked(prison: Box) -> None:
    place = prison.context().write(
        "RUN test $(ulimit -Sn) = 512 && test $(ulimit -Hn) = 1000 && test $(ulimit -f) = 2048 "
        "&& test $(df -k /dev/shm | tail -1 | awk '{print $2}') = 16384"
    )
    words = ("--ulimit", "nofile=512:1000", "--ulimit", "fsize=1048576", "--shm-size", "16m")
    prison.output(place, *words)


def test_more_than_the_user_may_have_is_refused_before_the_step(prison: Box) -> None:
    place = prison.context().write("RUN echo has run")
    command = ("prlimit", "--nofile=4096:4096", *prison.oakum.before)
    box = Oakum(prison.oakum.store, prison.oakum.home, *command)
    words = ("--sandbox", prison.sandbox, "--progress", "plain", "--ulimit", "nofile=8192")
    ended = box("build", place, "--no-cache-filter", "0", *words)
    if ended.code == 0:
        assert prison.who == "root", "only root may raise it"
        return
    assert "--ulimit nofile=8192:8192 is above 4096" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("--memory", "32m"),
        ("--cpu-quota", "50000"),
        ("--cpuset-cpus", "0"),
        ("--cgroup-parent", "x"),
    ],
    ids=lambda words: words[0],
)
def test_what_only_a_control_group_keeps_is_refused_where_there_is_none(
    prison: Box, words: tuple[str, str]
) -> None:
    place = prison.context().write("RUN true")
    ended = prison.build(place, "--no-cache-filter", "0", *words)
    if prison.sandbox == "runc" and prison.who == "root":
        assert ended.code == 0, ended.err
        return
    assert ended.code == 1
    assert f"gives steps no control group here, so {words[0]} cannot be kept" in ended.err


def test_memory_processors_and_parents_are_as_asked(prison: Box) -> None:
    if prison.sandbox != "runc" or prison.who != "root":
        pytest.skip("needs control groups that can be written")
    read = "cat /sys/fs/cgroup/$1/$2 /sys/fs/cgroup/$3 2>&-"
    place = prison.context().write(
        f"RUN show() {{ {read}; }}; echo == $(show memory memory.limit_in_bytes memory.max) "
        "$(show cpu cpu.cfs_quota_us cpu.max) $(show cpuset cpuset.cpus cpuset.cpus) "
        "$(show memory memory.memsw.limit_in_bytes memory.swap.max)",
        "RUN head -c 100m /dev/zero | tail -c 99m > /dev/null",
    )
    words = ("--memory", "32m", "--cpu-quota", "50000", "--cpuset-cpus", "0")
    ended = prison.build(place, *words, "--cgroup-parent", "/oakum-test")
    assert ended.code == 1
    assert "== 33554432 50000" in ended.err
    assert "failed, exit code: 137" in ended.err or "Killed" in ended.err
    assert not [d for d, _, _ in os.walk("/sys/fs/cgroup") if "/oakum-test/oakum-" in d]
    for directory, _, _ in os.walk("/sys/fs/cgroup"):
        if directory.endswith("/oakum-test"):
            os.rmdir(directory)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--ulimit", "nofiles=1"), "unknown ulimit 'nofiles=1'"),
        (("--ulimit", "nofile"), "not a ulimit"),
        (("--ulimit", "nofile=2:1"), "above its hard limit"),
        (("--ulimit", "nofile=-2"), "out of range"),
        (("--memory", "1m"), "too little"),
        (("--memory", "much"), "is no size"),
        (("--memory-swap", "1g"), "needs --memory"),
        (("--memory", "64m", "--memory-swap", "32m"), "less than --memory"),
        (("--cpuset-cpus", "0-"), "is no list"),
        (("--cgroup-parent", "../../x"), "no control group can be called"),
        (("--shm-size", "-1"), "is no size"),
    ],
)
def test_what_is_no_limit_is_said(oakum: Oakum, words: tuple[str, ...], why: str) -> None:
    error, _ = oakum("build", ".", *words).complaint
    assert why in error
