"""Each case is built by oakum and compared with what BuildKit made of it.

The records of BuildKit's results are kept (``make records`` makes them anew); a sample of them is
compared with the real thing here.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from builder.differential.case import PLACE, Case, read_cases
from builder.differential.engines import BuildKit, Oakum
from builder.differential.record import Record, differences

CASES = read_cases()
AGAIN = [case for case in CASES if "kept" not in case.sections]
SAMPLE = AGAIN[:: len(AGAIN) // 8]


def kept_record(case: Case) -> Record:
    """What BuildKit once made of the case."""
    kept = json.loads((PLACE / "records" / f"{case.topic}.json").read_text())
    assert case.name in kept, "make records"
    record = msgspec.convert(kept[case.name], Record)
    assert record.case == case.mark, "the case has changed: make records"
    return record


def test_case_names_are_unique() -> None:
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_oakum_builds_what_buildkit_builds(case: Case, oakum: Oakum) -> None:
    expected = kept_record(case)
    found, again = oakum.record(case)
    known = case.differs()
    differ = differences(expected, found, oakum.base)
    assert {what: pair for what, pair in differ.items() if what not in known} == {}
    assert known.keys() - differ.keys() == set(), "these do not differ any more"
    for words in case.lines("fails"):
        assert words.lower() in str(found.error).lower()
    assert again is None or again.ran == 0


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.id)
def test_the_kept_record_is_what_buildkit_gives(case: Case, buildkit: BuildKit) -> None:
    found = buildkit.record(case)
    assert differences(kept_record(case), found, buildkit.base) == {}


def test_records_of_cases_that_are_gone_are_gone() -> None:
    kept = {
        f"{path.stem}: {name}"
        for path in Path(PLACE / "records").glob("*.json")
        for name in json.loads(path.read_text())
    }
    assert kept <= {case.id for case in CASES}
