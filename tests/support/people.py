"""Runs as another user, who exists only in the run's own mount namespace."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command import Oakum

UID = 54321
RANGE = 200_000
PROJECT = Path(__file__).parents[2]

_ENTER = """
set -e
here=$1; shift
for closed in $(cat "$here/closed"); do
    mkdir -p "$here/upper$closed" "$here/work$closed"
    chmod 711 "$here/upper$closed"
    mount -t overlay overlay \\
        -o "lowerdir=$closed,upperdir=$here/upper$closed,workdir=$here/work$closed" "$closed"
done
for file in passwd group subuid subgid; do
    mount --bind "$here/$file" "/etc/$file"
done
exec "$@"
"""
"""Lets everyone pass where the interpreter is, and shows other lists of users."""


def closed_directories() -> list[Path]:
    """The directories above the interpreter and the project that others may not enter."""
    wanted = (Path(sys.base_prefix), Path(sys.prefix), PROJECT)
    above = {parent for path in wanted for parent in (path, *path.parents)}
    return sorted(path for path in above if not path.stat().st_mode & stat.S_IXOTH)


@contextmanager
def somebody(*, ranges: bool = True) -> Iterator[Oakum]:
    """The command run by a user, with or without ranges of subordinate IDs."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    if ranges and not shutil.which("newuidmap"):
        pytest.skip("needs uidmap")
    place = Path(tempfile.mkdtemp(prefix="oakum-somebody-"))
    place.chmod(0o755)
    try:
        yield _prepared(place, ranges)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _prepared(place: Path, ranges: bool) -> Oakum:
    home = place / "home"
    home.mkdir()
    os.chown(home, UID, UID)
    (place / "closed").write_text("\n".join(map(str, closed_directories())))
    for name, line in (
        ("passwd", f"somebody:x:{UID}:{UID}::{home}:/bin/sh\n"),
        ("group", f"somebody:x:{UID}:\n"),
    ):
        (place / name).write_text(Path("/etc", name).read_text() + line)
    for name in ("subuid", "subgid"):
        (place / name).write_text(f"somebody:{RANGE}:65536\n" if ranges else "")
    enter = ("unshare", "--mount", "sh", "-c", _ENTER, "sh", str(place))
    person = ("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--")
    return Oakum(home / "store", home, *enter, *person)
