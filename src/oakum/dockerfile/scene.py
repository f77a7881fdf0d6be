"""A Dockerfile walked through as a build would: which variables are set at each instruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from oakum.dockerfile.expand import expand, expand_raw, variables_used
from oakum.dockerfile.instruction import Dockerfile, Instruction, mistake
from oakum.dockerfile.lines import heredoc_marker
from oakum.dockerfile.mount import parse_mount
from oakum.dockerfile.pairs import parse_args, parse_key_values
from oakum.dockerfile.parse import parse_dockerfile
from oakum.dockerfile.stages import Stage, stages
from oakum.errors import DockerfileError, OakumError
from oakum.oci import Platform, parse_platform

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What an image without PATH gets."""
_NEVER_IN_ENVIRONMENT = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")


class BaseImage(msgspec.Struct, frozen=True):
    """What is known of an image that a stage begins with."""

    env: Mapping[str, str] = {}
    """Its environment."""
    shell: bool = False
    """Whether its config says which shell runs commands."""
    triggers: tuple[str, ...] = ()
    """Its ONBUILD instructions."""
    platform: Platform | None = None
    """What it is for."""


def _unknown(name: str, platform: Platform | None) -> BaseImage | None:
    return None


def _content(step: Step) -> None:
    return


class Around(msgspec.Struct, frozen=True):
    """What stands outside the file."""

    build_args: Mapping[str, str] = {}
    """``--build-arg``."""
    automatic: Mapping[str, str] = {}
    """BuildKit's own arguments, such as TARGETARCH."""
    platform: Platform | None = None
    """What is built for."""
    contexts: frozenset[str] = frozenset()
    """Names of further build contexts."""
    base: Callable[[str, Platform | None], BaseImage | None] = _unknown
    """The image of a name; None for one of which nothing is known."""
    ignored: Callable[[str], bool] | None = None
    """Whether .dockerignore leaves a path out; None where that cannot be said of any."""
    wanted: frozenset[int] | None = None
    """Indexes of the stages that are built; None for all."""
    judge: Callable[[Step], None] = _content
    """Raises `DockerfileError` for an instruction that a build would refuse."""


class Scene(msgspec.Struct):
    """A stage before one of its instructions."""

    stage: Stage
    """The stage."""
    base: str
    """Name of what it begins with."""
    image: BaseImage | None
    """The image that it begins with, where that is known."""
    env: dict[str, str]
    """What is set: the image's environment, ENV and ARG."""
    args: set[str]
    """Names that an ARG has declared."""
    exported: dict[str, str]
    """What the image would have: its environment and ENV."""
    known: bool = True
    """Whether the image's environment is in `env`."""
    shell: bool = False
    """Whether the image or a SHELL says which shell runs commands."""
    workdir: bool = False
    """Whether a WORKDIR has been."""
    last: dict[str, Instruction] = {}
    """The latest instruction of each keyword in this stage."""


class Step(msgspec.Struct, frozen=True):
    """An instruction and the scene before it; an ARG with several names is several steps."""

    scene: Scene
    """Changes when the next step is taken."""
    instruction: Instruction
    """Of a trigger: with the lines of the FROM that it comes with."""
    around: Around
    """What stands outside the file."""
    above: Mapping[str, str]
    """Values of the arguments before the first FROM."""

    def expand(self, text: str) -> str:
        """The text with this scene's variables."""
        return expand(text, self.scene.env, self.scene.stage.from_.escape)

    def unset(self) -> list[str]:
        """Names that the instruction looks up and nothing declares, word by word."""
        escape, env = self.scene.stage.from_.escape, self.scene.env
        used = [variables_used(text, escape, env) for text in self.words()]
        used += [variables_used(t, "\\", env, quotes=False) for t in _bodies(self.instruction)]
        declared = self.scene.args
        return [n for names in used for n in sorted(names) if n not in env and n not in declared]

    def words(self) -> list[str]:
        """The words of the instruction in which variables are replaced."""
        one = self.instruction
        if one.keyword in ("ENV", "LABEL"):
            return [word for pair in parse_key_values(one) for word in pair]
        if one.keyword == "ARG":
            name, default = parse_args(one)[0]
            return [] if default is None or name in self.around.build_args else [default]
        if one.keyword in ("COPY", "ADD"):
            flags = [one.flag(name) or "" for name in ("chown", "chmod", "checksum")]
            return [*flags, *_sources(one), one.arguments[-1]]
        if one.keyword == "RUN":
            return _mount_words(one)
        return list(one.arguments) if one.keyword in _EXPANDED else []

    def sources(self) -> list[str]:
        """What a COPY or ADD names, heredocs left out."""
        return [self.expand(text) for text in _sources(self.instruction)]


