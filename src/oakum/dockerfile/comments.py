"""Comments above instructions: what describes a stage or an argument, and what skips checks."""

from __future__ import annotations

from collections.abc import Sequence

from oakum.dockerfile.instruction import Dockerfile
from oakum.dockerfile.lines import BOM


def comments_above(dockerfile: Dockerfile) -> dict[int, tuple[str, ...]]:
    """The comments between an instruction and the one before it, by the instruction's first line.

    An empty comment parts what stands above it from the instruction, an empty line does not;
    parser directives are none.  As Moby's parser does it, the first character of the line goes
    away, whatever it is.
    """
    lines = dockerfile.raw.removeprefix(BOM).split(b"\n")
    found: dict[int, tuple[str, ...]] = {}
    begin = len(dockerfile.directives)
    for instruction in dockerfile.instructions:
        comments: list[str] = []
        for line in lines[begin : instruction.first_line - 1]:
            if not line.lstrip().startswith(b"#"):
                continue
            text = line[1:].decode("utf-8", "replace").strip()
            if text:
                comments.append(text)
            else:
                comments.clear()
        if comments:
            found[instruction.first_line] = tuple(comments)
        begin = instruction.last_line
    return found


def description(comments: Sequence[str], name: str) -> str:
    """What the first comment that begins with the name says behind it; empty without one."""
    start = f"{name} "
    return next((text.removeprefix(start) for text in comments if text.startswith(start)), "")
