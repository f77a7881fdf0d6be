"""What another builder is asked and what it answers.

Adding an engine means one file with a function ``make(address)`` that gives an `Engine`, and its
name in `find.py`; sources, import, steps, lock and proof are the same for all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from oakum.builder.engines.process import Peer
from oakum.builder.request import BuildRequest
from oakum.transport import Location


class Job(msgspec.Struct, frozen=True):
    """A build, as an engine gets it."""

    request: BuildRequest
    """What was asked for; its contexts name images by their digests."""
    dockerfile: Path
    """The Dockerfile to build, with bases named by their digests, outside the user's tree."""
    ignore: Path
    """Its ignore file, ``NAME.dockerignore`` beside it."""
    context: Path
    """Directory of the build context."""
    scratch: Path
    """Directory for whatever the engine makes; gone after the build."""
    hosts: frozenset[str]
    """Registries that images come from."""
    plain_hosts: frozenset[str]
    """Those of them that may be spoken to without TLS."""
    fresh: frozenset[str]
    """Names of stages whose steps are not to be taken from the engine's cache."""


class Engine(Protocol):
    """Another builder."""

    name: str
    """As in the report."""

    def version(self, peer: Peer) -> str:
        """Its version; `EngineError` where it is missing or does not answer."""

    def refuse(self, request: BuildRequest) -> None:
        """`UsageError` that names an option which this engine cannot honour."""

    def build(self, job: Job, peer: Peer) -> Location:
        """Build, and put the image where it can be read; `PeerFailed` when the build fails."""
