"""Instructions that change no files: each is a function of the stage's state.

What they write into the config, and the history lines, are those of BuildKit's Dockerfile
frontend, so that tools which read them understand oakum's images.
"""

from __future__ import annotations

import posixpath
import re
import signal
from collections.abc import Callable, Sequence
from typing import Any

from oakum.builder.state import StageState
from oakum.dockerfile import (
    Instruction,
    parse_args,
    parse_duration,
    parse_key_values,
)
from oakum.errors import DockerfileError

Expand = Callable[[str], str]
Instructions = Callable[[StageState, Instruction, Expand], None]
_SIGNALS = {
    *(one.name.removeprefix("SIG") for one in signal.Signals),
    *("CLD", "IOT", "POLL", "STKFLT"),
    *(f"RTMIN+{number}" for number in range(1, 16)),
    *(f"RTMAX-{number}" for number in range(1, 15)),
}
_ESCAPES = {
    **dict(zip("\a\b\f\n\r\t\v", (rf"\{letter}" for letter in "abfnrtv"), strict=True)),
    "\\": r"\\",
    '"': r"\"",
}
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)


def _mistake(instruction: Instruction, why: str, hint: str = "") -> DockerfileError:
    return DockerfileError(f"line {instruction.first_line}: {why}: {instruction.original}", hint)


def _array(words: Sequence[str]) -> str:
    return "[" + " ".join(f'"{"".join(map(_quoted, word))}"' for word in words) + "]"


