"""What no line pins: the lock says which versions a step installs, and when it runs again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, read_lock
from oakum.errors import LockError
from oakum.oci import parse_reference
from oakum.store import Store
from oakum.verbs import RebuildRequest, Rebuilt, bump, lock, rebuild
from support.lab import Lab
from verbs.conftest import FRESH, Project
from verbs.test_raise_a_pin import fix, statuses

Outdated = Callable[..., str]


def locked(project: Project) -> dict[str, str]:
    found = read_lock(project.place / "oakum.lock")
    assert found is not None
    return {name: v for step in found.steps for name, v in step.packages.items()}


def test_an_unpinned_install_runs_again_with_the_newer_version(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    text = f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\nCOPY app /app\n"
    project.write(text, app="x")
    project.build()
    fix(lab, name)
    rebuilt = project.rebuild()
    assert project.dockerfile.read_text() == text.replace("BASE", lab.base)
    assert locked(project)[f"{name}:amd64"] == "1.0-2"
    assert [c.kind for c in rebuilt.plan.changes] == ["lock"]
    assert statuses(rebuilt) == ["ran", "cached"]
    again = project.rebuild()
    assert again.outcome == "nothing-to-do"
    assert statuses(again) == ["cached", "cached"]


def test_a_lock_is_honoured_while_the_archive_has_more(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\n")
    request = BuildRequest(project.place)
    made = lock(lab.store, request)
    assert made.outcome == "done"
    assert locked(project)[f"{name}:amd64"] == "1.0-1"
    fix(lab, name)
    held = project.build(lock=read_lock(project.place / "oakum.lock"), no_cache=True)
    files = lab_files(lab, held)
    assert b"1.0-1" in files.read(f"usr/bin/{name}")
    assert files.read("dev/.oakum/preferences") is None
    assert files.list("dev/.oakum") == []
    free = project.build(no_cache=True)
    assert b"1.0-2" in lab_files(lab, free).read(f"usr/bin/{name}")


def lab_files(lab: Lab, built: object) -> object:
    from oakum.layer import index_blob
    from oakum.tree import ImageTree

    layers = built.image.layers  # type: ignore[attr-defined]
    indexes = [index_blob(lab.store, x.descriptor, x.diff_id) for x in layers]
    return ImageTree(lab.store, indexes, [x.descriptor for x in layers])


def test_locked_fails_when_the_lock_is_out_of_date(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name, other = outdated("1.0-1"), outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\n")
    lock(lab.store, BuildRequest(project.place))
    held = read_lock(project.place / "oakum.lock")
    project.build(lock=held, locked=True)
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name} {other}\n")
    before = lab.store.names.get(parse_reference(f"{project.tag}:1.0"))
    with pytest.raises(LockError):
        project.build(lock=held, locked=True)
    assert lab.store.names.get(parse_reference(f"{project.tag}:1.0")) == before


def test_an_upgrade_step_runs_again_exactly_when_something_has_a_newer_version(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    base = lab.make_base(f"{name}:1", f"RUN apt-get update && apt-get install -y {name}")
    project.write(f"FROM {base}\nRUN apt-get update && apt-get -y upgrade\nRUN true\n")
    project.build()
    assert project.rebuild().outcome == "nothing-to-do"
    fix(lab, name)
    rebuilt = project.rebuild()
    assert [(c.kind, c.package, c.new) for c in rebuilt.plan.changes] == [
        ("upgrade", name, "1.0-2")
    ]
    assert statuses(rebuilt) == ["ran", "ran"]
    assert "oakum: fixes" not in project.dockerfile.read_text()
    again = project.rebuild()
    assert again.outcome == "nothing-to-do"
    assert statuses(again) == ["cached", "cached"]


def test_bump_writes_nothing_and_says_what_it_would(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1\n")
    fix(lab, name)
    before = project.dockerfile.read_bytes()
    bumped = bump(lab.store, BuildRequest(project.place), repositories=FRESH)
    assert bumped.text == before.replace(b"1.0-1", b"1.0-2")
    assert project.dockerfile.read_bytes() == before


def test_a_lock_that_must_hold_is_checked_before_anything_is_changed(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name, other = outdated("1.0-1"), outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\n")
    lock(lab.store, BuildRequest(project.place))
    fix(lab, name)
    held = read_lock(project.place / "oakum.lock")
    assert project.rebuild(lock=held, locked=True).outcome == "done"
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name} {other}\n")
    before = (project.place / "oakum.lock").read_bytes()
    with pytest.raises(LockError, match="out of date"):
        project.rebuild(lock=read_lock(project.place / "oakum.lock"), locked=True)
    assert (project.place / "oakum.lock").read_bytes() == before


def test_a_lock_follows_its_steps_when_pins_are_raised_and_a_block_goes_in(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    inherited, pinned, free = outdated("1.0-1"), outdated("1.0-1"), outdated("1.0-1")
    update = "apt-get update && apt-get install -y"
    base = lab.make_base(f"{inherited}:1", f"RUN {update} {inherited}")
    project.write(f"FROM {base}\nRUN {update} {pinned}=1.0-1 {free}\nRUN true\n")
    lock(lab.store, BuildRequest(project.place))
    for name in (inherited, pinned, free):
        fix(lab, name)
    held = read_lock(project.place / "oakum.lock")
    rebuilt = project.rebuild(lock=held)
    assert rebuilt.outcome == "done"
    assert sorted(c.kind for c in rebuilt.plan.changes) == ["block", "lock", "pin"]
    made = read_lock(project.place / "oakum.lock")
    assert made is not None
    by_run = {step.run: dict(step.packages) for step in made.steps}
    assert by_run[1] == {f"{inherited}:amd64": "1.0-2"}
    assert by_run[2] == {f"{pinned}:amd64": "1.0-2", f"{free}:amd64": "1.0-2"}
    project.build(lock=made, locked=True)
    assert project.rebuild(lock=made).outcome == "nothing-to-do"


def test_an_edited_step_keeps_the_locked_versions_of_what_it_still_installs(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name, other = outdated("1.0-1"), outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name} {other}\n")
    lock(lab.store, BuildRequest(project.place))
    fix(lab, name)
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y --no-upgrade {name}\n")
    built = project.build(lock=read_lock(project.place / "oakum.lock"))
    assert b"1.0-1" in lab_files(lab, built).read(f"usr/bin/{name}")


def test_a_glob_that_takes_the_fix_is_raised_through_the_lock(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    text = f"FROM BASE\nRUN apt-get update && apt-get install -y '{name}=1.0*'\n"
    project.write(text)
    project.build()
    assert project.rebuild().outcome == "nothing-to-do"
    fix(lab, name)
    rebuilt = project.rebuild()
    assert project.dockerfile.read_text() == text.replace("BASE", lab.base)
    assert [(c.kind, c.new) for c in rebuilt.plan.changes] == [("lock", "1.0-2")]
    assert project.rebuild().outcome == "nothing-to-do"


def on_another_machine(project: Project, place: Path) -> Rebuilt:
    """A rebuild where nothing of the project was ever built, as in a fresh CI job."""
    request = RebuildRequest(BuildRequest(project.place), repositories=FRESH, write=True)
    with Store(place) as store:
        return rebuild(store, request)


def test_a_machine_that_never_built_the_image_raises_what_the_lock_has(
    lab: Lab, project: Project, outdated: Outdated, tmp_path: Path
) -> None:
    name, kept = outdated("1.0-1"), outdated("1.0-1")
    project.write(f"FROM BASE\nRUN true\nRUN apt-get update && apt-get install -y {name} {kept}\n")
    lock(lab.store, BuildRequest(project.place))
    fix(lab, name)
    rebuilt = on_another_machine(project, tmp_path / "fresh")
    assert rebuilt.outcome == "done"
    [change] = rebuilt.plan.changes
    assert (change.kind, change.package, change.new, change.line) == ("lock", name, "1.0-2", 3)
    assert rebuilt.fixed[0].advisories == ("CVE-2031-0001",)
    assert locked(project)[f"{name}:amd64"] == "1.0-2"
    assert locked(project)[f"{kept}:amd64"] == "1.0-1"
    assert on_another_machine(project, tmp_path / "fresh").outcome == "nothing-to-do"


def test_an_upgrade_step_is_raised_there_as_well(
    lab: Lab, project: Project, outdated: Outdated, tmp_path: Path
) -> None:
    name = outdated("1.0-1")
    base = lab.make_base(f"{name}:1", f"RUN apt-get update && apt-get install -y {name}")
    fix(lab, name)
    project.write(f"FROM {base}\nRUN apt-get update && apt-get -y upgrade\n")
    lock(lab.store, BuildRequest(project.place))
    assert locked(project)[f"{name}:amd64"] == "1.0-2"
    fix(lab, name, "1.0-3")
    rebuilt = on_another_machine(project, tmp_path / "fresh")
    assert [(c.kind, c.new) for c in rebuilt.plan.changes] == [("upgrade", "1.0-3")]
    assert locked(project)[f"{name}:amd64"] == "1.0-3"
