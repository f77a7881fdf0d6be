"""User namespaces: being root over a range of subordinate IDs only."""

from __future__ import annotations

from pathlib import Path

WHOLE = ("0", "0", "4294967295")


def in_user_namespace() -> bool:
    """Whether this process lives in a user namespace other than the machine's first."""
    try:
        return tuple(Path("/proc/self/uid_map").read_text().split()) != WHOLE
    except OSError:
        return False
