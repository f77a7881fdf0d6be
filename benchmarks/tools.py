"""The tools side by side: each builds and pushes, in a place of its own."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

from benchmarks import HERE
from benchmarks.measure import JobFailed, Sample, measured
from support.daemon import DOCKER

BIN = Path(sys.executable).parent


class Tool(ABC):
    """Something that builds images."""

    name: str

    def __init__(self, place: Path) -> None:
        self.place = place
        self.log = place / "log"
        place.mkdir()

    @abstractmethod
    def build(self, context: Path, tag: str) -> Sample:
        """Build a directory."""

    @abstractmethod
    def push(self, tag: str) -> Sample:
        """Push what was built."""

    def build_and_push(self, context: Path, tag: str) -> Sample:
        """Build a directory and push the image, with as many commands as that takes."""
        return self.build(context, tag).then(self.push(tag))

    @abstractmethod
    def version(self) -> str:
        """As the tool tells it."""


class Oakum(Tool):
    """oakum from this checkout, with a store that can be set back."""

    name = "oakum"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        # As pip does when it installs.
        compileall.compile_dir(HERE.parent / "src", quiet=1)

    @property
    def store(self) -> Path:
        return self.place / "store"

    def __call__(self, *words: str | Path, store: Path | None = None) -> Sample:
        command = [BIN / "oakum", "--store", store or self.store, *words]
        return measured(command, self.log)

    def build(self, context: Path, tag: str) -> Sample:
        return self("build", context, "-t", tag, "--progress", "plain")

    def push(self, tag: str) -> Sample:
        return self("push", tag, "--progress", "plain")

    def build_and_push(self, context: Path, tag: str) -> Sample:
        return self("build", context, "-t", tag, "--push", "--progress", "plain")

    def rebuild(self, context: Path, tag: str, only: tuple[str, ...]) -> Sample:
        """Raise the pins of these packages, and everything that follows from it."""
        result = self.place / "result.json"
        words = ["rebuild", str(context), "-t", tag, "--write", "--push", "--max-age", "0"]
        for name in only:
            words += ["--only", name]
        sample = self(*words, "--progress", "plain", "--result-file", result)
        told = json.loads(result.read_bytes())
        if told["outcome"] != "done":
            raise JobFailed(f"oakum rebuild ended with {told['outcome']}: {told['unfixed']}")
        ran = [
            step for step in told["steps"] if (step["stage"], step["status"]) == ("builder", "ran")
        ]
        return replace(sample, builder=sum(step["seconds"] for step in ran))

    def keep(self) -> None:
        """Remember the store as it is now."""
        copy_tree(self.store, self.place / "kept")

    def restore(self) -> None:
        """Set the store back to what `keep` remembered."""
        copy_tree(self.place / "kept", self.store)

    def version(self) -> str:
        return _told(BIN / "oakum", "--version")


class Docker(Tool):
    """docker's client and a daemon of its own; BuildKit is on."""

    name = "docker"

    def __init__(self, place: Path, host: str, daemon: int) -> None:
        super().__init__(place)
        self.host = host
        self.daemon = daemon

    def __call__(self, *words: str | Path) -> Sample:
        env = {"DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(self.place / "config")}
        return measured([DOCKER, "-H", self.host, *words], self.log, self.daemon, env=env)

    def build(self, context: Path, tag: str) -> Sample:
        return self("build", "--progress", "plain", "--network", "host", "-t", tag, context)

    def push(self, tag: str) -> Sample:
        return self("push", tag)

    def version(self) -> str:
        return _told(DOCKER, "-H", self.host, "version", "--format", "{{.Server.Version}}")

    def storage(self) -> str:
        """Name of the daemon's storage driver."""
        return _told(DOCKER, "-H", self.host, "info", "--format", "{{.Driver}}")


class Buildah(Tool):
    """buildah with a storage of its own, and runc for the steps."""

    name = "buildah"

    def __call__(self, verb: str, *words: str | Path) -> Sample:
        command: list[str | Path] = ["buildah", "--root", self.place / "root"]
        command += ["--runroot", self.place / "run", "--storage-driver", "overlay", verb]
        return measured([*command, "--tls-verify=false", *words], self.log)

    def build(self, context: Path, tag: str) -> Sample:
        words = ["--layers", "--isolation", "oci", "--runtime", "runc", "--network", "host"]
        return self("bud", *words, "-t", tag, context)

    def push(self, tag: str) -> Sample:
        return self("push", tag)

    def version(self) -> str:
        return _told("buildah", "--version")


def put_away(tree: Path) -> None:
    """Let a tree be gone; it is removed at the end of the run.

    ext4 looks for inodes far and wide for seconds after many were freed, which would be measured.
    """
    if tree.exists():
        tree.rename(tree.with_name(f"{tree.name}.old-{time.monotonic_ns()}"))


def copy_tree(source: Path, target: Path) -> None:
    """Make `target` what `source` is, extended attributes and all, and wait for the disk."""
    put_away(target)
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
    os.sync()


def _told(*command: str | Path) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()
