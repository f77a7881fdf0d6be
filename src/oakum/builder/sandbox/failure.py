"""Why a step could not be started, as errors that say what to do."""

from __future__ import annotations

import re

from oakum.builder.sandbox.runtime import Runtime
from oakum.builder.sandbox.step import Step
from oakum.errors import BuildError, SandboxError


class CannotStart(BuildError):
    """The step's program could not be started; `status` is what a shell would have said."""

    def __init__(self, what: str, todo: str, status: int) -> None:
        super().__init__(what, todo)
        self.status = status


_REASONS = (
    (
        r"executable file not found|exec.*no such file",
        127,
        "is not in the image",
        "install it in an earlier step, or correct its name or PATH",
    ),
    (
        r"exec format error",
        126,
        "is not a program for this machine",
        "check its architecture, and the first line of a script (#!)",
    ),
    (
        r"exec.*(permission denied|is a directory)",
        126,
        "is not executable",
        "make it executable with chmod +x in an earlier step",
    ),
)


def explain(said: str, step: Step, runtime: Runtime) -> BuildError | SandboxError:
    """The error behind what a runtime said about itself."""
    program = step.argv[0]
    for pattern, status, what, todo in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return CannotStart(f"the step's program {program!r} {what}", todo, status)
    return SandboxError(
        f"{runtime.name} could not start the step: {said}",
        "see 'oakum build --help' about --sandbox, or try another one",
    )
