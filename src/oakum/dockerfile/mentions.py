"""Which packages, in which versions, a Dockerfile's RUN scripts install, and what holds these."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from oakum.dockerfile.apt import AptCommand, read_command, read_package
from oakum.dockerfile.instruction import Dockerfile, Instruction
from oakum.dockerfile.mount import mount_options
from oakum.dockerfile.scope import Given, Scope, advance, base_word, global_scope, stage_start
from oakum.dockerfile.script import Script, run_script
from oakum.dockerfile.shell import Shell
from oakum.dockerfile.stages import Stage, find_stage, stages
from oakum.dockerfile.syntax import Field
from oakum.dockerfile.text import Span
from oakum.dockerfile.trace import UNKNOWN, Segment, Source, Traced, segments, traced, unknown
from oakum.dockerfile.words import dockerfile_value
from oakum.dockerfile.wrappers import apt_fields, shell_start
from oakum.errors import DockerfileError

_VERSION = re.compile(r"[0-9A-Za-z*][0-9A-Za-z.+:~*?\[\]-]*")


class Holder(msgspec.Struct, frozen=True):
    """Where the text of a version stands."""

    kind: str
    """``word`` (in the command itself), ``ARG``, ``ENV``, ``shell``, ``build-arg``, ``image`` or
    ``unknown``."""
    name: str
    """The variable; empty for ``word``."""
    line: int
    """Line of the instruction that holds it; 0 outside the file."""
    prefix: str
    """What stands before the held part in the version, such as an epoch."""
    suffix: str
    """What stands behind it, such as a revision or a ``*``."""
    glob: bool
    """Whether the version has a ``*``."""
    spans: tuple[Span, ...]
    """Bytes of the held part."""
    overridden_by_build_arg: bool
    """Whether ``--build-arg`` gives it, so that the file's text does not matter."""


class Mention(msgspec.Struct, frozen=True):
    """A package that an install command of a RUN (or of an ONBUILD RUN) names."""

    stage: int
    """Index of the stage."""
    instruction: Instruction
    """The RUN."""
    line: int
    """Number of the line with the word."""
    package: str
    architecture: str | None
    """In ``package:architecture``."""
    version: str | None
    """As apt gets it, perhaps with a ``*``, which also stands for an end that only a run could
    tell (``~$(lsb_release -cs)``); None when unpinned, or not known at all before a run."""
    release: str | None
    """In ``package/release``, or else apt's ``-t``."""
    word: str
    """As written in the script."""
    pinned: bool
    """Whether it has a ``=``; with `version` None, only a run could tell which version."""
    holder: Holder | None
    """Where the version's text stands; None when unpinned."""
    pieces: tuple[Segment, ...] = ()
    """The version, in pieces that stand together."""


class UpgradeAll(msgspec.Struct, frozen=True):
    """An ``apt-get upgrade`` or its like."""

    stage: int
    instruction: Instruction
    line: int
    """Number of the line with the operation."""
    kind: str
    """``upgrade``, ``dist-upgrade``, ``full-upgrade`` or ``safe-upgrade``."""


class Hold(msgspec.Struct, frozen=True):
    """An ``apt-mark hold`` (or ``unhold``) of a package."""

    stage: int
    instruction: Instruction
    line: int
    package: str
    held: bool
    """False for ``unhold``."""


class Unreadable(msgspec.Struct, frozen=True):
    """A script, or a part of one, that could not be understood."""

    stage: int
    instruction: Instruction
    text: str


class ListsUpdate(msgspec.Struct, frozen=True):
    """An ``apt-get update``, or the first command of a RUN that needs one from before it."""

    stage: int
    instruction: Instruction
    needed: bool
    """True where the RUN installs or upgrades with the lists that it finds."""


class Survey(msgspec.Struct, frozen=True):
    """All that the RUN scripts say about packages."""

    mentions: tuple[Mention, ...]
    upgrades: tuple[UpgradeAll, ...]
    holds: tuple[Hold, ...]
    unreadable: tuple[Unreadable, ...]
    updates: tuple[ListsUpdate, ...] = ()
    """Of each RUN that calls apt the first that it does to package lists, or with them."""


