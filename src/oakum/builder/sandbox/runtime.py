"""Which program isolates steps on this machine: proven by running one, not by its version."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import msgspec

Name = Literal["runc", "crun", "bubblewrap"]
PROGRAMS: dict[Name, str] = {"runc": "runc", "crun": "crun", "bubblewrap": "bwrap"}


class Runtime(msgspec.Struct, frozen=True):
    """A program that runs steps."""

    name: Name
    """What it is."""
    path: Path
    """Where it is."""
    cgroups: bool = True
    """Whether it gives steps a control group, which guards devices and carries limits."""


def installed(name: Name) -> Path | None:
    """Where a runtime is on this machine; sbin directories are searched too."""
    found = shutil.which(PROGRAMS[name]) or shutil.which(
        PROGRAMS[name], path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
    )
    return Path(found) if found else None
