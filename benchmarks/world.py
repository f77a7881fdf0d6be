"""What every job needs: servers, tools, base images; everything is gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.archive import Archive, suites
from benchmarks.registry import Registry
from benchmarks.tools import Buildah, Docker, Oakum, Tool
from support.daemon import running_daemon
from support.registry import running_registry
from support.roots import debian_tar

BASE = "base:12"
REFERENCE = "reference:1"


@dataclass
class World:
    """Where a run of the benchmarks happens."""

    place: Path
    registry: Registry
    oakum: Oakum
    docker: Docker
    buildah: Buildah
    runs: int
    say: Callable[[str], None]

    @property
    def builders(self) -> tuple[Tool, ...]:
        """The tools that build, in the order in which they take their turns."""
        return (self.oakum, self.docker, self.buildah)

    @cached_property
    def archive(self) -> Archive:
        return Archive.today()

    @cached_property
    def base(self) -> str:
        """A Debian of the release suite alone, whose apt knows the security suite too."""
        return self.publish(BASE, debian_tar(), "")

    @cached_property
    def reference(self) -> str:
        """A real image of several hundred megabytes, with fixes pending."""
        more = "COPY app /srv/app\nRUN useradd --create-home app\n"
        return self.publish(REFERENCE, reference_root(), more)

    def publish(self, name: str, root: Path, more: str) -> str:
        """Make an image on a Debian root and push it; its name."""
        context = self.context(name.partition(":")[0])
        hold(root, context / "root.tar")
        (context / "sources.list").write_text("\n".join(suites()) + "\n")
        write_app(context / "app")
        (context / "Dockerfile").write_text(
            f"FROM scratch\nADD root.tar /\nCOPY sources.list /etc/apt/sources.list\n{more}"
        )
        reference = f"{self.registry.host}/{name}"
        store = self.place / "maker"
        self.oakum("build", context, "-t", reference, "--push", store=store)
        shutil.rmtree(store)
        return reference

    def context(self, name: str) -> Path:
        """A new build context."""
        place = self.place / "contexts" / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place


def reference_root() -> Path:
    """The Debian of the reference image, with documentation."""
    made: Path = debian_tar("nginx-light", "python3", "python3-pip", "curl", slim=False)
    return made


@contextmanager
def running_world(runs: int, say: Callable[[str], None]) -> Iterator[World]:
    """Start a registry and a docker daemon; stop both and remove everything afterwards."""
    parent = os.environ.get("OAKUM_BENCH_DIR", "/var/tmp")
    place = Path(tempfile.mkdtemp(prefix="oakum-bench-", dir=parent))
    try:
        with (
            running_registry(place / "registry") as host,
            running_daemon(_made(place / "dockerd")) as daemon,
        ):
            yield World(
                place,
                Registry(host, place / "registry" / "data"),
                Oakum(place / "oakum"),
                Docker(place / "docker", daemon.host, int((place / "dockerd/pid").read_text())),
                Buildah(place / "buildah"),
                runs,
                say,
            )
    finally:
        _unmount(place)
        shutil.rmtree(place)


def write_app(place: Path) -> None:
    """A small application: some files of text."""
    place.mkdir()
    for number in range(20):
        lines = (f"line {line} of file {number}\n" for line in range(200))
        (place / f"file-{number:02}").write_text("".join(lines))
    (place / "run").write_text("#!/bin/sh\nexec nginx -g 'daemon off;'\n")
    (place / "run").chmod(0o755)


def hold(source: Path, target: Path) -> None:
    """The same file under another name, without a copy where the disk allows it."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def _unmount(place: Path) -> None:
    """What buildah and dockerd leave mounted on themselves, the innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(place):
            subprocess.run(["umount", mount], check=True)
