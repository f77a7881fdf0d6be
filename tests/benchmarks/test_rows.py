"""The table of the benchmarks: what a row says, and when its target is met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.document import BEGIN, END, write_page, write_results
from benchmarks.measure import Sample
from benchmarks.rows import Row, rows

LINES = {"files": [(1, Sample(0.5, 10**8)), (2, Sample(1.0, 10**8))]}


def took(*seconds: float, memory: int = 10**7, pushed: int = 0) -> list[Sample]:
    return [Sample(each, memory, pushed) for each in seconds]


def find(found: list[Row], job: str, peer: str = "") -> Row:
    return next(row for row in found if row.job == job and peer in row.peer)


def test_a_ratio_is_of_medians_and_its_range_of_pairs() -> None:
    measured = {"push": {"oakum": took(1, 2, 9), "skopeo": took(4, 4, 3)}}
    row = find(list(rows(measured)), "push of a 1 GB image")
    assert row.ratio == "0.50 (0.25–3.00)"
    assert row.met


def test_never_more_bytes_means_in_no_repetition() -> None:
    measured = {
        "workflow-1": {
            "oakum": took(1, pushed=9) + took(1, pushed=11),
            "docker": took(9, 9, pushed=10),
            "buildah": took(9, 9, pushed=10),
        }
    }
    row = find(list(rows(measured)), "bytes pushed: pin raised, rebuilt, pushed", "docker")
    assert row.met is False


def test_one_repetition_with_too_much_memory_misses_the_target() -> None:
    measured = {"help": {"oakum": [*took(1), *took(1, memory=301 * 10**6)], "python": took(1, 1)}}
    assert find(list(rows(measured)), "peak memory: `oakum --help`").met is False


def test_a_job_that_did_not_run_has_no_row() -> None:
    assert not list(rows({}))


def test_the_page_keeps_what_stands_around_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_page([Row("job", "1 s", "other 2 s", "0.50", "≤ 1", True)], {"cores": "2"}, LINES, page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n")
    assert "2 x " + "#" * 48 in text and "1 x " + "#" * 24 + " " in text
    assert "old" not in text and "| job | 1 s | other 2 s | 0.50 | ≤ 1 | yes |" in text


def test_every_figure_is_kept(tmp_path: Path) -> None:
    measured = {"push": {"oakum": took(1, 2), "skopeo": took(3, 4)}}
    write_results(measured, rows(measured), {"cores": "2"}, LINES, tmp_path / "results.json")
    kept = json.loads((tmp_path / "results.json").read_bytes())
    assert [sample["seconds"] for sample in kept["samples"]["push"]["skopeo"]] == [3, 4]
    assert kept["scaling"]["files"][1]["times"] == 2
    assert kept["rows"][0]["met"] is True and kept["facts"] == {"cores": "2"}


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("mine\n")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_page([], {}, {}, page)
    assert page.read_text() == "mine\n"