_EXPANDED = ("WORKDIR", "USER", "STOPSIGNAL", "VOLUME")


def _sources(instruction: Instruction) -> list[str]:
    words = instruction.arguments[:-1]
    if not instruction.heredocs:
        return list(words)
    return [word for word in words if heredoc_marker(word) is None]


def _mount_words(instruction: Instruction) -> list[str]:
    found: list[str] = []

    def noted(text: str) -> str:
        found.append(text)
        return text

    for mount in _mounts(instruction):
        # What it becomes with its variables replaced is judged later.
        with suppress(DockerfileError):
            parse_mount(mount, noted)
    return found


def _mounts(instruction: Instruction) -> list[str]:
    if instruction.keyword != "RUN":
        return []
    return [flag.value or "" for flag in instruction.flags if flag.name == "mount"]


def _bodies(instruction: Instruction) -> list[str]:
    if instruction.keyword not in ("COPY", "ADD"):
        return []
    return [heredoc.text for heredoc in instruction.heredocs if heredoc.expand]


def global_args(dockerfile: Dockerfile, around: Around, given: Mapping[str, str]) -> dict[str, str]:
    """Values before the first FROM, where `given` stands for the command line's arguments."""
    known = {name: given.get(name, value) for name, value in around.automatic.items()}
    for instruction in stages(dockerfile)[0]:
        with placed(dockerfile, instruction):
            for name, default in parse_args(instruction):
                if name in given:
                    known[name] = given[name]
                elif default is not None:
                    known[name] = expand(default, known, dockerfile.escape)
    return known


@contextmanager
def placed(dockerfile: Dockerfile, instruction: Instruction) -> Iterator[None]:
    """An error of what is done inside gets the instruction's place."""
    try:
        yield
    except OakumError as error:
        if error.what.startswith((f"{dockerfile.name}:", f"{dockerfile.name}, line")):
            raise
        number = instruction.first_line
        shown = mistake(dockerfile.name, dockerfile.raw, number, error.what)
        raise error.reworded(shown.what) from error


def parent_of(stage: Stage, found: tuple[Stage, ...], name: str, around: Around) -> Stage | None:
    """The stage that `stage` begins with under that name; None where it is an image."""
    if name in around.contexts:
        return None
    return next((one for one in reversed(found[: stage.index]) if one.name == name), None)


def walk(dockerfile: Dockerfile, around: Around) -> Iterator[Step]:
    """Every instruction of the wanted stages, in order, each FROM first and as if behind itself.

    Raises `DockerfileError` where a build would stop for a word that cannot be expanded.
    """
    above = global_args(dockerfile, around, around.build_args)
    _, found = stages(dockerfile)
    ends: dict[int, Scene] = {}
    for stage in found:
        if around.wanted is not None and stage.index not in around.wanted:
            continue
        with placed(dockerfile, stage.from_):
            scene, triggers = _begin(stage, found, ends, above, around)
        for instruction in (stage.from_, *triggers, *stage.instructions):
            for one in _single(instruction):
                step = Step(scene, one, around, above)
                yield step
                with placed(dockerfile, one):
                    _advance(step)
        ends[stage.index] = scene


