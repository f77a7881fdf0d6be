"""A sample of the cases with buildah: where it and BuildKit are of one mind, so is oakum, whose
builds are compared with the same records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.differential.buildah import Buildah, goes_its_own_way
from builder.differential.case import Case, read_cases
from builder.differential.explore import unknown_differences
from builder.differential.test_against_buildkit import kept_record

_SAME = [case for case in read_cases() if not goes_its_own_way(case)]
_SAMPLE = [case for case in _SAME if int(case.mark, 16) % 7 == 0]
_FORMAT = {"history", "config ArgsEscaped", "config author"}
"""What buildah words in its own way, or has in docker's format only."""


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory, web: str) -> Iterator[Buildah]:
    """buildah with the base image."""
    place: Path = tmp_path_factory.mktemp("buildah")
    made = Buildah(place, web)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("case", _SAMPLE, ids=lambda case: case.id)
def test_buildah_is_of_one_mind_with_buildkit(case: Case, buildah: Buildah) -> None:
    differ = unknown_differences(kept_record(case), buildah.record(case), buildah.base)
    assert {what: both for what, both in differ.items() if what not in _FORMAT} == {}
