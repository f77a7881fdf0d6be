"""Real Debian roots, made once per machine from the release suite alone, so that fixes pend."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.mirror import debian_mirror

MADE = Path(os.environ.get("OAKUM_TEST_CACHE") or Path.home() / ".cache" / "oakum-tests")
SUITE = "bookworm"


def mirror() -> str:
    """The Debian mirror of this machine; the test is skipped where none is known."""
    try:
        return debian_mirror()
    except LookupError as error:
        pytest.skip(str(error))


def debian_tar(*packages: str, slim: bool = True) -> Path:
    """A tar of a minimal Debian root with apt, and these packages of the release suite.

    A slim one is without documentation and translations, as Debian's slim images are.
    """
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("making a Debian root needs root and mmdebstrap")
    name = "-".join([SUITE, *packages, *([] if slim else ["full"])])
    made = MADE / f"{name}.tar"
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            part = MADE / f"{name}.part.tar"
            command = ["mmdebstrap", "--variant=minbase"]
            if slim:
                command += ["--dpkgopt=path-exclude=/usr/share/doc/*"]
                command += ["--dpkgopt=path-exclude=/usr/share/locale/*"]
            command += ["--customize-hook=rm -f $1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"]
            command += [f"--include={','.join(packages)}"] if packages else []
            command += [SUITE, str(part), f"deb {mirror()} {SUITE} main"]
            subprocess.run(command, check=True, capture_output=True)
            part.rename(made)
    return made
