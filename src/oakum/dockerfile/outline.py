"""What a build of a Dockerfile can be given: its targets, arguments, secrets, sockets, caches."""

from __future__ import annotations

import msgspec

from oakum.dockerfile.comments import comments_above, description
from oakum.dockerfile.expand import expand, variables_used
from oakum.dockerfile.instruction import Dockerfile, Instruction
from oakum.dockerfile.mount import Mount, parse_mount
from oakum.dockerfile.pairs import parse_args
from oakum.dockerfile.scene import Around, Step, global_args, placed, walk
from oakum.dockerfile.stages import Stage, stages


class Target(msgspec.Struct, frozen=True):
    """A stage that can be built."""

    name: str
    """Its name; empty without one."""
    description: str
    """What the comment above its FROM says of it."""
    base: str
    """What stands behind FROM, variables unexpanded."""
    platform: str
    """Value of ``--platform``, variables unexpanded; empty without one."""
    default: bool
    """Whether it is built when no target is named."""
    line: int
    """Line of its FROM."""


class BuildArgument(msgspec.Struct, frozen=True):
    """An argument that a target uses."""

    name: str
    """Its name."""
    value: str
    """The value that it has in this build; empty without one."""
    description: str
    """What the comment above its ARG says of it."""
    line: int
    """Line of its ARG."""


class Asked(msgspec.Struct, frozen=True):
    """A secret or an agent's socket that steps ask for."""

    name: str
    """Its id."""
    required: bool
    """Whether a step fails without it."""
    line: int
    """Line of the first step that asks."""


class CacheMount(msgspec.Struct, frozen=True):
    """A cache that steps mount."""

    id: str
    """Its id: the mount's target where none is given."""
    target: str
    """Where it is mounted."""
    line: int
    """Line of the first step that mounts it."""


class Outline(msgspec.Struct, frozen=True):
    """What a target can be given."""

    name: str
    """Name of the target; empty without one."""
    description: str
    """What the comment above its FROM says of it."""
    args: tuple[BuildArgument, ...]
    """Build arguments that the target or a stage that it needs uses, by line."""
    secrets: tuple[Asked, ...]
    """Secrets, by line."""
    ssh: tuple[Asked, ...]
    """Sockets of ssh agents, by line."""
    caches: tuple[CacheMount, ...]
    """Caches, by line."""


def targets(dockerfile: Dockerfile) -> tuple[Target, ...]:
    """The stages, in order."""
    comments = comments_above(dockerfile)
    _, found = stages(dockerfile)
    return tuple(
        Target(
            name=stage.name or "",
            description=_of_stage(comments, stage),
            base=stage.base,
            platform=stage.platform or "",
            default=stage is found[-1],
            line=stage.from_.first_line,
        )
        for stage in found
    )


def _of_stage(comments: dict[int, tuple[str, ...]], stage: Stage) -> str:
    above = comments.get(stage.from_.first_line, ())
    return description(above, stage.name) if stage.name else ""


def outline(dockerfile: Dockerfile, target: Stage, around: Around) -> Outline:
    """What `target` and the stages that `around` wants for it use.

    Raises `DockerfileError` where a build would stop for a word that cannot be expanded.
    """
    uses: dict[int, _Uses] = {}
    comments = comments_above(dockerfile)
    reading = _Reading(dockerfile, around, comments)
    for step in walk(dockerfile, around):
        reading.take(step, uses.setdefault(step.scene.stage.index, _Uses()))
    # The target's own word counts first, then that of the stages nearest to it.
    order = sorted(uses, key=lambda index: (index != target.index, -index))
    merged = _Uses()
    for one in (uses[index] for index in order):
        for name in _Uses.__struct_fields__:
            setattr(merged, name, getattr(one, name) | getattr(merged, name))
    return Outline(
        name=target.name or "",
        description=_of_stage(comments, target),
        args=tuple(sorted(merged.args.values(), key=_line)),
        secrets=tuple(sorted(merged.secrets.values(), key=_line)),
        ssh=tuple(sorted(merged.ssh.values(), key=_line)),
        caches=tuple(sorted(merged.caches.values(), key=_line)),
    )


def _line(one: BuildArgument | Asked | CacheMount) -> int:
    return one.line


class _Uses(msgspec.Struct):
    """What one stage uses, by name."""

    args: dict[str, BuildArgument] = {}
    secrets: dict[str, Asked] = {}
    ssh: dict[str, Asked] = {}
    caches: dict[str, CacheMount] = {}


class _Reading:
    """Reads what stages use."""

    def __init__(
        self, dockerfile: Dockerfile, around: Around, comments: dict[int, tuple[str, ...]]
    ) -> None:
        self._dockerfile = dockerfile
        self._comments = comments
        self._above = global_args(dockerfile, around, around.build_args)
        declared = [(one, *pair) for one in stages(dockerfile)[0] for pair in parse_args(one)]
        self._globals = {name: one for one, name, _ in declared}
        self._needs = {
            name: variables_used(default or "", dockerfile.escape, self._above)
            for _, name, default in declared
        }
        """The names that a global argument's default is made of."""

    def take(self, step: Step, uses: _Uses) -> None:
        """One instruction."""
        one = step.instruction
        if one.keyword == "FROM":
            stage = step.scene.stage
            for text in (stage.base, stage.platform or ""):
                used = variables_used(text, one.escape, self._above)
                self._use(used & self._above.keys(), uses)
        elif one.keyword == "ARG":
            self._argument(step, uses)
        elif one.keyword == "RUN":
            with placed(self._dockerfile, one):
                for flag in one.flags:
                    if flag.name == "mount":
                        mount = parse_mount(flag.value or "", step.expand)
                        self._mount(one.first_line, mount, uses)

    def _use(self, names: set[str], uses: _Uses) -> None:
        """Global arguments that are used, and those that their defaults are made of."""
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in self._globals and name not in uses.args:
                self._add(self._globals[name], name, self._above.get(name, ""), uses)
                todo += self._needs[name] & self._above.keys()

    def _add(self, one: Instruction, name: str, value: str, uses: _Uses) -> None:
        text = description(self._comments.get(one.first_line, ()), name)
        uses.args[name] = BuildArgument(name, value, text, one.first_line)

    def _argument(self, step: Step, uses: _Uses) -> None:
        name, default = parse_args(step.instruction)[0]
        given = step.around.build_args
        if default is None and name not in given and name in self._above:
            self._use({name}, uses)
            return
        value = given.get(name)
        if value is None and default is not None:
            with placed(self._dockerfile, step.instruction):
                value = expand(default, step.scene.env, self._dockerfile.escape)
        self._add(step.instruction, name, value or "", uses)

    def _mount(self, line: int, mount: Mount, uses: _Uses) -> None:
        if mount.type == "secret":
            name = mount.id or mount.source or mount.target.rpartition("/")[2]
            uses.secrets.setdefault(name, Asked(name, mount.required, line))
        elif mount.type == "ssh":
            name = mount.id or "default"
            uses.ssh.setdefault(name, Asked(name, mount.required, line))
        elif mount.type == "cache":
            name = mount.id or mount.target
            uses.caches.setdefault(name, CacheMount(name, mount.target, line))
