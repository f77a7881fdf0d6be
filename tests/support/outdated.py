"""Packages of a real image that have a newer version today, found in its own repositories."""

from __future__ import annotations

from oakum.repository import AptRepository

GROUPS = (("nginx", "nginx-common"), ("curl", "libcurl4"), ("openssl", "libssl3"))
"""Packages that a fix may be pending for, each with what it needs in the same version."""


def outdated_pins(repository: AptRepository) -> list[str]:
    """``package=version`` of the oldest version on offer, for the first group that has a newer one.

    `LookupError` when the archive has moved on and nothing is outdated.
    """
    for names in GROUPS:
        offers = [repository.versions(name, repository.architecture) for name in names]
        if all(len(found) > 1 for found in offers):
            return [
                f"{name}={found[-1].version}" for name, found in zip(names, offers, strict=True)
            ]
    raise LookupError("no package of the list has a pending fix today: the archive has moved on")
