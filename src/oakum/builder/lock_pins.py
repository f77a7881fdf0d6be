"""Enforcing a lock while a step runs: apt preferences that are offered and never kept."""

from __future__ import annotations

from collections.abc import Mapping

PRIORITY = 1001
"""Above 1000 apt installs the version even if it is a downgrade (apt_preferences(5))."""


def apt_files(locked: Mapping[str, str], preferences: bytes | None) -> dict[str, bytes]:
    """Files for ``/dev/.oakum``: an apt configuration, and preferences that pin every version.

    `preferences` is the image's own ``/etc/apt/preferences``, which the file stands in for.
    """
    pins = [
        f"Package: {name.partition(':')[0]}\nPin: version {version}\nPin-Priority: {PRIORITY}\n"
        for name, version in sorted(locked.items())
        if version
    ]
    body = "\n".join(pins).encode() + b"\n" + (preferences or b"")
    return {"apt.conf": b'Dir::Etc::Preferences "/dev/.oakum/preferences";\n', "preferences": body}


def broken_promises(
    packages: Mapping[str, str], locked: Mapping[str, str] | None
) -> dict[str, str]:
    """Packages of which a step's outcome is not what the lock says, each with what is wrong."""
    broken = {}
    for name, version in sorted((locked or {}).items()):
        found = packages.get(name)
        if version and found is not None and found != version:
            broken[name] = f"{name} is {found or 'removed'}, locked at {version}"
        elif version and found is None:
            broken[name] = f"{name} was not installed, locked at {version}"
    return broken
