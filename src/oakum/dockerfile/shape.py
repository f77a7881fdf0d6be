"""The shape of a pinned version: its glob, and the places that its pieces stand in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

_TOKEN = re.compile(r"[0-9A-Za-z]+|[^0-9A-Za-z]")
_DELIMITERS = ".+~-"


def allows(pinned: str, version: str) -> bool:
    """Whether apt takes `version` for the pin: equal, or matched where the pin has ``*``."""
    if "*" not in pinned:
        return pinned == version
    pattern = "".join(".*" if c == "*" else re.escape(c) for c in pinned)
    return re.fullmatch(pattern, version) is not None


def shaped(pinned: str, version: str) -> str | None:
    """What to pin so that `version` is taken, in the shape of `pinned`.

    A ``*`` at the end stays there, behind as many components as before; None for other globs.
    """
    if "*" not in pinned:
        return version
    stem = pinned.rstrip("*")
    if "*" in stem:
        return None
    count = len(_TOKEN.findall(stem.partition(":")[2] if ":" in stem else stem))
    epoch, colon, rest = version.rpartition(":")
    cut = "".join(_TOKEN.findall(rest)[:count])
    return f"{epoch}{colon}{cut}*"


def distribute(pieces: Sequence[str], fixed: Sequence[bool], wanted: str) -> list[str] | None:
    """`wanted` cut into as many pieces, fixed ones unchanged; None where that cannot be.

    A change of one piece alone comes first, in the given order of pieces; otherwise the cuts
    are at the separators that they were at before.
    """
    if "".join(pieces) == wanted:
        return list(pieces)
    for at in range(len(pieces)):
        before, after = "".join(pieces[:at]), "".join(pieces[at + 1 :])
        room = len(wanted) - len(before) - len(after)
        if fixed[at] or room <= 0:
            continue
        if wanted.startswith(before) and wanted.endswith(after):
            middle = wanted[len(before) : len(before) + room]
            return [*pieces[:at], middle, *pieces[at + 1 :]]
    return _by_separators(pieces, fixed, wanted)


def _by_separators(pieces: Sequence[str], fixed: Sequence[bool], wanted: str) -> list[str] | None:
    whole = "".join(pieces)
    cuts = [0]
    at = 0
    for piece in pieces[:-1]:
        at += len(piece)
        cut = _same_place(whole, at, wanted)
        if cut is None or cut <= cuts[-1]:
            return None
        cuts.append(cut)
    cuts.append(len(wanted))
    found = [wanted[start:end] for start, end in itertools.pairwise(cuts)]
    kept = all(old == new or not one for old, new, one in zip(pieces, found, fixed, strict=True))
    return found if kept and all(found) else None


def _same_place(whole: str, at: int, wanted: str) -> int | None:
    """Where the boundary at `at` is in the other version."""
    for step in (0, 1):
        place = at - step
        found = _same_separator(whole, place, wanted)
        if found is not None:
            return found + step
    return None


def _same_separator(whole: str, place: int, wanted: str) -> int | None:
    character = whole[place]
    if character == ":":
        found = wanted.find(":")
    elif character == "*":
        found = len(wanted) - 1 if wanted.endswith("*") and place == len(whole) - 1 else -1
    elif character == "-" and place == whole.rfind("-"):
        found = wanted.rfind("-")
    elif character in _DELIMITERS:
        found = -1
        for _ in range(whole.count(character, 0, place) + 1):
            found = wanted.find(character, found + 1)
            if found < 0:
                break
    else:
        found = -1
    return found if found >= 0 else None
