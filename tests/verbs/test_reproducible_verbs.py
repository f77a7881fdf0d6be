"""The rules on noise in the verbs that build: rebuild and lock."""

from __future__ import annotations

from collections.abc import Callable

from oakum.builder import BuildRequest
from oakum.oci import parse_reference
from oakum.verbs import list_files, lock
from support.lab import Lab
from verbs.conftest import Project
from verbs.test_raise_a_pin import fix, statuses

Outdated = Callable[..., str]


def log_sizes(lab: Lab, name: str) -> dict[str, int]:
    found = list_files(lab.store, str(parse_reference(name)), "/var/log", recursive=True)
    return {file.path: file.size for file in found if file.type == "file"}


def test_a_rebuild_keeps_to_the_rules_and_knows_the_image_again(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(
        f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1\nRUN echo > /last\n"
    )
    project.build(reproducible=True)
    assert log_sizes(lab, f"{project.tag}:1.0")["/var/log/dpkg.log"] == 0
    fix(lab, name)
    rebuilt = project.rebuild(reproducible=True)
    assert rebuilt.outcome == "done" and rebuilt.old_digest
    assert statuses(rebuilt) == ["ran", "ran"]
    assert rebuilt.proof is not None and rebuilt.proof.passed
    assert log_sizes(lab, f"{project.tag}:1.0.1")["/var/log/dpkg.log"] == 0


def test_a_lock_of_a_reproducible_build_runs_nothing_again(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\n")
    built = project.build(reproducible=True)
    seen = []
    lock(
        lab.store, BuildRequest(project.place, reproducible=True), progress=lambda e: seen.append(e)
    )
    assert [event for event in seen if event.kind == "log"] == [], "a step ran"
    kept = project.build(reproducible=True)
    assert kept.image.manifest.digest == built.image.manifest.digest  # type: ignore[attr-defined]
