"""What the build checks need of a build: its arguments, its images, its ignored files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from oakum.builder.bases import find_base
from oakum.builder.ignore import context_ignore
from oakum.builder.images import Images
from oakum.builder.instructions import CONFIG_INSTRUCTIONS
from oakum.builder.modes import parse_mode
from oakum.builder.request import BuildRequest
from oakum.builder.stage_builder import platform_args
from oakum.builder.stage_graph import StageGraph
from oakum.builder.state import StageState
from oakum.dockerfile import (
    Around,
    BaseImage,
    Checked,
    Dockerfile,
    Stage,
    Step,
    check_dockerfile,
    expand,
    global_args,
    stages,
)
from oakum.errors import DockerfileError, OakumError
from oakum.oci import Config, Platform, host_platform

Base = Callable[[str, Platform | None], BaseImage | None]
_JUDGED = ("EXPOSE", "STOPSIGNAL", "VOLUME", "HEALTHCHECK")
_NO_NAME_OF_A_FILE = "no file is called so"


def check_before(request: BuildRequest, dockerfile: Dockerfile, images: Images) -> Checked:
    """What the checks find before anything is built; the bases are looked up.

    All stages are checked where no target is named.
    """
    try:
        outside = around(request, dockerfile, finding(images, request))
        graph = graph_of(request, dockerfile, outside)
        graph.check()
        for stage in stages(dockerfile)[1]:
            graph.needs(stage)
        return check_dockerfile(dockerfile, outside)
    except OakumError as error:
        # No stage can be walked through, but the file and its FROMs can be looked at.
        outside = msgspec.structs.replace(_outside(request, _unknown), wanted=frozenset())
        checked = check_dockerfile(dockerfile, outside)
        return msgspec.structs.replace(checked, error=checked.error or error)


def _unknown(name: str, platform: Platform | None) -> BaseImage | None:
    return None


def check_after(
    request: BuildRequest, dockerfile: Dockerfile, found: Mapping[tuple[str, Platform], Config]
) -> Checked:
    """What the checks find in the stages that were built, from images that were `found`."""

    def known(name: str, platform: Platform | None) -> BaseImage | None:
        place = request.contexts.get(name, name)
        config = found.get((place, platform or request.platform))
        return None if config is None else _described(config)

    return check_dockerfile(dockerfile, around(request, dockerfile, known, default_target=True))


def enforce(request: BuildRequest, dockerfile: Dockerfile, images: Images) -> None:
    """`DockerfileError` where a check fires in what is to be built."""
    asked = around(request, dockerfile, finding(images, request), default_target=True)
    warnings = check_dockerfile(dockerfile, asked).warnings
    if warnings:
        shown = "; ".join(f"line {one.line}, {one.rule}: {one.message}" for one in warnings[:4])
        more = f" and {len(warnings) - 4} more" if len(warnings) > 4 else ""
        raise DockerfileError(
            f"{dockerfile.name}: build checks fired, and error=true is set: {shown}{more}",
            "'oakum build --check' shows them; '# check=skip=RULE' leaves one out",
        )


def around(
    request: BuildRequest, dockerfile: Dockerfile, base: Base, *, default_target: bool = False
) -> Around:
    """What stands outside the Dockerfile; by default all its stages are wanted."""
    made = _outside(request, base)
    if request.target is None and not default_target:
        return made
    graph = graph_of(request, dockerfile, made)
    wanted = frozenset(graph.needed(graph.target(request.target)))
    return msgspec.structs.replace(made, wanted=wanted)


def _outside(request: BuildRequest, base: Base) -> Around:
    return Around(
        build_args=request.build_args,
        automatic=platform_args(request.platform, request.target),
        platform=request.platform,
        contexts=frozenset(request.contexts),
        base=base,
        ignored=_ignored(request),
        judge=_judge,
    )


def _judge(step: Step) -> None:
    """Let an instruction whose words a build may refuse change a state that nobody needs."""
    one = step.instruction
    if one.keyword in _JUDGED:
        state = StageState(step.around.platform or host_platform())
        try:
            CONFIG_INSTRUCTIONS[one.keyword](state, one, step.expand)
        except DockerfileError as error:
            # Its place is told around this.
            what = error.what.removeprefix(f"line {one.first_line}: ")
            raise error.reworded(what.removesuffix(f": {one.original}")) from error
    elif one.keyword in ("COPY", "ADD") and (mode := step.expand(one.flag("chmod") or "")):
        parse_mode(mode)


def graph_of(request: BuildRequest, dockerfile: Dockerfile, outside: Around) -> StageGraph:
    """The stages and what they refer to."""
    values = global_args(dockerfile, outside, request.build_args)

    def base_name(stage: Stage) -> str:
        return expand(stage.base, values, dockerfile.escape)

    return StageGraph(stages(dockerfile)[1], base_name, request.contexts, dockerfile.name)


def finding(images: Images, request: BuildRequest, *, must: bool = True) -> Base:
    """Looks bases up as a build does; one that is not found is unknown, or an error if it must."""

    def find(name: str, platform: Platform | None) -> BaseImage | None:
        place = request.contexts.get(name, name)
        try:
            found = find_base(images, request, place, platform or request.platform)
        except OakumError:
            if must:
                raise
            return None
        return _described(found.image.config)

    return find


def _described(config: Config) -> BaseImage:
    pairs = [str(pair).partition("=") for pair in config.runtime.get("Env") or []]
    return BaseImage(
        env={name: value for name, _, value in pairs},
        shell=bool(config.runtime.get("Shell")),
        triggers=tuple(str(text) for text in config.runtime.get("OnBuild") or []),
        # An image without a layer runs nowhere, and is taken wherever it is from.
        platform=config.platform if config.diff_ids else None,
    )


def _ignored(request: BuildRequest) -> Callable[[str], bool] | None:
    """What .dockerignore leaves out, where no exception to it makes that hard to say."""
    if request.context is None:
        return None
    ignore = context_ignore(request.context, request.beside, applies=request.ignores)
    if not ignore or ignore.has_exceptions:
        return None

    def ignored(path: str) -> bool:
        # The context itself is left out only where everything in it is.
        return ignore.ignores(_NO_NAME_OF_A_FILE if path in (".", "/") else path)

    return ignored
