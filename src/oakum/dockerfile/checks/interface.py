"""What a build check is, what it finds, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from oakum.dockerfile.instruction import Dockerfile, Instruction
from oakum.dockerfile.scene import Around
from oakum.dockerfile.stages import Stage
from oakum.errors import OakumError

_URL = "https://docs.docker.com/go/dockerfile/rule/"


class CheckWarning(msgspec.Struct, frozen=True):
    """Something in a Dockerfile that a rule does not like."""

    rule: str
    """Name of the rule, as BuildKit calls it."""
    message: str
    """What is wrong, in BuildKit's words."""
    line: int
    """Number of the first line, from 1."""
    last_line: int
    """Number of the last line."""
    url: str = ""
    """Where the rule is explained."""


class Checked(msgspec.Struct, frozen=True):
    """What the checks of a Dockerfile found."""

    warnings: tuple[CheckWarning, ...]
    """By line."""
    error: OakumError | None = None
    """Why a build would stop, where a check ran into it; what stands behind is not checked."""
    strict: bool = False
    """Whether a warning fails a build (``error=true``)."""


class Found(msgspec.Struct, frozen=True):
    """One place that a rule does not like."""

    message: str
    """What is wrong."""
    first: int
    """Number of the first line."""
    last: int
    """Number of the last line."""
    comments: tuple[str, ...] = ()
    """The comments that may skip the rule for this place."""


class Sheet(msgspec.Struct, frozen=True):
    """A Dockerfile with what its rules ask of it again and again."""

    dockerfile: Dockerfile
    """The file."""
    globals: tuple[Instruction, ...]
    """The ARGs before the first FROM."""
    stages: tuple[Stage, ...]
    """Its stages."""
    comments: dict[int, tuple[str, ...]]
    """The comments above instructions, by the line of the instruction."""
    around: Around
    """What stands outside the file."""

    def at(self, instruction: Instruction, message: str) -> Found:
        """A find at an instruction, which a comment above it may skip."""
        comments = self.comments.get(instruction.first_line, ())
        return Found(message, instruction.first_line, instruction.last_line, comments)

    def fixed(self, instruction: Instruction, message: str) -> Found:
        """A find at an instruction that no comment skips."""
        return Found(message, instruction.first_line, instruction.last_line)


class FromLine(msgspec.Struct, frozen=True):
    """A FROM and the values that it sees."""

    sheet: Sheet
    """The file."""
    stage: Stage
    """The stage that begins here."""
    values: Mapping[str, str]
    """The global arguments."""


Subject = TypeVar("Subject")


class Rule(Generic[Subject]):
    """A build check."""

    def __init__(
        self,
        name: str,
        page: str,
        find: Callable[[Subject], Iterator[Found]],
        *,
        experimental: bool = False,
    ) -> None:
        self.name = name
        self.url = f"{_URL}{page}/" if page else ""
        self.find = find
        self.experimental = experimental


def quoted(text: str) -> str:
    """The text in double quotes, as Go writes it."""
    import json

    return json.dumps(text, ensure_ascii=False)


def written(instruction: Instruction) -> str:
    """The instruction's keyword as it is written."""
    return instruction.original[: len(instruction.keyword)]
