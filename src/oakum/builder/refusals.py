"""What no step gets from oakum, told before anything starts."""

from __future__ import annotations

from oakum.builder.location import located
from oakum.dockerfile import Instruction
from oakum.errors import Unsupported


def refuse(instruction: Instruction, file: str) -> None:
    """`Unsupported` for a RUN that asks for more of this machine than steps get."""
    if instruction.keyword != "RUN":
        return
    where = f"line {instruction.first_line}: RUN"
    error = None
    if instruction.flag("security") == "insecure":
        error = Unsupported(
            f"{where} --security=insecure is not built by oakum",
            "do what needs it outside of the build",
        )
    elif any(flag.name == "device" for flag in instruction.flags):
        error = Unsupported(
            f"{where} --device is not built by oakum: a step gets no device of this machine",
            "do what needs it outside of the build",
        )
    if error is not None:
        raise located(error, file, instruction)
