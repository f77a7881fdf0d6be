"""Which stages a stage is made of: its base, and those that it copies or mounts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from oakum.builder.location import located
from oakum.dockerfile import Instruction, Stage, expand, find_stage, mount_source
from oakum.errors import DockerfileError, OakumError, UsageError


class StageGraph:
    """The stages of a Dockerfile and what they refer to."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        base_name: Callable[[Stage], str],
        contexts: Mapping[str, str],
        file: str,
    ) -> None:
        self._file = file
        self._stages = stages
        self._base_name = base_name
        self._contexts = contexts

    def target(self, wanted: str | None) -> Stage:
        """The stage of that name or number; the last one for None."""
        if not self._stages:
            raise DockerfileError(f"{self._file} has no FROM", "begin it with FROM")
        if wanted is None:
            return self._stages[-1]
        found = find_stage(self._stages, wanted)
        if found is None:
            names = ", ".join(stage.name for stage in self._stages if stage.name)
            raise UsageError(
                f"there is no stage {wanted!r} in {self._file}",
                f"its named stages are: {names or 'none'}",
            )
        return found

    def needed(self, target: Stage) -> set[int]:
        """The indexes of the stages that `target` is made of, its own among them."""
        needed: set[int] = set()
        todo = [target]
        while todo:
            stage = todo.pop()
            if stage.index not in needed:
                needed.add(stage.index)
                todo += self.needs(stage)
        return needed

    def base(self, stage: Stage) -> Stage | None:
        """The stage that `stage` starts from; None when it starts from an image.

        A name after FROM is that of an earlier stage only as it is spelled in small letters.
        """
        name = self._base_name(stage)
        if name in self._contexts:
            return None
        return next((s for s in reversed(self._stages[: stage.index]) if s.name == name), None)

    def source(self, stage: Stage, name: str) -> Stage | None:
        """The stage that `stage` copies or mounts from by name (any case) or number.

        None when `name` is an image or a build context.  Raises `DockerfileError` for a number
        that no stage has, and for a stage that does not stand before.
        """
        if name in self._contexts:
            return None
        found = find_stage(self._stages, name)
        if found is None and name.isdecimal():
            raise DockerfileError(
                f"invalid stage index {name}",
                f"the stages are numbered from 0 to {len(self._stages) - 1}",
            )
        if found is not None and found.index >= stage.index:
            raise DockerfileError(
                f"cannot copy from stage {name!r}, which does not stand before",
                "move the stage up",
            )
        return found

    def needs(self, stage: Stage) -> list[Stage]:
        """The stages that `stage` needs, as far as its own lines say."""
        base = self.base(stage)
        found = [base] if base is not None else []
        for instruction in stage.instructions:
            try:
                others = [self.source(stage, name) for name in self._references(instruction)]
            except DockerfileError as error:
                raise located(error, self._file, instruction) from error
            found += [other for other in others if other is not None]
        return found

    def _references(self, instruction: Instruction) -> list[str]:
        try:
            return references(instruction)
        except DockerfileError as error:
            raise located(error, self._file, instruction) from error

    def check(self) -> None:
        """`DockerfileError` for stages that need themselves."""
        done: set[int] = set()
        for start in self._stages:
            path: dict[int, Iterator[Stage]] = {}
            self._enter(start, path, done)
            while path:
                index, others = next(reversed(path.items()))
                other = next(others, None)
                if other is None:
                    del path[index]
                elif other.index in path:
                    circle = list(path)[list(path).index(other.index) :]
                    raise self._circular(self._stages[min(circle)])
                else:
                    self._enter(other, path, done)

    def _enter(self, stage: Stage, path: dict[int, Iterator[Stage]], done: set[int]) -> None:
        """Put the stage and what it may lead to on the path, the first time."""
        if stage.index in done:
            return
        done.add(stage.index)
        names = [name for i in stage.instructions for name in self._references(i)]
        others = [find_stage(self._stages, n) for n in names if n not in self._contexts]
        path[stage.index] = iter([o for o in (*others, self.base(stage)) if o is not None])

    def _circular(self, stage: Stage) -> OakumError:
        circle = DockerfileError(
            f"circular dependency of stage {stage.name or stage.index}",
            "let it not copy from itself, nor from a stage that copies from it",
        )
        return located(circle, self._file, stage.from_)


def references(instruction: Instruction) -> list[str]:
    """Names that may be stages: of ``COPY --from`` and ``RUN --mount=from``.

    Raises `DockerfileError` where the name of COPY is not plain.
    """
    if instruction.keyword == "COPY":
        name = instruction.flag("from") or ""
        if name and expand(name, {}, instruction.escape) != name:
            raise DockerfileError(
                f"COPY --from={name[:80]} does not take variables",
                "make a stage with FROM and an ARG before it, and copy from that stage",
            )
        return [name] if name else []
    if instruction.keyword != "RUN":
        return []
    mounts = [f.value or "" for f in instruction.flags if f.name == "mount"]
    return [name for mount in mounts if (name := mount_source(mount))]
