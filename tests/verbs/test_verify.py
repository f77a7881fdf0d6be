"""What a proof finds: missing fixes, broken databases, changed files, paths nobody explains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oakum.verbs import Proof, verify
from support.lab import Lab
from verbs.conftest import FRESH, Project
from verbs.test_raise_a_pin import fix

Outdated = Callable[..., str]


@pytest.fixture
def name(project: Project, outdated: Outdated) -> str:
    """A package that is installed in the project's image 1.0."""
    name = outdated("1.0-1")
    project.write(
        f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1\nCOPY app /app\n",
        app="one",
    )
    project.build()
    return name


def on_top(project: Project, *lines: str, base: str = "1.0", tag: str = "odd") -> str:
    """An image with further layers, as somebody may have made it by hand."""
    project.write("\n".join([f"FROM {project.tag}:{base}", *lines]) + "\n", app="two")
    project.build(tag)
    return f"{project.tag}:{tag}"


def proof(lab: Lab, image: str, **more: object) -> Proof:
    return verify(lab.store, image, repositories=FRESH, **more)  # type: ignore[arg-type]


def problems(found: Proof) -> list[tuple[str, str]]:
    return [(p.check, p.subject) for p in found.problems]


def test_a_rebuilt_image_passes_against_the_old_one(lab: Lab, project: Project, name: str) -> None:
    fix(lab, name)
    project.rebuild()
    found = proof(lab, f"{project.tag}:1.0.1", against=f"{project.tag}:1.0")
    assert found.passed, found.problems
    assert found.explained["package"] > 0 and found.paths_changed > 0


def test_a_pending_fix_is_a_failure_unless_it_is_allowed(
    lab: Lab, project: Project, name: str
) -> None:
    fix(lab, name)
    image = f"{project.tag}:1.0"
    assert problems(proof(lab, image)) == [("fix", name)]
    assert proof(lab, image, pending=False).passed


def test_a_file_that_no_package_and_no_step_brought_is_a_failure(
    lab: Lab, project: Project, name: str
) -> None:
    image = on_top(project, "COPY app /usr/bin/backdoor")
    found = proof(lab, image, against=f"{project.tag}:1.0")
    assert problems(found) == [("paths", "/usr/bin/backdoor")]


def test_a_file_that_was_taken_away_by_no_step_is_a_failure(
    lab: Lab, project: Project, name: str
) -> None:
    image = on_top(project, "RUN rm /usr/bin/perl5* /app")
    found = proof(lab, image, against=f"{project.tag}:1.0")
    assert ("paths", "/app") in problems(found)


def test_a_step_that_ran_again_explains_what_it_wrote(
    lab: Lab, project: Project, name: str
) -> None:
    project.place.joinpath("app").write_text("changed")
    project.build("1.1")
    found = proof(lab, f"{project.tag}:1.1", against=f"{project.tag}:1.0")
    assert found.passed and found.explained == {"package": 0, "step": 1, "derived": 0}


def test_a_packages_file_that_was_changed_is_a_failure(
    lab: Lab, project: Project, name: str
) -> None:
    image = on_top(project, f"COPY app /usr/bin/{name}")
    assert ("files", f"/usr/bin/{name}") in problems(proof(lab, image))
    against = proof(lab, image, against=image)
    assert against.passed, "what was wrong before is not this change's doing"


def test_a_package_that_is_half_configured_is_a_failure(
    lab: Lab, project: Project, name: str
) -> None:
    edit = f"/Package: {name}/,/^$/s/install ok installed/install ok half-configured/"
    image = on_top(project, f"RUN sed -i '{edit}' /var/lib/dpkg/status")
    [(check, subject)] = problems(proof(lab, image))
    assert check == "database" and subject.startswith(name)


def test_the_smoke_command_runs_as_the_image_would_and_writes_nothing(
    lab: Lab, project: Project, name: str
) -> None:
    image = f"{project.tag}:1.0"
    assert proof(lab, image, command=f"{name} | grep 1.0-1 && touch /x").passed
    failed = proof(lab, image, command="echo no luck; exit 3")
    assert problems(failed) == [("command", "echo no luck; exit 3")]
    assert "no luck" in failed.problems[0].detail
