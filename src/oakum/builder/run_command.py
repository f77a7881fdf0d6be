"""A RUN as it is written: its command, its heredocs, its flags, its environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oakum.builder.state import PROXY_ARGS, StageState
from oakum.builder.steps import Workshop, check_flags
from oakum.dockerfile import (
    Heredoc,
    Instruction,
    Mount,
    command_mark,
    heredoc_marker,
    parse_mount,
)
from oakum.errors import BuildError, Unsupported

PIPES = "/dev/pipes"
"""Where heredocs that are programs stand in a step, as BuildKit has it."""
_FLAGS = {"mount", "network", "security"}


class RunCommand:
    """A RUN, read: what it executes and what it sees.

    Raises `Unsupported` and `BuildError` for flags that are refused.
    """

    def __init__(
        self,
        shop: Workshop,
        state: StageState,
        instruction: Instruction,
        expand: Callable[[str], str],
    ) -> None:
        check_flags(instruction, _FLAGS)
        self.instruction = instruction
        script, self.program = script_of(instruction)
        self.argv = [*instruction.arguments] if instruction.json else [*state.shell, script]
        self.network = instruction.flag("network") or shop.request.network
        if self.network not in ("default", "host", "none"):
            raise BuildError(f"unsupported network mode {self.network!r}", "default, host, none")
        self.security = instruction.flag("security") or "sandbox"
        if self.security not in ("sandbox", "insecure"):
            raise BuildError(f"unsupported security mode {self.security!r}", "sandbox")
        if self.security == "insecure":
            raise Unsupported(
                f"line {instruction.first_line}: RUN --security=insecure is not built by oakum",
                "do what needs it outside of the build",
            )
        self.mounts: list[Mount] = [
            parse_mount(flag.value or "", expand)
            for flag in instruction.flags
            if flag.name == "mount"
        ]
        self.arguments = {n: state.env.get(n, value or "") for n, value in state.args.items()}
        self.env = {**_given_proxies(shop.request.build_args), **state.env}

    @property
    def words(self) -> list[str]:
        """What is run, the text of a program in a heredoc included."""
        return [*self.argv, *([self.program.text] if self.program else [])]

    def history(self, state: StageState) -> str:
        """The history line, as BuildKit writes it."""
        prefix = ""
        if self.arguments:
            pairs = " ".join(f"{k}={v}" for k, v in self.arguments.items())
            prefix = f"|{len(self.arguments)} {pairs} "
        return f"RUN {prefix}{' '.join(self.argv)} # buildkit"


def _given_proxies(arguments: Mapping[str, str]) -> dict[str, str]:
    """Proxies given as build arguments: a step sees them without ARG, in both spellings."""
    found: dict[str, str] = {}
    for name in sorted(PROXY_ARGS):
        if name in arguments:
            found[name.upper()] = found[name.lower()] = arguments[name]
    return found


def script_of(instruction: Instruction) -> tuple[str, Heredoc | None]:
    """The shell text of a RUN in shell form, its heredocs included as the shell wants them.

    A heredoc that is the whole script and names its interpreter is a program of its own, and comes
    as the second value.
    """
    text = instruction.arguments[0] if instruction.arguments else ""
    if instruction.json or not instruction.heredocs:
        return text, None
    first = instruction.heredocs[0]
    if heredoc_marker(text.strip()) is not None:
        program = first if first.text.startswith("#!") else None
        return (f"{PIPES}/{first.name}" if program else first.text), program
    parts = [text]
    for heredoc in instruction.heredocs:
        parts.append(f"\n{heredoc.content}{heredoc.name}")
    return "".join(parts), None


def run_mark(instruction: Instruction) -> str:
    """What a lock finds a RUN by when lines move: its words."""
    if instruction.json:
        return command_mark(" ".join(instruction.arguments))
    script, program = script_of(instruction)
    return command_mark(script if program is None else program.text)
