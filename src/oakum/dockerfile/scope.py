"""Which variables a stage's instructions see: ARG, ENV, build arguments, the base's environment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from oakum.dockerfile.instruction import Dockerfile, Instruction
from oakum.dockerfile.lines import split_words
from oakum.dockerfile.pairs import Pair, pairs
from oakum.dockerfile.stages import Stage, find_stage, stages
from oakum.dockerfile.text import MappedText
from oakum.dockerfile.trace import EMPTY, Source, Traced, foreign, held, traced
from oakum.dockerfile.words import dockerfile_value


class Given(msgspec.Struct, frozen=True):
    """What stands outside the file."""

    build_args: Mapping[str, str] = {}
    """``--build-arg``."""
    platform: Mapping[str, str] = {}
    """BuildKit's own arguments, such as TARGETARCH."""
    image_env: Mapping[int, Mapping[str, str]] = {}
    """Environment of the image that a stage starts from, by the stage's index; a stage that is
    not in it has an unknown one."""


class Scope(msgspec.Struct):
    """Variables at one place of a stage; ENV wins over ARG."""

    args: dict[str, Traced]
    env: dict[str, Traced]
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    closed: bool = False
    """Whether a variable that is not here is unset for certain."""

    def lookup(self, name: str) -> Traced | None:
        """The variable's value; None where it is unset or unknown."""
        found = self.env.get(name)
        if found is None:
            found = self.args.get(name)
        return EMPTY if found is None and self.closed else found

    def copy(self) -> Scope:
        """One that may change on its own."""
        return Scope(dict(self.args), dict(self.env), self.shell, self.closed)


def global_scope(dockerfile: Dockerfile, given: Given) -> Scope:
    """Variables before the first FROM."""
    scope = Scope({}, {}, closed=True)
    for name, value in given.platform.items():
        scope.args[name] = foreign(value, Source("build-arg", name))
    for instruction in stages(dockerfile)[0]:
        for pair in pairs(instruction):
            _declare(scope, instruction, pair, given, {})
    return scope


def stage_start(
    stage: Stage,
    found: tuple[Stage, ...],
    ends: Mapping[int, Scope],
    above: Scope,
    given: Given,
) -> Scope:
    """Variables right after a FROM; `ends` has the scopes at the ends of earlier stages."""
    base = dockerfile_value(
        traced(base_word(stage), Source("word")), above.lookup, stage.from_.escape
    )
    parent = find_stage(found, base.text, before=stage.index)
    if parent is not None:
        return ends[parent.index].copy()
    env = given.image_env.get(stage.index)
    source = Source("image")
    scope = Scope({}, {name: foreign(text, source) for name, text in (env or {}).items()})
    scope.closed = env is not None or base.text == "scratch"
    return scope


def base_word(stage: Stage) -> MappedText:
    """The word after FROM, as written, with its place."""
    body = stage.from_.body
    start, end = split_words(body.text, stage.from_.escape)[0]
    return body.cut(start, end)


def advance(scope: Scope, instruction: Instruction, above: Scope, given: Given) -> None:
    """Change `scope` as the instruction does."""
    if instruction.keyword == "ENV":
        before = scope.copy()
        for pair in pairs(instruction):
            if pair.value is not None:
                scope.env[pair.name] = _value(before, instruction, pair)
    elif instruction.keyword == "ARG":
        for pair in pairs(instruction):
            _declare(scope, instruction, pair, given, above.args)
    elif instruction.keyword == "SHELL":
        scope.shell = instruction.arguments


def _declare(
    scope: Scope, instruction: Instruction, pair: Pair, given: Given, above: Mapping[str, Traced]
) -> None:
    if pair.name in given.build_args:
        source = Source("build-arg", pair.name)
        scope.args[pair.name] = foreign(given.build_args[pair.name], source)
    elif pair.value is not None:
        scope.args[pair.name] = _value(scope, instruction, pair)
    elif pair.name in above:
        scope.args[pair.name] = above[pair.name]
    elif pair.name in given.platform:
        source = Source("build-arg", pair.name)
        scope.args[pair.name] = foreign(given.platform[pair.name], source)
    elif pair.name not in scope.args:
        scope.args[pair.name] = EMPTY


def _value(scope: Scope, instruction: Instruction, pair: Pair) -> Traced:
    assert pair.value is not None
    word = traced(pair.value, Source("word"))
    value = dockerfile_value(word, scope.lookup, instruction.escape)
    return held(value, Source(instruction.keyword, pair.name, instruction.first_line))
