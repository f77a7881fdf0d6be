"""Engines by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from oakum.errors import UsageError

if TYPE_CHECKING:
    from oakum.builder.engines.interface import Engine

EMBEDDED = "embedded"
"""oakum's own."""

_ENGINES = ("buildkit", "docker", "buildah")
_WITH_ADDRESS = ("buildkit",)


def find_engine(text: str) -> Engine | None:
    """The engine of ``NAME`` or ``NAME=ADDRESS``; None for oakum's own.  Nothing is started."""
    name, equals, address = text.partition("=")
    if name not in (EMBEDDED, *_ENGINES):
        known = ", ".join((EMBEDDED, *_ENGINES))
        raise UsageError(f"unknown engine {name[:60]!r}", f"one of {known}")
    if equals and (not address or name not in _WITH_ADDRESS):
        raise UsageError(
            f"--engine {text[:120]}: {'no address' if not address else name + ' takes none'}",
            "write --engine buildkit=tcp://HOST:PORT, unix:///SOCKET or docker-container://NAME",
        )
    if name == EMBEDDED:
        return None
    module = importlib.import_module(f"oakum.builder.engines.{name}")
    engine: Engine = module.make(address or None)
    return engine