def _quoted(character: str) -> str:
    """A character as Go's ``strconv.Quote`` shows it."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def command_of(state: StageState, instruction: Instruction) -> list[str]:
    """The argv of CMD, ENTRYPOINT or RUN: the JSON form as it is, else the shell with the text."""
    if instruction.json:
        return list(instruction.arguments)
    return [*state.shell, instruction.arguments[0] if instruction.arguments else ""]


def _env(state: StageState, instruction: Instruction, expand: Expand) -> None:
    pairs = [(expand(k), expand(v)) for k, v in parse_key_values(instruction)]
    for name, value in pairs:
        state.set_env(name, value)
    state.add_history("ENV " + " ".join(f"{k}={v}" for k, v in pairs), empty=True)


def _label(state: StageState, instruction: Instruction, expand: Expand) -> None:
    pairs = [(expand(k), expand(v)) for k, v in parse_key_values(instruction)]
    labels = dict(state.runtime.get("Labels") or {})
    labels.update(pairs)
    state.runtime["Labels"] = labels
    state.add_history("LABEL " + " ".join(f"{k}={v}" for k, v in pairs), empty=True)


def _cmd(state: StageState, instruction: Instruction, expand: Expand) -> None:
    argv = command_of(state, instruction)
    state.runtime["Cmd"] = argv
    state.runtime["ArgsEscaped"] = True
    state.cmd_set = True
    state.add_history(f"CMD {_array(argv)}", empty=True)


def _entrypoint(state: StageState, instruction: Instruction, expand: Expand) -> None:
    argv = command_of(state, instruction)
    state.runtime["Entrypoint"] = argv
    if not state.cmd_set:
        state.runtime.pop("Cmd", None)
    state.add_history(f"ENTRYPOINT {_array(argv)}", empty=True)


def _user(state: StageState, instruction: Instruction, expand: Expand) -> None:
    state.user = expand(instruction.arguments[0])
    state.runtime["User"] = state.user
    state.add_history(f"USER {state.user}", empty=True)


def _shell(state: StageState, instruction: Instruction, expand: Expand) -> None:
    state.shell = list(instruction.arguments)
    state.runtime["Shell"] = list(state.shell)
    state.add_history(f"SHELL [{' '.join(state.shell)}]", empty=True)


def _stopsignal(state: StageState, instruction: Instruction, expand: Expand) -> None:
    name = expand(instruction.arguments[0])
    if not _is_signal(name):
        raise _mistake(instruction, f"invalid signal {name[:80]!r}", "write SIGTERM or 15")
    state.runtime["StopSignal"] = name
    state.add_history(f"STOPSIGNAL {name}", empty=True)


def _is_signal(text: str) -> bool:
    """Whether docker knows the signal: a number, or a Linux name with or without SIG."""
    if text.isascii() and text.isdecimal():
        return int(text) != 0
    return text.upper().removeprefix("SIG") in _SIGNALS


def _maintainer(state: StageState, instruction: Instruction, expand: Expand) -> None:
    author = " ".join(instruction.arguments)
    state.document["author"] = author
    state.add_history(f"MAINTAINER {author}", empty=True)


def _expose(state: StageState, instruction: Instruction, expand: Expand) -> None:
    ports = dict(state.runtime.get("ExposedPorts") or {})
    arguments = sorted(instruction.arguments)
    words = [word for argument in arguments for word in expand(argument).split()]
    named = []
    for word in words:
        for port in _ports(instruction, word):
            ports[port] = {}
            named.append(port)
    state.runtime["ExposedPorts"] = dict(sorted(ports.items()))
    state.add_history(f"EXPOSE [{' '.join(named)}]", empty=True)


def _ports(instruction: Instruction, word: str) -> list[str]:
    match = _PORT.fullmatch(word.rpartition(":")[2])
    if not match:
        why = f"invalid port or protocol {word!r}"
        raise _mistake(instruction, why, "write 80, 80/tcp or 8000-8010")
    first, last = int(match[1]), int(match[2] or match[1])
    if not (first <= last <= 65535):
        raise _mistake(instruction, f"invalid port {word!r}", "ports are 0 to 65535")
    return [f"{port}/{(match[3] or 'tcp').lower()}" for port in range(first, last + 1)]


def _volume(state: StageState, instruction: Instruction, expand: Expand) -> None:
    paths = [expand(argument) for argument in instruction.arguments]
    if not all(paths):
        raise _mistake(instruction, "VOLUME specified can not be an empty string")
    volumes = dict(state.runtime.get("Volumes") or {})
    volumes.update({path: {} for path in paths})
    state.runtime["Volumes"] = dict(sorted(volumes.items()))
    state.add_history(f"VOLUME [{' '.join(paths)}]", empty=True)


def _healthcheck(state: StageState, instruction: Instruction, expand: Expand) -> None:
    kind = instruction.arguments[0].upper() if instruction.arguments else ""
    check: dict[str, Any] = {}
    if kind == "NONE":
        check["Test"] = ["NONE"]
    elif instruction.json:
        check["Test"] = ["CMD", *instruction.arguments[1:]]
    else:
        check["Test"] = ["CMD-SHELL", " ".join(instruction.arguments[1:])]
    for flag, field in (
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start-period", "StartPeriod"),
        ("start-interval", "StartInterval"),
    ):
        text = instruction.flag(flag)
        if text and (value := parse_duration(expand(text))):
            check[field] = value
    retries = instruction.flag("retries")
    if retries and int(retries):
        check["Retries"] = int(retries)
    state.runtime["Healthcheck"] = check
    shown = " ".join(_go(value) for value in _health_fields(check))
    state.add_history(f"HEALTHCHECK &{{{shown}}}", empty=True)


def _health_fields(check: dict[str, Any]) -> list[Any]:
    durations = [_nanoseconds(check.get(key, 0)) for key in ("Interval", "Timeout", "StartPeriod")]
    return [
        check["Test"],
        *durations,
        _nanoseconds(check.get("StartInterval", 0)),
        f"'\\x{check.get('Retries', 0):02x}'",
    ]


def _nanoseconds(value: int) -> str:
    """A duration as Go's formatter writes it, quoted."""
    seconds, rest = divmod(value, 1_000_000_000)
    if not value:
        return '"0s"'
    if rest or not seconds:
        return f'"{value / 1e9:g}s"' if seconds else f'"{value / 1e6:g}ms"'
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    text = f"{hours}h{minutes}m{seconds}s" if hours else ""
    return f'"{text or (f"{minutes}m{seconds}s" if minutes else f"{seconds}s")}"'


def _go(value: Any) -> str:
    return _array(value) if isinstance(value, list) else str(value)


def _onbuild(state: StageState, instruction: Instruction, expand: Expand) -> None:
    trigger = instruction.original.split(None, 1)[1]
    trigger += "".join(f"\n{here.content}{here.name}" for here in instruction.heredocs)
    state.runtime["OnBuild"] = [*(state.runtime.get("OnBuild") or []), trigger]


def declare_args(
    state: StageState,
    instruction: Instruction,
    expand: Expand,
    given: dict[str, str],
    inherited: dict[str, str],
) -> None:
    """ARG: the value given on the command line, else the default here, else the global one."""
    shown = []
    for name, default in parse_args(instruction):
        value = expand(default) if default is not None else None
        if name in given:
            value = given[name]
        elif value is None and name in inherited:
            value = inherited[name]
        state.declare(name, value)
        shown.append(name if value is None else f"{name}={value}")
    state.add_history("ARG " + " ".join(shown), empty=True)


def workdir_of(state: StageState, text: str) -> str:
    """The working directory that WORKDIR sets: absolute as written, or below the one before."""
    if text.startswith("/"):
        return text
    return "/" + posixpath.normpath(posixpath.join(state.workdir, text)).lstrip("/")


CONFIG_INSTRUCTIONS: dict[str, Instructions] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
}
