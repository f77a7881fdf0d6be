"""A real docker daemon with its own data, on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DOCKER = "/usr/bin/docker"


class Daemon:
    """A running daemon."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.host = f"unix://{socket}"

    def __call__(self, *words: str, check: bool = True, **env: str) -> str:
        """Run docker's client; its output."""
        done = subprocess.run(
            [DOCKER, "-H", self.host, *words],
            capture_output=True,
            text=True,
            env={**os.environ, **env},
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if not check else "")


@contextmanager
def running_daemon(place: Path) -> Iterator[Daemon]:
    """dockerd with its data below `place`."""
    program = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if os.geteuid() != 0 or program is None or not os.access(DOCKER, os.X_OK):
        pytest.skip("needs root and docker.io")
    socket = place / "sock"
    command = [program, "--iptables=false", "--bridge=none", f"--data-root={place}/data"]
    command += [f"--exec-root={place}/exec", "-H", f"unix://{socket}", "-p", f"{place}/pid"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        daemon = Daemon(socket)
        for _ in range(300):
            if process.poll() is not None:
                pytest.skip(f"dockerd does not start: {(place / 'log').read_text()[-300:]}")
            if socket.exists() and "Server Version" in daemon("info", check=False):
                break
            time.sleep(0.1)
        yield daemon
    finally:
        process.terminate()
        process.wait(60)
