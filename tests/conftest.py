"""What tests of several rooms share: stores, a registry, a world with a base image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from oakum.store import Store
from support.archive import Key, Server
from support.busy import Context
from support.command import Oakum
from support.daemon import Daemon, running_daemon
from support.lab import Deb, Lab
from support.peers import NAMES, Peer, Peers, running_peers
from support.registry import running_registry
from support.roots import debian_tar

# How long an example takes depends on what else the machine does.
settings.register_profile("oakum", deadline=None)
settings.load_profile("oakum")

_ALONE = ("bookworm", "buildkit", "peers", "lab")
"""What is made once and changed by its users, or takes long to make."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests that use one of these run in one process, one after the other."""
    for item in items:
        for name in _ALONE:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def oakum(tmp_path: Path) -> Oakum:
    """The command, with an empty store."""
    (tmp_path / "home").mkdir()
    return Oakum(tmp_path / "own store", tmp_path / "home")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A build context with busybox and no Dockerfile yet."""
    return Context(tmp_path / "context")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of an empty registry."""
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, registry: str) -> Iterator[Lab]:
    """A base image whose apt asks an archive with one package, ``gadget`` 1.0-1."""
    root = debian_tar()
    place = tmp_path_factory.mktemp("lab")
    key = Key(tmp_path_factory.mktemp("lab-key"), "lab")
    with Server(place / "www") as server, Store(place / "store") as store:
        made = Lab(place, store, registry, key, server, root)
        made.publish(Deb("gadget", "1.0-1"), Deb("helper", "1.0-1"))
        made.make_base()
        yield made


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A docker daemon."""
    with running_daemon(tmp_path_factory.mktemp("docker")) as running:
        yield running


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """The other builders, each started when it is first asked for."""
    with running_peers(tmp_path_factory.mktemp("peers")) as running:
        yield running


@pytest.fixture(params=NAMES)
def peer(request: pytest.FixtureRequest, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """Each engine, with its environment set."""
    found = peers[request.param]
    for name, value in found.env.items():
        monkeypatch.setenv(name, value)
    return found
