"""Answers on standard output: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from oakum.cli.printable import printable
from oakum.errors import UsageError

FORMATS = ("table", "json")


def check_format(name: str, *more: str) -> str:
    """`name`, if it is one of the formats; `UsageError` otherwise."""
    known = (*FORMATS, *more)
    if name not in known:
        raise UsageError(f"unknown format {name!r}", f"one of {', '.join(known)}")
    return name


def to_json(value: Any) -> str:
    """A value as the documented JSON."""
    document = msgspec.to_builtins(value)
    # ASCII only: names of files may hold escapes for terminals and bytes that are no UTF-8.
    return json.dumps(document, indent=2, ensure_ascii=True, sort_keys=False)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(to_json(value) + "\n")


def write_result(path: Path | None, value: Any) -> None:
    """Write a value as JSON to the file that ``--result-file`` names."""
    if path is not None:
        write_text(path, to_json(value) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a small file as a whole."""
    from oakum.verbs.write_source import write_source

    write_source(path, text.encode())


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; the last one may be longer than the screen."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(header)]
    lines = ["  ".join(name.ljust(width) for name, width in zip(header, widths)).rstrip()]
    for row in cells:
        lines.append("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip())
    return "\n".join(lines)


def say(text: str = "") -> None:
    """An answer on standard output, which may have several lines."""
    sys.stdout.write(printable(text, lines=True) + "\n")


def say_line(text: str) -> None:
    """One line on standard output, whatever the names in it hold."""
    sys.stdout.write(printable(text) + "\n")


def listed(items: Sequence[str], most: int = 4) -> str:
    """A few items and how many more there are."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
