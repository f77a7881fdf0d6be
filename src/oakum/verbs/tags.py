"""The next tag of the same form: ``12.1`` → ``12.2``, ``3.11-slim`` → ``3.12-slim``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

BumpTags = Literal["none", "patch", "minor", "major"]
_LEVELS = {"patch": 2, "minor": 1, "major": 0}
_FORM = re.compile(r"(v?)(\d+(?:\.\d+){0,3})(.*)", re.DOTALL)


def _read(tag: str) -> tuple[str, tuple[int, ...], str] | None:
    match = _FORM.fullmatch(tag)
    if not match:
        return None
    return match[1], tuple(int(part) for part in match[2].split(".")), match[3]


def next_tag(tag: str, offered: Iterable[str], level: BumpTags) -> str | None:
    """The highest tag of the same form that `level` allows, or None when there is no higher one.

    The form is the prefix, the number of numbers and the suffix.  ``patch`` keeps all but the
    last of three numbers (of two numbers the second), ``minor`` keeps the first, ``major`` none.
    """
    here = _read(tag)
    if level == "none" or here is None:
        return None
    prefix, numbers, suffix = here
    fixed = min(_LEVELS[level], len(numbers) - 1) if level != "major" else 0
    best = numbers
    for other in offered:
        there = _read(other)
        if there is None or there[0] != prefix or there[2] != suffix:
            continue
        same_form = len(there[1]) == len(numbers) and there[1][:fixed] == numbers[:fixed]
        if same_form and there[1] > best:
            best = there[1]
    if best == numbers:
        return None
    return prefix + ".".join(str(number) for number in best) + suffix
