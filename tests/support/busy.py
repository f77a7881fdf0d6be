"""Build contexts on busybox: images that are built in a moment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LINES = (
    "FROM scratch",
    "COPY busybox /bin/busybox",
    'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    "RUN mkdir -p /etc /tmp /root && chmod 1777 /tmp && "
    "echo root:x:0:0:root:/root:/bin/sh > /etc/passwd && "
    "echo user:x:1000:1000:user:/home:/bin/sh >> /etc/passwd",
)
"""A stage with a shell, the usual directories and two users."""


def busybox() -> Path:
    """A static busybox."""
    for place in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if place.is_file():
            shown = subprocess.run(["ldd", str(place)], capture_output=True, text=True)
            if "not a dynamic" in shown.stdout + shown.stderr:
                return place
    pytest.skip("needs busybox-static")


class Context:
    """A directory with busybox and a Dockerfile."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        (place / "busybox").write_bytes(busybox().read_bytes())
        (place / "busybox").chmod(0o755)
        os.utime(place / "busybox", (1_700_000_000, 1_700_000_000))

    def write(self, *lines: str, **files: str | bytes) -> Path:
        """The Dockerfile: the stage with a shell, and these lines; the directory."""
        return self.write_all(*LINES, *lines, **files)

    def write_all(self, *lines: str, **files: str | bytes) -> Path:
        """The whole Dockerfile; the directory."""
        (self.place / "Dockerfile").write_text("\n".join(lines) + "\n")
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (self.place / name).write_bytes(data)
            os.utime(self.place / name, (1_700_000_000, 1_700_000_000))
        return self.place
