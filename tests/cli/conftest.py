"""The command, and something to build."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.busy import Context
from support.command import Oakum


@pytest.fixture
def oakum(tmp_path: Path) -> Oakum:
    """The command, with an empty store."""
    (tmp_path / "home").mkdir()
    return Oakum(tmp_path / "own store", tmp_path / "home")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A build context with busybox and no Dockerfile yet."""
    return Context(tmp_path / "context")
