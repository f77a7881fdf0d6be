"""A file outside of the store appears when it is whole; until then there is nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oakum.store import Unfinished


def test_nothing_is_there_before_the_end(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "file")
    unfinished.file.write(b"half")
    unfinished.file.flush()
    assert os.listdir(tmp_path) == []
    unfinished.abandon()
    assert os.listdir(tmp_path) == []


def test_it_takes_the_place_of_an_older_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    unfinished = Unfinished(tmp_path / "file")
    unfinished.file.write(b"new")
    unfinished.finish()
    unfinished.abandon()
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Unfinished(tmp_path / "missing" / "file")
