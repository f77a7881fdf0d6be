"""What BuildKit refuses about an instruction although its grammar is right."""

from __future__ import annotations

import re

from oakum.dockerfile.duration import parse_duration
from oakum.dockerfile.instruction import Flag, Instruction
from oakum.dockerfile.lines import heredoc_marker
from oakum.dockerfile.mount import mount_options, near
from oakum.errors import DockerfileError

KEYWORDS = (
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
)
_TEXT: dict[str, tuple[str, ...]] = {
    "ADD": ("chown", "chmod", "checksum"),
    "COPY": ("chown", "chmod", "from"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
    "RUN": ("network", "security"),
}
_TRUTH: dict[str, tuple[str, ...]] = {
    "ADD": ("link", "keep-git-dir", "unpack"),
    "COPY": ("link", "parents"),
}
_LISTS: dict[str, tuple[str, ...]] = {
    "ADD": ("exclude",),
    "COPY": ("exclude",),
    "RUN": ("mount", "device"),
}
_FREE_FLAGS = ("ARG", "STOPSIGNAL")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")
_ONE = ("MAINTAINER", "WORKDIR", "USER", "STOPSIGNAL")
_SOME = ("ENV", "LABEL", "ARG", "EXPOSE", "VOLUME", "ONBUILD", "HEALTHCHECK", "SHELL")


def check_instruction(instruction: Instruction) -> None:
    """Raises `DockerfileError` (why and hint, no place) where BuildKit would refuse it."""
    keyword, arguments = instruction.keyword, instruction.arguments
    if keyword not in KEYWORDS:
        raise DockerfileError(f"unknown instruction: {keyword[:80]}", near(keyword, list(KEYWORDS)))
    if keyword in _ONE and len(arguments) != 1:
        raise DockerfileError(f"{keyword} requires exactly one argument", f"write {keyword} …")
    if keyword in _SOME and not arguments:
        raise DockerfileError(f"{keyword} requires at least one argument", f"write {keyword} …")
    if keyword not in _FREE_FLAGS:
        _check_flags(keyword, instruction.flags)
    check = _CHECKS.get(keyword)
    if check is not None:
        check(instruction)


def _check_flags(keyword: str, flags: tuple[Flag, ...]) -> None:
    text, truth = _TEXT.get(keyword, ()), _TRUTH.get(keyword, ())
    lists = _LISTS.get(keyword, ())
    seen: set[str] = set()
    for flag in flags:
        if flag.name not in (*text, *truth, *lists):
            known = [f"--{name}" for name in (*text, *truth, *lists)]
            hint = near(f"--{flag.name}", known) if known else f"{keyword} has no flags"
            raise DockerfileError(f"unknown flag: --{flag.name[:80]}", hint)
        if flag.name in seen and flag.name not in lists:
            raise DockerfileError(f"duplicate flag specified: --{flag.name}", "keep one of them")
        seen.add(flag.name)
        if flag.name in truth:
            _check_truth(flag)
        elif flag.value is None:
            raise DockerfileError(
                f"missing a value on flag: --{flag.name}", f"write --{flag.name}=…"
            )


def _check_truth(flag: Flag) -> None:
    if flag.value is not None and flag.value.lower() not in ("true", "false"):
        why = f"expecting boolean value for flag --{flag.name}, not: {flag.value[:80]!r}"
        raise DockerfileError(why, f"write --{flag.name} or --{flag.name}=false")


def _check_from(instruction: Instruction) -> None:
    arguments = instruction.arguments
    named = len(arguments) == 3 and arguments[1].upper() == "AS"
    if len(arguments) != 1 and not named:
        raise DockerfileError("FROM requires either one or three arguments", "FROM image AS name")
    if named and not _STAGE_NAME.fullmatch(arguments[2].lower()):
        raise DockerfileError(
            f"invalid name for build stage: {arguments[2][:80]!r}",
            "a name starts with a letter; letters, digits, '-', '_' and '.' may follow",
        )


def _check_pairs(instruction: Instruction) -> None:
    if not all(instruction.arguments[::2]):
        raise DockerfileError(f"{instruction.keyword} names can not be blank", "write name=value")


def _check_arg(instruction: Instruction) -> None:
    if any(argument.startswith("=") for argument in instruction.arguments):
        raise DockerfileError("ARG names can not be blank", "write ARG name or ARG name=default")


def _check_copy(instruction: Instruction) -> None:
    arguments = instruction.arguments
    if len(arguments) < 2:
        why = f"{instruction.keyword} requires at least two arguments"
        raise DockerfileError(why, "name the sources, then the destination")
    if heredoc_marker(arguments[-1]) is not None:
        why = f"{instruction.keyword} cannot accept a heredoc as a destination"
        raise DockerfileError(why, "write the destination's path last")


def _check_volume(instruction: Instruction) -> None:
    if not all(argument.strip() for argument in instruction.arguments):
        raise DockerfileError("VOLUME can not be an empty string", "write VOLUME /path")


def _check_shell(instruction: Instruction) -> None:
    if not instruction.json:
        raise DockerfileError("SHELL requires a JSON array", 'write SHELL ["/bin/bash", "-c"]')


def _check_run(instruction: Instruction) -> None:
    for flag in instruction.flags:
        if flag.name == "mount":
            _check_mount_from(flag.value or "")


def _check_mount_from(value: str) -> None:
    for option in mount_options(value):
        key, _, source = option.partition("=")
        if key.lower() == "from" and "$" in source[:-1]:
            raise DockerfileError("--mount: 'from' does not take variables", "name a stage for it")


def _check_health(instruction: Instruction) -> None:
    kind, rest = instruction.arguments[0].upper(), instruction.arguments[1:]
    if kind == "NONE":
        if rest:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments", "write HEALTHCHECK NONE")
        return
    if kind != "CMD":
        raise DockerfileError(f"unknown type {kind[:80]!r} in HEALTHCHECK", "try CMD")
    if not rest:
        raise DockerfileError("missing command after HEALTHCHECK CMD", "write the command to run")
    for flag in instruction.flags:
        value = flag.value or ""
        if flag.name != "retries":
            _check_interval(flag.name, value)
        elif value and not re.fullmatch(r"\+?[0-9]{1,9}", value):
            raise DockerfileError(f"--retries is not a count: {value[:80]!r}", "write --retries=3")


def _check_interval(name: str, value: str) -> None:
    if not value:
        return
    nanoseconds = parse_duration(value)
    if nanoseconds and nanoseconds < 1_000_000:
        raise DockerfileError(f"--{name} cannot be less than 1ms: {value}", "write 1ms or more")


_CHECKS = {
    "FROM": _check_from,
    "ENV": _check_pairs,
    "LABEL": _check_pairs,
    "ARG": _check_arg,
    "COPY": _check_copy,
    "ADD": _check_copy,
    "VOLUME": _check_volume,
    "SHELL": _check_shell,
    "RUN": _check_run,
    "HEALTHCHECK": _check_health,
}
