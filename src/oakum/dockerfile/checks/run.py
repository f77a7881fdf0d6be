"""Runs the rules over a Dockerfile, in the order in which BuildKit comes to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oakum.dockerfile.checks.file_rules import FILE_RULES
from oakum.dockerfile.checks.from_rules import FROM_RULES
from oakum.dockerfile.checks.interface import (
    Checked,
    CheckWarning,
    Found,
    FromLine,
    Rule,
    Sheet,
    Subject,
)
from oakum.dockerfile.checks.options import CheckOptions, parse_check_options
from oakum.dockerfile.checks.step_rules import STEP_RULES
from oakum.dockerfile.comments import comments_above
from oakum.dockerfile.expand import expand
from oakum.dockerfile.instruction import Dockerfile, mistake
from oakum.dockerfile.scene import (
    Around,
    from_platform,
    global_args,
    placed,
    walk,
)
from oakum.dockerfile.stages import stages
from oakum.errors import DockerfileError, OakumError

OVERRIDE = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that stands in for the directive."""


def check_options(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> CheckOptions:
    """What the build argument says, or else the directive; `DockerfileError` for a wrong one."""
    if OVERRIDE in build_args:
        return parse_check_options(build_args[OVERRIDE])
    # Behind a space stands a comment, as with BuildKit.
    given = dockerfile.directives.get("check", "").partition(" ")[0]
    try:
        return parse_check_options(given)
    except DockerfileError as error:
        number = [*dockerfile.directives].index("check") + 1
        raise mistake(dockerfile.name, dockerfile.raw, number, error.what, error.todo) from error


def check_dockerfile(dockerfile: Dockerfile, around: Around) -> Checked:
    """What the rules find; each stage's instructions are looked at with what is set there.

    Raises `DockerfileError` for options of the checks that make no sense.
    """
    options = check_options(dockerfile, around.build_args)
    above, found = stages(dockerfile)
    sheet = Sheet(dockerfile, above, found, comments_above(dockerfile), around)
    run = _Run(sheet, options)
    error: OakumError | None = None
    try:
        run.file()
        run.from_lines()
        run.steps()
    except OakumError as stopped:
        error = stopped
    # BuildKit's order within a line is that in which it comes to the rules.
    warnings = sorted(run.warnings, key=lambda one: one.line)
    return Checked(tuple(warnings), error, options.error)


class _Run:
    """The rules while they run."""

    def __init__(self, sheet: Sheet, options: CheckOptions) -> None:
        self._sheet = sheet
        self._options = options
        self.warnings: list[CheckWarning] = []

    def _apply(
        self, rules: Iterable[Rule[Subject]], subject: Subject, comments: tuple[str, ...] = ()
    ) -> None:
        for rule in rules:
            for one in rule.find(subject):
                options = self._options.beside(comments or one.comments)
                if options.runs(rule.name, rule.experimental):
                    self._add(rule.name, rule.url, one)

    def _add(self, name: str, url: str, one: Found) -> None:
        self.warnings.append(CheckWarning(name, one.message, one.first, one.last, url))

    def file(self) -> None:
        self._apply(FILE_RULES, self._sheet)

    def from_lines(self) -> None:
        """Every FROM, whatever is built."""
        sheet = self._sheet
        given = sheet.around.build_args
        values = global_args(sheet.dockerfile, sheet.around, given)
        for stage in sheet.stages:
            self._apply(FROM_RULES, FromLine(sheet, stage, values))
            with placed(sheet.dockerfile, stage.from_):
                name = expand(stage.base, values, stage.from_.escape)
                if not name:
                    raise DockerfileError(
                        f"base name ({stage.base}) should not be blank",
                        "give the ARG before FROM a default, or pass --build-arg",
                    )
                from_platform(stage, values, sheet.around)

    def steps(self) -> None:
        """Every instruction of the wanted stages."""
        sheet = self._sheet
        for step in walk(sheet.dockerfile, sheet.around):
            first = step.instruction.first_line
            # What stands at a FROM is the image's doing; its comments do not speak of that.
            at_from = first == step.scene.stage.from_.first_line
            comments = () if at_from else sheet.comments.get(first, ())
            with placed(sheet.dockerfile, step.instruction):
                self._apply(STEP_RULES, step, comments)
