"""The error of a build that another builder could not do: which line failed, and its words."""

from __future__ import annotations

import re

from oakum.builder.engines.process import Ended
from oakum.builder.location import located
from oakum.dockerfile import Dockerfile, Instruction
from oakum.errors import BuildError, EngineError, OakumError

_VERTEX = re.compile(r" > \[(?:\S+ +)?\d+/\d+\] (?P<text>.*):")
"""How BuildKit names the step that failed."""
_STEP = re.compile(r'Error: building at STEP "(?P<text>.*?)": ')
"""How buildah does."""
_SAID = re.compile(r"(?:ERROR|Error|error): +(?P<text>.*\S)")
_LONGEST = 600
_CANNOT_EXPORT = "exporter is not supported for the docker driver"


def failure(engine: str, ended: Ended, dockerfile: Dockerfile, as_built: Dockerfile) -> OakumError:
    """What to raise for a build that ended so.

    `as_built` is `dockerfile` as the engine got it: with other words, line by line the same.
    """
    said = _said(ended)[:_LONGEST]
    if _CANNOT_EXPORT in said:
        return EngineError(
            f"docker buildx builds with a docker daemon that gives no image out: {said}",
            "use --engine docker, or make a builder: docker buildx create --use",
        )
    what = f"{engine} failed: {said or f'exit status {ended.code}'}"
    found = _failed(ended.lines, as_built)
    if found is None:
        return EngineError(what, f"check that {engine} is there, or build with --engine embedded")
    error = BuildError(what, f"what {engine} says above tells more")
    same = (i for i in dockerfile.instructions if i.first_line == found.first_line)
    return located(error, dockerfile.name, next(same, found))


def _said(ended: Ended) -> str:
    """The engine's own words: its last line of error, else the last line of all."""
    for line in reversed(ended.lines):
        if match := _SAID.match(line):
            return match["text"]
    return ended.last


def _failed(lines: tuple[str, ...], dockerfile: Dockerfile) -> Instruction | None:
    """The instruction that failed, by its line or its text; the last one that is named."""
    numbered = re.compile(rf"{re.escape(dockerfile.name)}:(\d{{1,9}})")
    for line in reversed(lines):
        if match := numbered.fullmatch(line):
            number = int(match[1])
            return next(
                (i for i in dockerfile.instructions if i.first_line <= number <= i.last_line), None
            )
        if match := _VERTEX.fullmatch(line) or _STEP.match(line):
            wanted = match["text"].split()
            return next((i for i in dockerfile.instructions if i.original.split() == wanted), None)
    return None