def _begin(
    stage: Stage,
    found: tuple[Stage, ...],
    ends: Mapping[int, Scene],
    above: Mapping[str, str],
    around: Around,
) -> tuple[Scene, list[Instruction]]:
    """The scene right after a FROM, and the triggers that come with it."""
    name = expand(stage.base, above, stage.from_.escape)
    parent = parent_of(stage, found, name, around)
    if parent is not None:
        end = ends[parent.index]
        kept = [one.onbuild for one in parent.instructions if one.onbuild is not None]
        scene = msgspec.structs.replace(
            end,
            stage=stage,
            base=name,
            image=None,
            env=_over(end.env, end.exported),
            args=set(end.args),
            exported=dict(end.exported),
            last={},
        )
        return scene, [_moved(one, stage) for one in kept]
    scratch = name == "scratch" and name not in around.contexts
    image = BaseImage() if scratch else around.base(name, from_platform(stage, above, around))
    if image is None:
        return Scene(stage, name, None, {}, set(), {}, known=False), []
    triggers = [one for text in image.triggers for one in _parsed(text)]
    env = {"PATH": DEFAULT_PATH, **image.env}
    scene = Scene(stage, name, image, dict(env), set(), env, shell=image.shell)
    return scene, [_moved(one, stage) for one in triggers]


def _over(env: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Both; what is in `more` counts, and stands behind the others, as what was set last."""
    return {**{name: env[name] for name in env if name not in more}, **more}


def from_platform(stage: Stage, above: Mapping[str, str], around: Around) -> Platform | None:
    """What a stage's base is chosen for."""
    if not stage.platform:
        return around.platform
    text = expand(stage.platform, above, stage.from_.escape)
    if not text:
        raise DockerfileError(f"empty platform value from expression {stage.platform}", "give one")
    return parse_platform(text)


def _parsed(trigger: str) -> tuple[Instruction, ...]:
    return parse_dockerfile(f"FROM scratch\n{trigger}\n".encode(), "ONBUILD").instructions[1:]


def _moved(trigger: Instruction, stage: Stage) -> Instruction:
    first, last = stage.from_.first_line, stage.from_.last_line
    return msgspec.structs.replace(trigger, first_line=first, last_line=last)


def _single(instruction: Instruction) -> list[Instruction]:
    if instruction.keyword != "ARG":
        return [instruction]
    return [msgspec.structs.replace(instruction, arguments=(one,)) for one in instruction.arguments]


def _advance(step: Step) -> None:
    """Change the scene as the instruction does; every word is expanded, for its mistakes."""
    scene, one = step.scene, step.instruction
    words = [step.expand(text) for text in step.words()]
    for text in _bodies(one):
        expand_raw(text, scene.env)
    for mount in _mounts(one):
        parse_mount(mount, step.expand)
    step.around.judge(step)
    if one.keyword == "ENV":
        for name, value in zip(words[::2], words[1::2], strict=True):
            _set(scene.env, name, value)
            _set(scene.exported, name, value)
    elif one.keyword == "ARG":
        _declare(step, words[0] if words else None)
    elif one.keyword == "SHELL":
        scene.shell = True
    elif one.keyword == "WORKDIR":
        scene.workdir = True
    scene.last[one.keyword] = one


def _declare(step: Step, default: str | None) -> None:
    name, _ = parse_args(step.instruction)[0]
    step.scene.args.add(name)
    given = step.around.build_args
    value = given.get(name, default)
    if value is None:
        value = step.above.get(name)
    if value is not None and name not in _NEVER_IN_ENVIRONMENT:
        _set(step.scene.env, name, value)


def _set(env: dict[str, str], name: str, value: str) -> None:
    """Set a name, which then stands last."""
    env.pop(name, None)
    env[name] = value
