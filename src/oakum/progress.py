"""What long work tells whoever watches: values given to a callback, never printed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something happened to a task."""

    task: str
    """Identity of the task within one run, such as ``pull sha256:…`` or ``step 3``."""
    kind: Literal["start", "advance", "log", "done", "cached", "failed", "note"]
    """What happened; ``note`` stands alone, the others belong to a task that was started."""
    text: str = ""
    """Label of the task (start), a piece of output (log), or why (done, cached, failed, note)."""
    done: int = 0
    """Bytes done so far, for advance."""
    total: int | None = None
    """Bytes in all, where known; for start and advance."""


Progress = Callable[[Event], None]
"""Receives events, from any thread; must not raise and must not block."""


def silent(event: Event) -> None:
    """A watcher that does not care."""
