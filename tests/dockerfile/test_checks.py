"""Build checks, outline and targets: each case is compared with what BuildKit answers to it.

The answers are kept (``make records``); a sample of them is asked for again here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.differential.case import Case, write_context
from builder.differential.engines import request_of
from oakum.builder import BuildRequest, build, check, list_targets, outline
from oakum.dockerfile.checks.file_rules import FILE_RULES
from oakum.dockerfile.checks.from_rules import FROM_RULES
from oakum.dockerfile.checks.step_rules import STEP_RULES
from oakum.errors import OakumError
from oakum.oci import parse_platform, parse_reference
from oakum.store import Store
from support.check_cases import CASES, asked, kept, write_images
from support.reference import Reference, running_reference

KEPT = kept()
AGAIN = [case for case in CASES if "kept" not in case.sections][::12]
LISTED = [case for case in CASES if case.topic == "outline"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("checks") / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def buildkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with running_reference(tmp_path_factory.mktemp("buildkit")) as reference:
        yield reference


def request_for(case: Case, place: Path, store: Store) -> BuildRequest:
    context = write_context(case, place, "")
    for name, platform in write_images(case, context):
        file = context / f"{name}.Dockerfile"
        base = BuildRequest(context, dockerfile=file, platform=parse_platform(platform))
        build(store, base, tags=(parse_reference(name),))
    options = " ".join(case.lines("options")).replace("@CONTEXT@", str(context))
    request, named = request_of(options)
    dockerfile = Path(named) if named else None
    return msgspec.structs.replace(request, context=context, dockerfile=dockerfile)


def found_by_oakum(case: Case, place: Path, store: Store) -> dict[str, Any]:
    """What oakum answers; without warnings where it cannot even parse the file."""
    try:
        checked = check(store, request_for(case, place, store))
    except OakumError as error:
        return {"error": error.what}
    warnings = sorted([w.rule, w.line, w.last_line, w.message, w.url] for w in checked.warnings)
    strict = checked.strict and checked.warnings
    return {"warnings": warnings, "error": "error=true" if strict else checked.error}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_warnings_are_buildkits(case: Case, tmp_path: Path, store: Store) -> None:
    record = KEPT[case.id]
    assert record["case"] == case.mark, "the case has changed: make records"
    expected, found = record["check"], found_by_oakum(case, tmp_path / "context", store)
    if "check" in case.differs():
        assert expected["error"] is not None and found["error"] is None
        return
    if "warnings" in found:
        assert found["warnings"] == expected["warnings"]
    assert (found["error"] is None) == (expected["error"] is None)


@pytest.mark.parametrize("case", LISTED, ids=lambda case: case.id)
def test_the_outline_is_buildkits(case: Case, tmp_path: Path, store: Store) -> None:
    record = KEPT[case.id]
    request = request_for(case, tmp_path / "context", store)
    stages = [
        [one.name, one.description, one.base, one.platform, one.default, one.line]
        for one in list_targets(request)
    ]
    assert stages == record["targets"]
    try:
        found = outline(store, request)
    except OakumError:
        assert record["outline"] is None
        return
    if "outline" in case.differs():
        assert record["outline"] is None
        return
    assert record["outline"] == {
        "name": found.name,
        "description": found.description,
        "args": [[one.name, one.value, one.description, one.line] for one in found.args],
        "secrets": [[one.name, one.required, one.line] for one in found.secrets],
        "ssh": [[one.name, one.required, one.line] for one in found.ssh],
    }


@pytest.mark.parametrize("case", AGAIN, ids=lambda case: case.id)
def test_the_kept_record_is_what_buildkit_answers(
    case: Case, tmp_path: Path, buildkit: Reference
) -> None:
    context = write_context(case, buildkit.place / tmp_path.name, "")
    assert asked(buildkit, case, context) == KEPT[case.id]


def rule_names() -> set[str]:
    return {rule.name for table in (FILE_RULES, FROM_RULES, STEP_RULES) for rule in table}


def test_every_rule_has_a_case_where_it_fires() -> None:
    fired = {one[0] for record in KEPT.values() for one in record["check"].get("warnings", ())}
    assert rule_names() - fired == set()


def test_every_rule_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()
    assert set(re.findall(r"^\| ([A-Z]\w+) \|", page, re.M)) == rule_names()


def test_records_of_cases_that_are_gone_are_gone() -> None:
    assert KEPT.keys() == {case.id for case in CASES}