def survey(dockerfile: Dockerfile, given: Given | None = None, target: str | None = None) -> Survey:
    """Read every RUN of the stages that `target` needs (default: of all stages).

    Raises `DockerfileError` for a target that is no stage.
    """
    given = given or Given()
    _, found = stages(dockerfile)
    above = global_scope(dockerfile, given)
    wanted = _needed(found, target, above, dockerfile.name)
    reader = _Reader(dockerfile)
    ends: dict[int, Scope] = {}
    for stage in found:
        scope = stage_start(stage, found, ends, above, given)
        for instruction in stage.instructions:
            run = instruction.onbuild or instruction
            if run.keyword == "RUN" and stage.index in wanted:
                reader.read(stage.index, run, scope)
            advance(scope, instruction, above, given)
        ends[stage.index] = scope
    return reader.result()


def mentions(
    dockerfile: Dockerfile,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    platform: Mapping[str, str] | None = None,
    image_env: Mapping[int, Mapping[str, str]] | None = None,
) -> tuple[Mention, ...]:
    """The packages that the RUN scripts install; arguments as in `Given`."""
    return survey(
        dockerfile, Given(build_args or {}, platform or {}, image_env or {}), target
    ).mentions


def upgrade_steps(dockerfile: Dockerfile) -> tuple[UpgradeAll, ...]:
    """The RUN scripts that upgrade everything there is."""
    return survey(dockerfile).upgrades


def holds(dockerfile: Dockerfile) -> tuple[Hold, ...]:
    """What ``apt-mark`` holds and releases, in order."""
    return survey(dockerfile).holds


def _needed(found: tuple[Stage, ...], target: str | None, above: Scope, name: str) -> set[int]:
    if target is None:
        return {stage.index for stage in found}
    first = find_stage(found, target)
    if first is None:
        raise DockerfileError(
            f"{name}: no stage {target[:80]!r}",
            f"stages: {', '.join(stage.name or str(stage.index) for stage in found)}",
        )
    needed: set[int] = set()
    waiting = [first]
    while waiting:
        stage = waiting.pop()
        if stage.index in needed:
            continue
        needed.add(stage.index)
        for source in _sources(stage, above):
            other = find_stage(found, source, before=stage.index)
            if other is not None:
                waiting.append(other)
    return needed


def _sources(stage: Stage, above: Scope) -> list[str]:
    """Names that the stage takes files from."""
    word = traced(base_word(stage), Source("word"))
    names = [dockerfile_value(word, above.lookup, stage.from_.escape).text]
    for one in stage.instructions:
        for flag in (one.onbuild or one).flags:
            if flag.name == "from":
                names.append(flag.value or "")
            if flag.name == "mount":
                options = mount_options(flag.value or "")
                names += [o.partition("=")[2] for o in options if o.lower().startswith("from=")]
    return names


