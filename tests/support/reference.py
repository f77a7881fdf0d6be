"""The BuildKit that oakum's builder is compared with: docker.io of a newer Debian, in a root of
its own, since this one's does not know the language of today."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.roots import MADE, mirror

SUITE = "forky"
_PACKAGES = "docker.io,docker-cli,docker-buildx,git,mount,xz-utils"
_START = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
for name in proc sys dev; do mount --rbind /$name "$1/$name"; done
mkdir -p "$1$2" "$1/.old" "$1/etc/docker"
mount --rbind "$2" "$1$2"
printf '{"features": {"containerd-snapshotter": true}}' > "$1/etc/docker/daemon.json"
cd "$1"
pivot_root . .old
umount -l /.old
cd /
exec dockerd --iptables=false --ip6tables=false --bridge=none --data-root="$2/data" \\
    --exec-root="$2/exec" --pidfile="$2/pid" --host="unix://$2/sock"
"""


def docker_root() -> Path:
    """The root with docker in it, made once per machine."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("making a Debian root needs root and mmdebstrap")
    made = MADE / f"docker-git-{SUITE}"
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / f"docker-git-{SUITE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            part = MADE / f"docker-git-{SUITE}.part"
            shutil.rmtree(part, ignore_errors=True)
            command = ["mmdebstrap", "--variant=essential", "--format=directory"]
            command += [f"--include={_PACKAGES}", '--aptopt=Acquire::Check-Valid-Until "false"']
            command += ["--dpkgopt=path-exclude=/usr/share/doc/*"]
            command += [SUITE, str(part), f"deb {mirror()} {SUITE} main"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no root with docker of {SUITE}: {done.stderr[-300:]}")
            part.rename(made)
    return made


class Failed(Exception):
    """A build that BuildKit refuses; its words are BuildKit's."""


class Reference:
    """A running daemon that sees `place` of this machine's file system, and nothing else of it."""

    def __init__(self, place: Path, process: subprocess.Popen[bytes]) -> None:
        self.place = place
        self._process = process

    def build(self, context: Path | str, *words: str, stdin: bytes = b"") -> str:
        """``docker buildx build``; raises `Failed` with the last line of what it says."""
        done = self._run(context, "--network=host", "--provenance=false", *words, stdin=stdin)
        said = done.stderr
        if done.returncode:
            lines = [line for line in said.splitlines() if line.startswith("ERROR: ")]
            raise Failed(lines[-1] if lines else said)
        return said

    def call(self, context: Path, method: str, *words: str) -> Any:
        """The JSON that ``docker buildx build --call`` answers; raises `Failed` without one."""
        done = self._run(context, f"--call={method},format=json", *words)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failed(done.stderr) from None

    def _run(
        self, context: Path | str, *words: str, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", f"--target={self._process.pid}", "--mount", "--root", "--wdns=/"]
        command += ["env", "-i", "PATH=/usr/sbin:/usr/bin", f"HOME={self.place}"]
        command += [f"DOCKER_HOST=unix://{self.place}/sock", "docker", "buildx", "build"]
        command += ["--progress=plain", *words, str(context)]
        done = subprocess.run(command, capture_output=True, input=stdin)
        said = (out.decode("utf-8", "replace") for out in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(command, done.returncode, *said)

    def answers(self) -> bool:
        """Whether the daemon takes builds yet."""
        if self._process.poll() is not None:
            pytest.skip(f"dockerd does not start: {(self.place / 'log').read_text()[-300:]}")
        return (self.place / "sock").exists()


@contextmanager
def running_reference(place: Path) -> Iterator[Reference]:
    """The daemon with its data below `place`, an absolute path without symlinks."""
    root = docker_root()
    place.mkdir(parents=True, exist_ok=True)
    command = ["unshare", "--mount", "sh", "-c", _START, "sh", str(root), str(place)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        reference = Reference(place, process)
        for _ in range(300):
            if reference.answers():
                break
            time.sleep(0.1)
        yield reference
    finally:
        process.terminate()
        process.wait(60)
