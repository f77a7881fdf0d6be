"""Rules that look at a FROM and the values that it sees."""

from __future__ import annotations

from collections.abc import Iterator

from oakum.dockerfile.checks.interface import Found, FromLine, Rule, quoted
from oakum.dockerfile.checks.suggest import meant
from oakum.dockerfile.expand import expand, variables_used
from oakum.dockerfile.pairs import parse_args
from oakum.errors import UsageError
from oakum.oci import parse_platform


def _used(line: FromLine, text: str) -> set[str]:
    return variables_used(text, line.stage.from_.escape, line.values)


def _undefined(line: FromLine) -> Iterator[Found]:
    for text in (line.stage.base, line.stage.platform or ""):
        unset = [name for name in sorted(_used(line, text)) if name not in line.values]
        if not unset:
            continue
        options = {name: None for one in line.sheet.globals for name, _ in parse_args(one)}
        options.update(dict.fromkeys(line.values))
        for name in unset:
            if name in options:
                continue
            near = meant(name, options)
            hint = f" (did you mean {near}?)" if near else ""
            said = f"FROM argument '{name}' is not declared{hint}"
            yield line.sheet.at(line.stage.from_, said)


def _redundant(line: FromLine) -> Iterator[Found]:
    written = line.stage.platform
    if not written or _used(line, written) != {"TARGETPLATFORM"}:
        return
    if expand(written, line.values, line.stage.from_.escape) == line.values.get("TARGETPLATFORM"):
        text = f"Setting platform to predefined {written} in FROM is redundant"
        yield line.sheet.at(line.stage.from_, f"{text} as this is the default behavior")


def _constant(line: FromLine) -> Iterator[Found]:
    written = line.stage.platform
    if not written or _used(line, written):
        return
    text = expand(written, {}, line.stage.from_.escape)
    try:
        platform = parse_platform(text)
    except UsageError:
        return
    name = line.stage.name or ""
    if platform.os not in name and platform.architecture not in name:
        said = f"FROM --platform flag should not use constant value {quoted(text)}"
        yield line.sheet.at(line.stage.from_, said)


FROM_RULES: tuple[Rule[FromLine], ...] = (
    Rule("UndefinedArgInFrom", "undefined-arg-in-from", _undefined),
    Rule("RedundantTargetPlatform", "redundant-target-platform", _redundant),
    Rule("FromPlatformFlagConstDisallowed", "from-platform-flag-const-disallowed", _constant),
)
