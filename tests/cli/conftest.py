"""An image that tests of the command look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from support.busy import Context
from support.command import Oakum


@dataclass(frozen=True)
class Ready:
    """A store with an image that is in the registry as well."""

    oakum: Oakum
    context: Path
    """What it was built from: a base in the registry and one RUN."""
    name: str
    """Its name."""
    digest: str
    """Digest of its manifest."""


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory, registry: str) -> Ready:
    """An image that tests look at and do not change."""
    place = tmp_path_factory.mktemp("ready")
    oakum = Oakum(place / "store", place)
    base = Context(place / "base").write("RUN mkdir -p /var/lib/dpkg && : > /var/lib/dpkg/status")
    oakum.done("build", base, "-t", f"{registry}/ready-base:1", "--push", "-q")
    context = Context(place / "context")
    context.write_all(f"FROM {registry}/ready-base:1", "RUN echo hello > /greeting")
    name = f"{registry}/ready:1"
    built = oakum.done("build", context.place, "-t", name, "--push", "--format", "json", "-q")
    return Ready(oakum, context.place, name, built.document["digest"])
