"""How registries are talked to."""

from __future__ import annotations

from pathlib import Path

import msgspec


class RegistryOptions(msgspec.Struct, frozen=True):
    """What a user may set about registries; the defaults are docker's."""

    insecure: tuple[str, ...] = ()
    """Hosts (with port) that may be spoken to over http or with a certificate that is not known.

    Loopback hosts need not be named for http.
    """
    ca_certificates: Path | None = None
    """PEM file of certificates that are trusted besides the machine's."""
    mirrors: dict[str, tuple[str, ...]] = {}
    """By registry host: hosts that are asked first for what is read."""
    docker_config: Path | None = None
    """Docker's ``config.json``; ``$DOCKER_CONFIG/config.json`` or ``~/.docker/config.json``."""
    offline: bool = False
    """Ask no registry: what is not in the store is an error."""
    jobs: int = 4
    """Blobs that are moved at once."""
    retries: int = 5
    """How often a request that failed for a reason that may pass is tried again."""
    timeout: float = 60.0
    """Seconds without a byte after which a connection is given up."""
