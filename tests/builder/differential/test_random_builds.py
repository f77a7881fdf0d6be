"""Random builds, always the same ones, by both builders; ``make explore`` draws others.

`unknown_differences` says what is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from builder.differential.engines import BuildKit, Oakum
from builder.differential.explore import Both, builds, ignored, shown, words


@pytest.fixture(scope="module")
def both(oakum: Oakum, buildkit: BuildKit) -> Iterator[Both]:
    """The two builders."""
    with ThreadPoolExecutor(1) as pool:
        yield Both(oakum, buildkit, pool)


@pytest.mark.parametrize("number", range(4))
def test_random_builds_are_what_buildkit_makes_of_them(number: int, both: Both) -> None:
    assert [shown(*found) for found in builds(both, number, 10)] == []
    assert both.built - both.failed >= 5


@pytest.mark.parametrize("number", range(2))
def test_random_words_mean_what_they_mean_to_buildkit(number: int, both: Both) -> None:
    assert [shown(*found) for found in words(both, number, 200)] == []


def test_random_ignore_files_leave_out_what_they_leave_out_of_buildkits_context(both: Both) -> None:
    assert [shown(*found) for found in ignored(both, 0, 60)] == []
