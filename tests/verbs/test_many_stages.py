"""The second workflow: a fix reaches the stages that need it and no other."""

from __future__ import annotations

from collections.abc import Callable

from support.lab import Lab
from verbs.conftest import Project
from verbs.test_raise_a_pin import fix

Outdated = Callable[..., str]


def write(project: Project, tool: str, dependency: str) -> None:
    project.write(
        "FROM BASE AS builder\n"
        f"ARG TOOL=1.0-1\nRUN apt-get update && apt-get install -y {tool}=$TOOL\n"
        "COPY ./app-source /src\n"
        "RUN mkdir /out && cp /src /out/app\n"
        "FROM BASE\n"
        f"RUN apt-get update && apt-get install -y {dependency}=1.0-1\n"
        "COPY --from=builder /out /app\n"
        'CMD ["/app/app"]\n',
        **{"app-source": "one"},
    )


def status(built: object, stage: str) -> list[str]:
    return [
        step.status
        for step in built.steps  # type: ignore[attr-defined]
        if step.stage == stage and step.status != "config"
    ]


def test_a_fix_of_the_final_stage_leaves_the_builder(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    tool, dependency = outdated("1.0-1"), outdated("1.0-1")
    write(project, tool, dependency)
    project.build()
    fix(lab, dependency)
    rebuilt = project.rebuild()
    assert status(rebuilt, "builder") == ["cached", "cached", "cached"]
    assert all(s.seconds < 1 for s in rebuilt.steps if s.stage == "builder")
    assert status(rebuilt, "1") == ["ran", "cached"]
    assert [f.package for f in rebuilt.fixed] == [dependency]


def test_a_fix_of_the_tool_runs_the_builder_again_and_the_copy_only_if_it_differs(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    tool, dependency = outdated("1.0-1"), outdated("1.0-1")
    write(project, tool, dependency)
    project.build()
    fix(lab, tool)
    rebuilt = project.rebuild()
    assert "ARG TOOL=1.0-2\n" in project.dockerfile.read_text()
    assert status(rebuilt, "builder") == ["ran", "cached", "ran"]
    assert status(rebuilt, "1") == ["cached", "cached"]


def test_a_change_of_the_source_runs_what_follows_it(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    tool, dependency = outdated("1.0-1"), outdated("1.0-1")
    write(project, tool, dependency)
    project.build()
    (project.place / "app-source").write_text("two")
    built = project.build("2")
    assert status(built, "builder") == ["cached", "ran", "ran"]
    assert status(built, "1") == ["cached", "ran"]


def test_what_the_target_does_not_need_is_not_built(lab: Lab, project: Project) -> None:
    project.write(
        "FROM BASE AS broken\nRUN false\nFROM BASE AS first\nRUN true\nFROM first\nRUN true\n"
    )
    assert {step.stage for step in project.build().steps} == {"first", "2"}  # type: ignore[attr-defined]


def test_stages_run_side_by_side(lab: Lab, project: Project) -> None:
    """Each waits for the other through a shared mount: one after the other would never end."""
    wait = "for i in $(seq 300); do [ -e /m/%s ] && exit 0; sleep 0.1; done; exit 1"
    project.write(
        f"FROM BASE AS a\nRUN --mount=type=cache,target=/m,id={project.place.name} "
        f"touch /m/a; {wait % 'b'}\n"
        f"FROM BASE AS b\nRUN --mount=type=cache,target=/m,id={project.place.name} "
        f"touch /m/b; {wait % 'a'}\n"
        "FROM BASE\nCOPY --from=a /etc/hostname /a\nCOPY --from=b /etc/hostname /b\n"
    )
    assert status(project.build(), "a") == ["ran"]
