"""A build context in the lab, and the verbs with an index that is always asked anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oakum.builder import BuildRequest
from oakum.oci import parse_reference
from oakum.verbs import (
    BumpOptions,
    RebuildRequest,
    Rebuilt,
    RepositoryOptions,
    Selection,
    rebuild,
)
from support.lab import Deb, Lab

FRESH = RepositoryOptions(max_age=0)


class Project:
    """A directory with a Dockerfile on the lab's base, and packages of its own."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self.lab = lab
        self.place = place
        self.tag = f"{lab.registry}/{place.name.lower()}"

    @property
    def dockerfile(self) -> Path:
        return self.place / "Dockerfile"

    def write(self, text: str, **files: str) -> None:
        """The Dockerfile, with BASE for the base image, and further files."""
        self.dockerfile.write_text(text.replace("BASE", self.lab.base))
        for name, content in files.items():
            (self.place / name).write_text(content)

    def build(self, tag: str = "1.0", **more: object) -> object:
        from oakum.builder import build

        request = BuildRequest(self.place, **more)  # type: ignore[arg-type]
        return build(self.lab.store, request, tags=(parse_reference(f"{self.tag}:{tag}"),))

    def rebuild(
        self,
        *,
        write: bool = True,
        push: bool = False,
        tag: str = "1.0.1",
        only: tuple[str, ...] = (),
        **more: object,
    ) -> Rebuilt:
        fields = {
            key: more.pop(key) for key in ("selection", "bump", "plan", "command") if key in more
        }
        request = RebuildRequest(
            BuildRequest(self.place, **more),  # type: ignore[arg-type]
            fields.get("selection", Selection(only=only)),  # type: ignore[arg-type]
            fields.get("bump", BumpOptions()),  # type: ignore[arg-type]
            FRESH,
            tags=(parse_reference(f"{self.tag}:{tag}"),),
            write=write,
            push=push,
            plan=fields.get("plan"),  # type: ignore[arg-type]
            command=fields.get("command"),  # type: ignore[arg-type]
        )
        return rebuild(self.lab.store, request)


@pytest.fixture
def project(lab: Lab, tmp_path: Path) -> Project:
    place = tmp_path / f"{tmp_path.name.replace('_', '-')}"
    place.mkdir()
    return Project(lab, place)


@pytest.fixture
def outdated(lab: Lab, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Publishes a package that a test may install in its first version, and fixes later."""
    count = 0

    def make(*versions: str, suite: str = "stable", **more: str) -> str:
        nonlocal count
        count += 1
        base = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()
        name = f"p{count}-{''.join(c for c in base if c.isalnum() or c == '-')}"[:60].rstrip("-")
        lab.publish(*(Deb(name, version, **more) for version in versions), suite=suite)
        return name

    return make
