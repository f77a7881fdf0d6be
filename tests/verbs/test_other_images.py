"""Images without apt: distroless ones, other distributions, and what is still done for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oakum.errors import NoRepository
from oakum.verbs import RebuildRequest, RepositoryOptions, rebuild, scan
from support.lab import Lab
from verbs.conftest import FRESH, Project
from verbs.test_raise_a_pin import fix

Outdated = Callable[..., str]


def distroless(project: Project, package: str, version: str = "1.0-1") -> str:
    """An image that has one package by dpkg's ``status.d``, and neither apt nor sources."""
    stanza = f"Package: {package}\nVersion: {version}\nArchitecture: amd64\n"
    project.write(
        "FROM scratch\nCOPY stanza /var/lib/dpkg/status.d/one\nCOPY os /etc/os-release\n",
        stanza=stanza,
        os='PRETTY_NAME="Distroless"\n',
    )
    project.build("distroless")
    return f"{project.tag}:distroless"


def named_sources(lab: Lab, project: Project) -> RepositoryOptions:
    """The lab's archive, named by the user."""
    keyring = project.place.parent / "key.asc"
    keyring.write_bytes(lab.key.public)
    sources = tuple(lab.sources().splitlines())
    return RepositoryOptions(max_age=0, sources=sources, keyrings=(keyring,))


def test_an_image_without_package_sources_is_an_error_and_not_free_of_fixes(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    image = distroless(project, outdated("1.0-1"))
    with pytest.raises(NoRepository, match="names no package sources"):
        scan(lab.store, image, repositories=FRESH)


def test_sources_that_the_user_names_are_looked_at(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    image = distroless(project, name)
    fix(lab, name)
    found = scan(lab.store, image, repositories=named_sources(lab, project))
    assert [(f.package, f.installed, f.fixed) for f in found.fixes] == [(name, "1.0-1", "1.0-2")]


def test_another_distribution_is_named(lab: Lab, project: Project) -> None:
    project.write("FROM scratch\nCOPY os /etc/os-release\n", os='PRETTY_NAME="Alpine Linux v3"\n')
    project.build("other")
    with pytest.raises(NoRepository, match="Alpine Linux v3"):
        scan(lab.store, f"{project.tag}:other", repositories=FRESH)


def test_a_builders_pins_are_raised_though_the_final_base_cannot_be_looked_up(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    tool = outdated("1.0-1")
    base = distroless(project, "other")
    project.write(
        f"FROM BASE AS build\nRUN apt-get update && apt-get install -y {tool}=1.0-1\n"
        f"FROM {base}\nCOPY --from=build /usr/bin/{tool} /tool\n"
    )
    project.build()
    fix(lab, tool)
    rebuilt = project.rebuild()
    assert f"{tool}=1.0-2" in project.dockerfile.read_text()
    assert any("only pins were looked at" in note for note in rebuilt.plan.notes)


def test_a_base_without_apt_gets_no_block_of_fixes(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    base = distroless(project, name)
    project.write(f"FROM {base}\nCOPY app /app\n", app="x")
    project.build()
    fix(lab, name)
    before = project.dockerfile.read_bytes()
    from oakum.builder import BuildRequest

    request = RebuildRequest(
        BuildRequest(project.place), repositories=named_sources(lab, project), write=True
    )
    rebuilt = rebuild(lab.store, request)
    assert rebuilt.outcome == "not-possible"
    assert [(u.package, u.reason) for u in rebuilt.unfixed] == [(name, "not-editable")]
    assert project.dockerfile.read_bytes() == before
