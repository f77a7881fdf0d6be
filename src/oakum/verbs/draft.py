"""A part of a bump that was worked out: edits of the Dockerfile, versions to lock, reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from oakum.dockerfile import Edit
from oakum.verbs.interface import Change, Fix, Unfixed

T = TypeVar("T")


class Raise(msgspec.Struct, frozen=True):
    """A version that a step must install, by the lock."""

    stage: str
    """Name of the stage."""
    run: int
    """Number of the RUN in it, from 1."""
    package: str
    """``name:architecture``."""
    version: str
    """The version."""


class Draft(msgspec.Struct, frozen=True):
    """What one part of a bump comes to; drafts add up."""

    edits: tuple[Edit, ...] = ()
    """Edits of the Dockerfile."""
    raised: tuple[Raise, ...] = ()
    """Versions for the lock."""
    changes: tuple[Change, ...] = ()
    """What changes, and why."""
    fixes: tuple[Fix, ...] = ()
    """What that fixes."""
    unfixed: tuple[Unfixed, ...] = ()
    """What it does not fix, and why."""
    notes: tuple[str, ...] = ()
    """What a reader should know."""

    def plus(self, other: Draft) -> Draft:
        """Both; what stands in both stands once."""
        return Draft(
            _joined(self.edits, other.edits),
            _joined(self.raised, other.raised),
            _joined(self.changes, other.changes),
            _joined(self.fixes, other.fixes),
            _joined(self.unfixed, other.unfixed),
            _joined(self.notes, other.notes),
        )


def _joined(one: Iterable[T], other: Iterable[T]) -> tuple[T, ...]:
    found = list(one)
    found += [item for item in other if item not in found]
    return tuple(found)
