"""What tests of registries share: one that misbehaves, an image, and no long waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.oci import Manifest
from oakum.store import Store
from oakum.transport.registry.client import Client
from support.faulty import FaultyRegistry, running_faulty
from support.images import make_image
from support.logins import SECRET, USER


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first pause of a millisecond before a request is tried again."""
    monkeypatch.setattr(Client, "pause", 0.001)


@pytest.fixture(autouse=True)
def nobodys_logins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A place for docker's configuration, without logins, and no other place."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "docker-config"
    place.mkdir()
    (place / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(place))
    return place


@pytest.fixture
def faulty() -> Iterator[FaultyRegistry]:
    """An empty registry that can be told to misbehave."""
    with running_faulty() as registry:
        yield registry


@pytest.fixture
def image(store: Store) -> Manifest:
    """An image of two layers in the store."""
    return make_image(store, "one", "two")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Store]:
    """Another empty store."""
    with Store(tmp_path / "fresh") as made:
        yield made


@pytest.fixture(params=["basic", "bearer"])
def locked(request: pytest.FixtureRequest) -> Iterator[FaultyRegistry]:
    """A registry that lets one user in."""
    with running_faulty() as registry:
        registry.login = request.param
        registry.users[USER] = SECRET
        yield registry


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory at the front of PATH."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place
