"""Rules that look at the file alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oakum.dockerfile.checks.interface import Found, Rule, Sheet, quoted, written
from oakum.dockerfile.expand import expand
from oakum.dockerfile.lines import BOM
from oakum.dockerfile.pairs import parse_args
from oakum.dockerfile.scene import global_args
from oakum.errors import DockerfileError, InvalidReference
from oakum.oci import parse_reference

_RESERVED = ("context", "scratch")


def _empty_continuation(sheet: Sheet) -> Iterator[Found]:
    """Told at the last line of what was continued, heredocs not counted, as Moby's parser does."""
    lines = sheet.dockerfile.raw.removeprefix(BOM).split(b"\n")
    for instruction in sheet.dockerfile.instructions:
        last = instruction.last_line
        for heredoc in instruction.heredocs:
            last -= heredoc.content.count("\n") + 1
        if any(not line.strip() for line in lines[instruction.first_line - 1 : last]):
            yield Found("Empty continuation line", last, last)


def _instruction_casing(sheet: Sheet) -> Iterator[Found]:
    ours = [one for stage in sheet.stages for one in (stage.from_, *stage.instructions)]
    names = [written(one) for one in ours]
    lower = sum(name == name.lower() for name in names)
    upper = sum(name == name.upper() for name in names)
    style, right = ("lowercase", str.lower) if lower > upper else ("uppercase", str.upper)
    for one, name in zip(ours, names, strict=True):
        if name != right(name):
            text = f"Command '{name}' should match the case of the command majority ({style})"
            yield sheet.fixed(one, text)


def _stage_casing(sheet: Sheet) -> Iterator[Found]:
    for stage in sheet.stages:
        name = stage.from_.arguments[-1]
        if stage.name is not None and name != name.lower():
            yield sheet.at(stage.from_, f"Stage name '{name}' should be lowercase")


def _as_casing(sheet: Sheet) -> Iterator[Found]:
    for stage in sheet.stages:
        if stage.name is None:
            continue
        from_, as_ = written(stage.from_), stage.from_.arguments[1]
        known = from_ in (from_.lower(), from_.upper())
        right = as_.lower() if from_ == from_.lower() else as_.upper()
        if known and as_ != right:
            yield sheet.at(stage.from_, f"'{as_}' and '{from_}' keywords' casing do not match")


def _duplicate_stage(sheet: Sheet) -> Iterator[Found]:
    seen: set[str] = set()
    for stage in sheet.stages:
        if stage.name in seen:
            text = f"Duplicate stage name {quoted(stage.name)}, stage names should be unique"
            yield sheet.fixed(stage.from_, text)
        if stage.name is not None:
            seen.add(stage.name)


def _reserved_stage(sheet: Sheet) -> Iterator[Found]:
    for stage in sheet.stages:
        if stage.name in _RESERVED:
            text = "Stage name should not use the same name as reserved stage"
            yield sheet.fixed(stage.from_, f"{text} {quoted(stage.name)}")


def _maintainer(sheet: Sheet) -> Iterator[Found]:
    for one in sheet.dockerfile.instructions:
        if one.keyword == "MAINTAINER":
            yield sheet.at(one, "Maintainer instruction is deprecated in favor of using label")


def _default_base(sheet: Sheet) -> Iterator[Found]:
    """A base that is no image's name unless somebody passes arguments."""
    try:
        values = global_args(sheet.dockerfile, sheet.around, {})
        names = [expand(s.base, values, sheet.dockerfile.escape) for s in sheet.stages]
    except DockerfileError:
        return
    for stage, name in zip(sheet.stages, names, strict=True):
        try:
            parse_reference(name)
        except InvalidReference:
            text = f"Default value for ARG {stage.base} results in empty or invalid base image name"
            yield sheet.fixed(stage.from_, text)


def _description(sheet: Sheet) -> Iterator[Found]:
    for one in sheet.dockerfile.instructions:
        names = []
        if one.keyword == "ARG":
            names = [name for name, _ in parse_args(one)]
        elif one.keyword == "FROM" and len(one.arguments) == 3:
            names = [one.arguments[2].lower()]
        comments = sheet.comments.get(one.first_line)
        if not comments or not names or re.split(" ", comments[-1])[0] in names:
            continue
        shown = names[0] if len(names) == 1 else "<arg_key>"
        text = f"Comment for {one.keyword} should follow the format: `# {shown} <description>`"
        yield sheet.at(one, text)


FILE_RULES: tuple[Rule[Sheet], ...] = (
    Rule("NoEmptyContinuation", "no-empty-continuation", _empty_continuation),
    Rule("StageNameCasing", "stage-name-casing", _stage_casing),
    Rule("FromAsCasing", "from-as-casing", _as_casing),
    Rule("MaintainerDeprecated", "maintainer-deprecated", _maintainer),
    Rule(
        "InvalidDefinitionDescription",
        "invalid-definition-description",
        _description,
        experimental=True,
    ),
    Rule("ReservedStageName", "reserved-stage-name", _reserved_stage),
    Rule("DuplicateStageName", "duplicate-stage-name", _duplicate_stage),
    Rule("ConsistentInstructionCasing", "consistent-instruction-casing", _instruction_casing),
    Rule("InvalidDefaultArgInFrom", "invalid-default-arg-in-from", _default_base),
)
