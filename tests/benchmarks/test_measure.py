"""Measuring a command: its time, its memory with its children's, its failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.measure import JobFailed, measured

HOLD = "import time; held = bytearray(60 << 20); time.sleep(0.4)"


def test_memory_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {HOLD!r}]); {HOLD}"
    sample = measured([sys.executable, "-c", parent], tmp_path / "log")
    assert sample.memory > 120 << 20


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_processes_of_build_steps_do_not_count(tmp_path: Path) -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", HOLD]
    assert measured(command, tmp_path / "log").memory < 60 << 20


def test_a_failure_shows_what_the_command_said(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match=r"ended with 3\n(.*\n)*it broke"):
        measured(["sh", "-c", "echo it broke; exit 3"], tmp_path / "log")
