"""The two builders, made once, and the web server that both ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.differential.engines import BuildKit, Oakum
from builder.differential.web import serving
from oakum.store import Store
from support.reference import running_reference


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with the files that cases ADD."""
    with serving(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="session")
def oakum(tmp_path_factory: pytest.TempPathFactory, web: str) -> Iterator[Oakum]:
    """oakum with a store that all cases share."""
    place = tmp_path_factory.mktemp("oakum")
    with Store(place / "store") as store:
        yield Oakum(place, web, store)


@pytest.fixture(scope="session")
def buildkit(tmp_path_factory: pytest.TempPathFactory, web: str) -> Iterator[BuildKit]:
    """A real BuildKit."""
    place: Path = tmp_path_factory.mktemp("buildkit")
    with running_reference(place) as reference:
        yield BuildKit(place, web, reference)
