"""How a verb ended, as an exit code."""

from __future__ import annotations

from oakum.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_NOT_POSSIBLE,
    EXIT_NOTHING,
    EXIT_PARTLY,
)

_DETAILED = {
    "done": EXIT_DONE,
    "nothing-to-do": EXIT_NOTHING,
    "partly-done": EXIT_PARTLY,
    "not-possible": EXIT_NOT_POSSIBLE,
    "failed": EXIT_FAILED,
}


def exit_code(outcome: str, detailed: bool) -> int:
    """0 unless it failed; with ``--detailed-exit-code`` a number for every outcome."""
    if detailed:
        return _DETAILED[outcome]
    return EXIT_FAILED if outcome == "failed" else EXIT_DONE
