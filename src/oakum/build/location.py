"""Where in a Dockerfile an error comes from."""

from __future__ import annotations

from oakum.dockerfile import Instruction
from oakum.errors import OakumError

SHOWN = 300
"""Characters of an instruction that an error shows."""


def located(error: OakumError, file: str, instruction: Instruction) -> OakumError:
    """The error with the file, the line and the instruction that brought it about."""
    number, text = instruction.first_line, instruction.original[:SHOWN]
    if f"{file}:{number}" in error.what or f"{file}, line" in error.what or not is_plain(error):
        return error
    what = error.what.removeprefix(f"line {number}: ")
    shown = what if text in what else f"{what}: {text}"
    return type(error)(f"{file}, line {number}: {shown}", error.todo)


def is_plain(error: OakumError) -> bool:
    """Whether errors of this kind are made of what and todo alone."""
    return type(error).__init__ is OakumError.__init__
