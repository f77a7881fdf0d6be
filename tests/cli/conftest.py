"""An image that tests of the command look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.archive import Archive, Key, Server
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
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A signed package archive with one suite."""
    key = Key(tmp_path_factory.mktemp("cli-key"), "cli")
    with Server(tmp_path_factory.mktemp("cli-archive")) as server:
        made = Archive(server, key)
        made.publish()
        yield made


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory, registry: str, archive: Archive) -> Ready:
    """An image that tests look at and do not change: no packages, and sources of packages."""
    place = tmp_path_factory.mktemp("ready")
    oakum = Oakum(place / "store", place)
    base = Context(place / "base").write(
        "COPY status /var/lib/dpkg/status",
        "COPY sources.list /etc/apt/sources.list",
        "COPY archive.asc /etc/apt/trusted.gpg.d/archive.asc",
    )
    (base / "status").touch()
    (base / "sources.list").write_text(f"deb {archive.server.url} stable main\n")
    (base / "archive.asc").write_bytes(archive.key.public)
    oakum.done("build", base, "-t", f"{registry}/ready-base:1", "--push", "-q")
    context = Context(place / "context")
    context.write_all(f"FROM {registry}/ready-base:1", "RUN echo hello > /greeting")
    name = f"{registry}/ready:1"
    built = oakum.done("build", context.place, "-t", name, "--push", "--format", "json", "-q")
    return Ready(oakum, context.place, name, built.document["digest"])
