"""When the base image itself is what has the fix."""

from __future__ import annotations

from collections.abc import Callable

from oakum.oci import parse_reference
from oakum.transport import RegistryOptions, open_source, parse_location
from oakum.verbs import BumpOptions
from support.lab import Lab
from verbs.conftest import Project

Outdated = Callable[..., str]


def digest_of(lab: Lab, name: str) -> str:
    source = open_source(parse_location(f"docker://{name}"), lab.store, RegistryOptions())
    try:
        return str(source.resolve().digest)
    finally:
        source.close()


def test_a_digest_is_raised_to_what_its_tag_stands_for(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    install = f"RUN apt-get update && apt-get install -y {name}"
    base = lab.make_base(f"{name}:1", install)
    old = digest_of(lab, base)
    project.write(f"FROM {base}@{old}\nRUN true\n")
    project.build()
    from support.lab import Deb

    lab.publish(Deb(name, "1.0-2", "Fix CVE-2031-0003."), suite="stable-security")
    lab.make_base(f"{name}:1", install + "=1.0-2")
    new = digest_of(lab, base)
    assert new != old
    rebuilt = project.rebuild()
    assert project.dockerfile.read_text() == f"FROM {base}@{new}\nRUN true\n"
    assert [(c.kind, c.new) for c in rebuilt.plan.changes] == [("base", f"1@{new}")]
    assert rebuilt.outcome == "done"


def test_a_tag_is_raised_only_when_asked(lab: Lab, project: Project, outdated: Outdated) -> None:
    name = outdated("1.0-1")
    for tag in ("12.1", "12.2", "13.0"):
        lab.make_base(f"{name}:{tag}", f"ENV TAG={tag}")
    project.write(f"FROM {lab.registry}/{name}:12.1\nRUN true\n")
    project.build()
    assert project.rebuild().outcome == "nothing-to-do"
    project.rebuild(bump=BumpOptions("minor"))
    assert project.dockerfile.read_text().startswith(f"FROM {lab.registry}/{name}:12.2\n")
    project.rebuild(bump=BumpOptions("major"))
    assert project.dockerfile.read_text().startswith(f"FROM {lab.registry}/{name}:13.0\n")
    assert parse_reference(f"{lab.registry}/{name}:13.0").tag == "13.0"


def test_the_base_is_never_sent_again(lab: Lab, project: Project, outdated: Outdated) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1\n")
    project.build()
    from verbs.test_raise_a_pin import fix

    fix(lab, name)
    [published] = project.rebuild(push=True).published
    assert published.bytes_sent < 5_000_000
    assert published.bytes_mounted > 20_000_000
