"""The first workflow: a pin is raised, the step runs again, the rest is kept."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from oakum.builder import BuildRequest
from oakum.errors import BuildError, PlanMoved, ProofFailed
from oakum.verbs import BumpOptions, Selection, bump, write_bump
from support.lab import Deb, Lab
from verbs.conftest import FRESH, Project

Outdated = Callable[..., str]


def fix(lab: Lab, name: str, version: str = "1.0-2", changes: str = "Fix CVE-2031-0001.") -> None:
    lab.publish(Deb(name, version, changes), suite="stable-security")


def pinned_and_fixed(lab: Lab, project: Project, outdated: Outdated) -> str:
    """A package that the project, which was built, pins and that has a fix since."""
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1\n")
    project.build()
    fix(lab, name)
    return name


def statuses(rebuilt: object) -> list[str]:
    return [step.status for step in rebuilt.steps if step.status != "config"]  # type: ignore[attr-defined]


def test_the_version_changes_and_no_other_byte(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    text = (
        f"FROM BASE\n# keep\t this  \nRUN apt-get update && apt-get install -y {name}=1.0-1\n"
        'COPY app /app\nCMD ["/app"]'
    )
    project.write(text, app="hello")
    project.build()
    before = project.dockerfile.read_bytes()
    fix(lab, name)
    rebuilt = project.rebuild(push=True)
    assert project.dockerfile.read_bytes() == before.replace(b"=1.0-1", b"=1.0-2")
    assert rebuilt.outcome == "done"
    [change] = rebuilt.plan.changes
    assert (change.kind, change.old, change.new, change.line) == ("pin", "1.0-1", "1.0-2", 3)
    [found] = rebuilt.fixed
    assert found.advisories == ("CVE-2031-0001",)
    assert found.security and "stable-security" in found.repository
    assert statuses(rebuilt) == ["ran", "cached"]
    [published] = rebuilt.published
    assert published.bytes_kept + published.bytes_mounted > 10 * published.bytes_sent


def test_the_image_runs_in_other_tools(lab: Lab, project: Project, outdated: Outdated) -> None:
    name = pinned_and_fixed(lab, project, outdated)
    project.rebuild(push=True)
    layout = project.place.parent / "layout"
    source = f"docker://{project.tag}:1.0.1"
    command = ["skopeo", "copy", "-q", "--src-tls-verify=false", source, f"oci:{layout}:x"]
    subprocess.run(command, check=True, capture_output=True)
    bundle = project.place.parent / "bundle"
    command = ["umoci", "unpack", "--image", f"{layout}:x", str(bundle)]
    subprocess.run(command, check=True, capture_output=True)
    program = (bundle / "rootfs/usr/bin" / name).read_text()
    assert "1.0-2" in program


def test_without_write_nothing_changes(lab: Lab, project: Project, outdated: Outdated) -> None:
    name = pinned_and_fixed(lab, project, outdated)
    before = project.dockerfile.read_bytes()
    rebuilt = project.rebuild(write=False)
    assert not rebuilt.applied
    assert f"+RUN apt-get update && apt-get install -y {name}=1.0-2" in rebuilt.plan.diff
    assert project.dockerfile.read_bytes() == before


def test_again_there_is_nothing_to_do(lab: Lab, project: Project, outdated: Outdated) -> None:
    pinned_and_fixed(lab, project, outdated)
    first = project.rebuild()
    second = project.rebuild(tag="1.0.2")
    assert second.outcome == "nothing-to-do"
    assert second.digest == first.digest
    assert statuses(second) == ["cached"]


def test_a_plan_is_carried_out_exactly_or_not_at_all(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = pinned_and_fixed(lab, project, outdated)
    plan = project.rebuild(write=False).plan
    fix(lab, name, "1.0-3")
    before = project.dockerfile.read_bytes()
    with pytest.raises(PlanMoved):
        project.rebuild(plan=plan)
    assert project.dockerfile.read_bytes() == before
    now = project.rebuild(write=False).plan
    assert project.rebuild(plan=now).plan == now
    assert b"=1.0-3" in project.dockerfile.read_bytes()


def test_a_failing_smoke_command_publishes_nothing(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = pinned_and_fixed(lab, project, outdated)
    before = project.dockerfile.read_bytes()
    with pytest.raises(ProofFailed):
        project.rebuild(command=f"{name} | grep -q 'no such line'", push=True)
    assert project.dockerfile.read_bytes() == before
    listed = subprocess.run(
        ["skopeo", "list-tags", "--tls-verify=false", f"docker://{project.tag}"],
        capture_output=True,
    )
    assert b"1.0.1" not in listed.stdout
    assert project.rebuild(command=f"{name} | grep -q '1.0-2'").outcome == "done"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RUN apt-get update && apt-get install -y 'NAME=1.0-1'", "'NAME=1.0-2'"),
        ('RUN apt-get update && apt-get install -y "NAME=1.0-1"', '"NAME=1.0-2"'),
        ("ENV V=1.0-1\nRUN apt-get update && apt-get install -y NAME=$V", "ENV V=1.0-2"),
        ("ARG V=1.0-1\nRUN apt-get update && apt-get install -y NAME=${V}", "ARG V=1.0-2"),
        ("ARG V=1.0\nRUN apt-get update && apt-get install -y NAME=${V}-*", "ARG V=1.1"),
        ('ENV V="1.0"\nRUN apt update; apt install -y "NAME=${V}*"', 'ENV V="1.1"'),
        (
            "RUN set -eux; \\\n  apt-get update; \\\n  # why\n  apt-get install -y \\\n"
            "    --no-install-recommends \\\n    helper \\\n    # pinned\n    NAME=1.0-1 ; \\\n"
            "  rm -rf /var/lib/apt/lists/*",
            "    NAME=1.0-2 ; \\",
        ),
        (
            "RUN <<EOF\napt-get update\napt-get -y install NAME=1.0-1 helper\nEOF",
            "apt-get -y install NAME=1.0-2 helper",
        ),
        (
            "RUN V=1.0-1 && apt-get update && apt-get install -y NAME=$V",
            "RUN V=1.0-2 && apt-get update",
        ),
    ],
)
def test_versions_in_many_shapes(
    lab: Lab, project: Project, outdated: Outdated, before: str, after: str
) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\n{before}\n".replace("NAME", name))
    project.build()
    newer = "1.1-1" if "1.1" in after else "1.0-2"
    fix(lab, name, newer)
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "done", rebuilt.plan
    assert after.replace("NAME", name) in project.dockerfile.read_text()
    assert [f.fixed for f in rebuilt.fixed] == [newer]


def test_an_argument_before_from_that_is_given_on_the_command_line(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    """What --build-arg overrides is not what the file says: the file is left, and it is told."""
    name = outdated("1.0-1")
    project.write(
        f"ARG V=1.0-1\nFROM BASE\nARG V\nRUN apt-get update && apt-get install -y {name}=$V\n"
    )
    project.build()
    fix(lab, name)
    rebuilt = project.rebuild()
    assert project.dockerfile.read_text().startswith("ARG V=1.0-2\n")
    assert rebuilt.outcome == "done"
    fix(lab, name, "1.0-3")
    again = project.rebuild(build_args={"V": "1.0-2"})
    assert again.outcome == "not-possible"
    assert again.unfixed[0].reason == "not-editable"
    assert project.dockerfile.read_text().startswith("ARG V=1.0-2\n")


def test_a_version_that_vanished_is_found_before_anything_runs(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1", "1.1-1")
    project.write(
        f"FROM BASE\nRUN touch /ran && apt-get update && apt-get install -y {name}=1.0-0\n"
    )
    with pytest.raises(BuildError) as caught:
        project.build()
    assert f"{name}=1.0-0" in caught.value.what
    assert "1.0-1" in caught.value.what and "1.1-1" in caught.value.what
    rebuilt = project.rebuild()
    assert f"{name}=1.0-1" in project.dockerfile.read_text()
    assert "not in the archive any more" in rebuilt.plan.changes[0].why
    assert "1.1-1" in rebuilt.plan.changes[0].why


def test_a_vanished_version_gives_way_to_a_security_fix_of_any_upstream_version(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-0\n")
    fix(lab, name, "1.1-1")
    project.rebuild()
    assert f"{name}=1.1-1" in project.dockerfile.read_text()


def test_ceilings_and_ignores(lab: Lab, project: Project, outdated: Outdated) -> None:
    name = outdated("1.0-1")
    text = f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1\n"
    project.write(text)
    project.build()
    lab.publish(Deb(name, "1.0-2"), Deb(name, "2.0-1"), suite="stable-security")
    capped = project.rebuild(selection=Selection(ceilings={name: "1.9"}), write=False)
    assert [f.fixed for f in capped.fixed] == ["1.0-2"]
    held = project.rebuild(selection=Selection(ceilings={name: "1.0-1"}), write=False)
    assert [u.reason for u in held.unfixed] == ["ceiling"]
    assert held.outcome == "not-possible"


def test_a_base_that_is_not_newest_gets_one_block_of_fixes(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    other = outdated("3.0-1")
    base = lab.make_base(
        f"{name}:1", f"RUN apt-get update && apt-get install -y {name} && rm -rf /var/lib/apt/lists"
    )
    project.write(
        f"FROM {base}\nRUN apt-get update && apt-get install -y {other}=3.0-1\nCMD true\n"
    )
    project.build()
    text = project.dockerfile.read_text()
    fix(lab, name)
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "done"
    written = project.dockerfile.read_text()
    assert f"{name}=1.0-2" in written and "CVE-2031-0001" in written
    assert written.index("# oakum: fixes begin") < written.index(
        "RUN apt-get update && apt-get install -y p2"
    )
    fix(lab, name, "1.0-3", "Fix CVE-2031-0002.")
    project.rebuild(tag="1.0.2")
    assert project.dockerfile.read_text().count("# oakum: fixes begin") == 1
    assert f"{name}=1.0-3" in project.dockerfile.read_text()
    lab.make_base(
        f"{name}:1",
        f"RUN apt-get update && apt-get install -y {name}=1.0-3 && rm -rf /var/lib/apt/lists",
    )
    project.rebuild(tag="1.0.3", bump=BumpOptions())
    assert project.dockerfile.read_text() == text


def test_an_edit_that_somebody_makes_meanwhile_is_not_lost(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    pinned_and_fixed(lab, project, outdated)
    bumped = bump(lab.store, BuildRequest(project.place), repositories=FRESH)
    project.dockerfile.write_text("FROM scratch\n# mine\n")
    with pytest.raises(PlanMoved, match="changed meanwhile"):
        write_bump(BuildRequest(project.place), bumped)
    assert project.dockerfile.read_text() == "FROM scratch\n# mine\n"
