"""What a build says of the engine that did it."""

from __future__ import annotations

import msgspec


class EngineReport(msgspec.Struct, frozen=True):
    """What built an image, and what it could not do."""

    name: str
    """Name, as ``--engine`` has it, with its address."""
    version: str = ""
    """Its version, as it tells it; empty for oakum's own, which is oakum's."""
    limits: tuple[str, ...] = ()
    """What oakum's own engine would have done and this one did not."""
