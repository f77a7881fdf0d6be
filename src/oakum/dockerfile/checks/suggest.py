"""The name that was perhaps meant, as BuildKit guesses it."""

from __future__ import annotations

from collections.abc import Collection

_FARTHEST = 2
_LONGEST = 200
_MOST = 300


def meant(name: str, options: Collection[str]) -> str:
    """The nearest option, at most two changes of a character away; empty without one.

    Nothing is guessed for very long names or among very many.
    """
    if len(name) > _LONGEST or len(options) > _MOST:
        return ""
    best, found = _FARTHEST + 1, ""
    for option in options:
        if option == name:
            return ""
        if abs(len(option) - len(name)) < best and (far := _distance(name, option)) < best:
            best, found = far, option
    return found


def _distance(one: str, other: str) -> int:
    """Levenshtein's: characters to insert, to remove or to replace."""
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for at, against in enumerate(other, 1):
            diagonal, row[at] = (
                row[at],
                min(row[at] + 1, row[at - 1] + 1, diagonal + (character != against)),
            )
    return row[-1]
