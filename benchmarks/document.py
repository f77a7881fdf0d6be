"""Showing and keeping the results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from benchmarks import HERE
from benchmarks.rows import Row
from benchmarks.scaling import Curves, curves
from benchmarks.workflows import Samples

PAGE = HERE.parent / "docs" / "benchmarks.md"
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- results begin: written by make bench -->", "<!-- results end -->"


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| job | oakum | beside it | ratio (lowest–highest) | reach | met |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        cells = (row.job, row.oakum, row.peer, row.ratio, row.reach, met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_page(
    rows: Iterable[Row], facts: dict[str, str], points: Curves, page: Path = PAGE
) -> None:
    """Put the table and the facts between the page's marks; the rest stays as it is."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks the marks {BEGIN} and {END}")
    told = "\n".join(f"- {name}: {fact}" for name, fact in facts.items())
    page.write_text(
        f"{before}{BEGIN}\n\n{table(rows)}\n\n{curves(points)}\n\n{told}\n\n{END}{after}"
    )


def write_results(
    measured: dict[str, Samples],
    rows: Iterable[Row],
    facts: dict[str, str],
    points: Curves,
    file: Path = RESULTS,
) -> None:
    """Every single figure, for those who want to count again."""
    document = {
        "facts": facts,
        "rows": [asdict(row) for row in rows],
        "samples": {
            job: {tool: [asdict(sample) for sample in each] for tool, each in samples.items()}
            for job, samples in measured.items()
        },
        "scaling": {
            kind: [{"times": times, **asdict(sample)} for times, sample in line]
            for kind, line in points.items()
        },
    }
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
