"""Where in a Dockerfile an error comes from."""

from __future__ import annotations

from oakum.dockerfile import Instruction
from oakum.errors import OakumError

SHOWN = 300
"""Characters of an instruction that an error shows."""


def located(error: OakumError, file: str, instruction: Instruction) -> OakumError:
    """The error with the file, the line and the instruction that brought it about."""
    number, text = instruction.first_line, instruction.original[:SHOWN]
    known = f"{file}:{number}" in error.what or f"{file}, line" in error.what
    if known or plain_kind(error) is OakumError:
        return error
    what = error.what.removeprefix(f"line {number}: ")
    shown = what if text in what else f"{what}: {text}"
    return error.reworded(f"{file}, line {number}: {shown}")


def plain_kind(error: OakumError) -> type[OakumError]:
    """The nearest kind of the error that is made of what and todo alone.

    `OakumError` itself means that nothing but the error as it is tells what it has to tell.
    """
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, OakumError)]
    return next(kind for kind in kinds if kind.__init__ is OakumError.__init__)
