"""The machine and the versions that figures belong to."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import HERE
from benchmarks.scan import SYFT
from benchmarks.world import World


def facts(world: World) -> dict[str, str]:
    """What to know about a run, by name."""
    cpus = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "repetitions": str(world.runs),
        "cores": f"{os.cpu_count()} ({cpus[0] if cpus else platform.machine()})",
        "memory": f"{memory / 2**30:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "kernel": platform.release(),
        "file system": _told("stat", "-f", "-c", "%T", str(world.place)),
        "oakum": f"{world.oakum.version()}, commit {_commit()}",
        "Python": platform.python_version(),
        "docker": f"{world.docker.version()}, BuildKit inside, storage {world.docker.storage()}",
        "buildah": f"{world.buildah.version()}, storage overlay, isolation oci with runc",
        "runc": _first(_told("runc", "--version")),
        "skopeo": _told("skopeo", "--version"),
        "syft": _told(str(SYFT), "version"),
        "registry": _told("docker-registry", "--version"),
    }


def _commit() -> str:
    return _told("git", "-C", str(HERE), "describe", "--always", "--dirty")


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _first(text: str) -> str:
    return text.partition("\n")[0]
