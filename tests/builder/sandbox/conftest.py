"""Every way to run a step: by runc and by bubblewrap, as root and as a user."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from support.busy import Context
from support.command import Done, Oakum
from support.people import somebody

PROGRAMS = {"runc": "runc", "bwrap": "bwrap"}
WAYS = [(sandbox, who) for sandbox in PROGRAMS for who in ("root", "ranges", "alone")]


@dataclass(frozen=True)
class Box:
    """The command with one runtime, run by root, a user with ranges of IDs, or one without."""

    oakum: Oakum
    sandbox: str
    who: str
    place: Path
    """A directory that everyone may enter, for contexts."""

    def context(self, name: str = "context") -> Context:
        """A new build context."""
        return Context(self.place / name)

    def build(self, context: Path, *words: str | Path, **env: str) -> Done:
        """Build with this runtime; plain progress."""
        command = ("build", context, "--sandbox", self.sandbox, "--progress", "plain")
        return self.oakum(*command, *words, **env)

    def output(self, context: Path, *words: str | Path, **env: str) -> str:
        """What the steps of a build that goes well print."""
        ended = self.build(context, *words, **env)
        assert ended.code == 0, ended.err
        return ended.err


@contextlib.contextmanager
def opened_box(sandbox: str, who: str, tmp: Path) -> Iterator[Box]:
    searched = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if not shutil.which(PROGRAMS[sandbox], path=searched):
        pytest.skip(f"needs {sandbox}")
    if who == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        yield Box(Oakum(tmp / "store", tmp), sandbox, who, tmp)
        return
    with somebody(ranges=who == "ranges") as oakum:
        yield Box(oakum, sandbox, who, oakum.home.parent)


@pytest.fixture(params=[("runc", "root"), ("bwrap", "ranges")], ids=" by ".join)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    """Two of the ways, with an empty store each."""
    with opened_box(*request.param, tmp_path) as box:
        yield box


@pytest.fixture(scope="module", params=WAYS, ids=" by ".join)
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One of the ways, with a store that the tests of a module share."""
    sandbox, who = request.param
    with opened_box(sandbox, who, tmp_path_factory.mktemp("box")) as box:
        yield box


@pytest.fixture(scope="module", params=[one for one in WAYS if one[1] != "alone"], ids=" by ".join)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    """Both runtimes, as root and as a user with ranges, with a store that a module shares."""
    sandbox, who = request.param
    with opened_box(sandbox, who, tmp_path_factory.mktemp("prison")) as box:
        yield box


@pytest.fixture
def prison(shared: Box) -> Box:
    """One of these ways, with a place of the test's own."""
    place = Path(tempfile.mkdtemp(dir=shared.place))
    place.chmod(0o755)
    return replace(shared, place=place)