class _Reader:
    """Collects what the commands of the RUN scripts say."""

    def __init__(self, dockerfile: Dockerfile) -> None:
        self.dockerfile = dockerfile
        self.stage = 0
        self.instruction: Instruction | None = None
        self.found: dict[object, Mention] = {}
        self.upgrades: list[UpgradeAll] = []
        self.holds: list[Hold] = []
        self.unreadable: list[Unreadable] = []
        self.updates: dict[object, ListsUpdate] = {}

    def result(self) -> Survey:
        return Survey(
            tuple(self.found.values()),
            tuple(dict.fromkeys(self.upgrades)),
            tuple(self.holds),
            tuple(dict.fromkeys(self.unreadable)),
            tuple(self.updates.values()),
        )

    def read(self, stage: int, instruction: Instruction, scope: Scope) -> None:
        """One RUN."""
        self.stage, self.instruction = stage, instruction
        script = run_script(instruction, self.dockerfile.raw, scope.shell)
        if script is None:
            self._unreadable(instruction.original)
            return
        shell = Shell(scope.lookup, instruction.first_line, self.command, self._damaged)
        self._run(script, shell)

    def _run(self, script: Script, shell: Shell) -> None:
        if script.text is not None:
            shell.run(script.text, script.feeds)
        else:
            shell.command([Field(word, word) for word in script.words], {})

    def _damaged(self, text: Traced) -> None:
        self._unreadable(text.text)

    def _unreadable(self, text: str) -> None:
        assert self.instruction is not None
        self.unreadable.append(Unreadable(self.stage, self.instruction, text))

    def command(self, fields: list[Field], shell: Shell) -> None:
        """One command of a script."""
        start = shell_start(fields)
        if start is not None:
            pairs = [field.value for field in fields[:start] if "=" in field.value.text[1:]]
            prefix = {one.text.split("=")[0]: one.cut(one.text.index("=") + 1) for one in pairs}
            shell.fork().command(fields[start:], prefix)
            return
        fields = apt_fields(fields) or []
        command = read_command([field.value for field in fields]) if fields else None
        if command is None:
            return
        assert self.instruction is not None
        line = self._line(fields[0].written)
        if command.operation == "update" or command.installs or command.upgrades:
            needed = command.operation != "update"
            key = (self.stage, self.instruction.first_line)
            self.updates.setdefault(key, ListsUpdate(self.stage, self.instruction, needed))
        if command.upgrades:
            self.upgrades.append(UpgradeAll(self.stage, self.instruction, line, command.operation))
        elif command.operation in ("hold", "unhold"):
            for at in command.operands:
                held = command.operation == "hold"
                name = fields[at].value.text
                where = self._line(fields[at].written)
                self.holds.append(Hold(self.stage, self.instruction, where, name, held))
        elif command.installs:
            for at in command.operands:
                self._mention(fields[at], command)

    def _line(self, word: Traced) -> int:
        assert self.instruction is not None
        at = next((at for at in word.offsets if at >= 0), -1)
        return self.dockerfile.line_of(at) if at >= 0 else self.instruction.first_line

    def _mention(self, field: Field, command: AptCommand) -> None:
        named = read_package(field.value)
        if named is None:
            return
        assert self.instruction is not None
        version = _readable(named.version) if named.version is not None else None
        known = version is not None and version.known and version.text != ""
        mention = Mention(
            stage=self.stage,
            instruction=self.instruction,
            line=self._line(field.written),
            package=named.package,
            architecture=named.architecture,
            version=version.text if version is not None and known else None,
            release=named.release or command.default_release,
            word=field.written.text,
            pinned=version is not None,
            holder=_holder(version) if version is not None else None,
            pieces=tuple(segments(version)) if version is not None else (),
        )
        key = (self.stage, field.value.offsets, field.value.text, field.written.offsets)
        self.found.setdefault(key, mention)


def _readable(version: Traced) -> Traced:
    """The version with an unknown end (a release's code name, mostly) as a ``*``.

    What apt would not take for a version is unknown altogether.
    """
    text = version.text
    if text.endswith(UNKNOWN) and _VERSION.fullmatch(text[:-1]):
        return Traced(f"{text[:-1]}*", version.offsets, version.sources)
    return version if _VERSION.fullmatch(text) or UNKNOWN in text else unknown()


def _holder(version: Traced) -> Holder:
    """The piece that holds the version: the first variable in it that is not its epoch."""
    pieces = list(segments(version))
    if not pieces:
        return Holder("word", "", 0, "", "", False, (), False)
    after_epoch = version.text.find(":") + 1
    ends = [sum(len(p.text) for p in pieces[: at + 1]) for at in range(len(pieces))]
    beyond = [piece for piece, end in zip(pieces, ends, strict=True) if end > after_epoch]
    variables = [piece for piece in beyond if piece.source.kind != "word"]
    main = (variables or beyond or pieces)[0].source
    places = [at for at, piece in enumerate(pieces) if piece.source == main]
    first, last = places[0], places[-1]
    return Holder(
        kind=main.kind,
        name=main.name,
        line=main.line,
        prefix="".join(piece.text for piece in pieces[:first]),
        suffix="".join(piece.text for piece in pieces[last + 1 :]),
        glob="*" in version.text,
        spans=tuple(piece.span for piece in pieces[first : last + 1] if piece.span is not None),
        overridden_by_build_arg=any(piece.source.kind == "build-arg" for piece in pieces),
    )
