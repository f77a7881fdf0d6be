"""Every engine in turn, a store, and a base image in a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, Built, build
from oakum.oci import parse_reference
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs import publish
from support.busy import LINES, Context
from support.peers import Peer

BuildWith = Callable[..., Built]


@pytest.fixture
def base(registry: str, tmp_path: Path) -> str:
    """Name of a base image of busybox in the registry, which no store of the test has."""
    name = f"{registry}/{tmp_path.name.lower().replace('_', '-')}/base:1"
    context = Context(tmp_path / "base").write_all(*LINES, "ENV FROM_BASE=1")
    with Store(tmp_path / "base store") as store:
        built = build(store, BuildRequest(context))
        publish(store, built.image, parse_reference(name), RegistryOptions())
    return name


@pytest.fixture
def build_with(store: Store, peer: Peer) -> BuildWith:
    """Build a directory with the engine; steps have this machine's network."""

    def run(context: Path, **more: object) -> Built:
        fields = {"network": "host", "engine": peer.engine, **more}
        return build(store, BuildRequest(context, **fields))  # type: ignore[arg-type]

    return run
