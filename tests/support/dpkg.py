"""Roots with a database that the real dpkg wrote, and what it says of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.lab import Deb, make_deb

FORMAT = "\t".join(
    (
        "${Package}",
        "${Architecture}",
        "${Version}",
        "${source:Package}",
        "${source:Version}",
        "${db:Status-Want}",
        "${db:Status-Eflag} ${db:Status-Status}",
        "${Essential}",
    )
)


class Root:
    """A directory that dpkg takes for a system's root."""

    def __init__(self, place: Path) -> None:
        if os.geteuid() != 0 or shutil.which("dpkg") is None:
            pytest.skip("installing packages needs root and dpkg")
        self.path = place / "root"
        self.database = self.path / "var/lib/dpkg"
        self._debs = place / "debs"
        self._debs.mkdir(parents=True)
        for part in ("info", "updates", "triggers", "parts"):
            (self.database / part).mkdir(parents=True)
        (self.database / "status").touch()

    def dpkg(self, *words: str, check: bool = True) -> str:
        """Run dpkg on this root; its output."""
        command = ["dpkg", f"--root={self.path}", "--force-not-root,script-chrootless", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *debs: Deb) -> None:
        """Make packages and install them."""
        directory = self._debs / str(len(list(self._debs.iterdir())))
        directory.mkdir()
        self.dpkg("--install", *[str(make_deb(directory, deb)) for deb in debs])

    def divert(self, path: str, *words: str) -> None:
        """Divert a path with dpkg-divert."""
        command = ["dpkg-divert", f"--root={self.path}", *words, "--rename", path]
        subprocess.run(command, check=True, capture_output=True)

    def query(self) -> list[list[str]]:
        """What ``dpkg-query -W`` shows of every package, by `FORMAT`."""
        command = ["dpkg-query", f"--admindir={self.database}", "-W", f"-f={FORMAT}\\n"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return sorted(line.split("\t") for line in done.stdout.splitlines())

    def audit(self) -> set[str]:
        """The packages that ``dpkg --audit`` complains of."""
        return set(re.findall(r"^ (\S+)", self.dpkg("--audit", check=False), re.MULTILINE))

    def verify(self) -> set[str]:
        """The files of which ``dpkg --verify`` says that they are gone or are others."""
        lines = self.dpkg("--verify", check=False).splitlines()
        return {line[11:].removeprefix("c ").strip().split(" (")[0] for line in lines}
