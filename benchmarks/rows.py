"""The table: what was measured against what is to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.measure import Sample
from benchmarks.workflows import Samples

MB = 10**6
MEMORY = 300 * MB

JOBS = {
    "workflow-1": "pin raised, rebuilt, pushed",
    "workflow-2": "the same with two stages",
    "unchanged": "nothing changed, built again",
    "first": "first build, pushed",
    "many": "COPY of 50 000 small files",
    "changed": "again with one of them changed",
    "large": "COPY of a 1 GB file",
    "steps": "40 RUN steps of `true`",
    "stages": "8 independent stages, beside the same in a row",
    "real": "a layer of 1 GB of real files, made and pushed",
    "empty": "an empty machine with a cache to ask, one pin raised",
    "scan-cold": "scan of the reference image, cold",
    "scan-warm": "the same, warm",
    "push": "push of a 1 GB image",
    "pull": "pull of a 1 GB image",
    "help": "`oakum --help`",
}
"""How jobs are called in the table."""

STEPS = 40
BUILDS = (
    ("first", 0.35, 0.5),
    ("many", 0.25, 0.25),
    ("changed", 0.3, 0.3),
    ("large", 0.5, 0.5),
    ("steps", 0.7, 0.15),
    ("real", 0.15, None),
)
"""Jobs, and what is to be reached of docker's and of buildah's time."""


@dataclass(frozen=True)
class Row:
    """One line of the table, as it is shown."""

    job: str
    oakum: str
    peer: str
    ratio: str
    """Median, lowest and highest over the repetitions; empty where it says nothing."""
    reach: str
    met: bool | None
    """None for a line that is there to compare only."""


def rows(measured: dict[str, Samples]) -> Iterator[Row]:
    """The lines for the jobs that ran."""
    for job in ("workflow-1", "workflow-2"):
        if job in measured:
            yield _against(measured, job, "docker", 0.25)
            yield _against(measured, job, "buildah", 0.35)
    if "workflow-2" in measured:
        yield _builder(measured["workflow-2"]["oakum"])
    if "unchanged" in measured:
        yield _within(measured, "unchanged", 0.35)
    for job, of_docker, of_buildah in BUILDS:
        if job in measured:
            yield _against(measured, job, "docker", of_docker)
            if of_buildah:
                yield _against(measured, job, "buildah", of_buildah)
    if "steps" in measured:
        yield _each_step(measured["steps"]["oakum"])
    if "stages" in measured:
        yield _side_by_side(measured["stages"])
    if "empty" in measured:
        yield _against(measured, "empty", "docker", 0.4)
    if "scan-cold" in measured:
        yield _against(measured, "scan-cold", "syft", 0.25)
        yield _within(measured, "scan-warm", 0.3)
    for job in ("workflow-1", "workflow-2"):
        if job in measured:
            yield from _pushed(measured[job], JOBS[job])
    for job in ("push", "pull"):
        if job in measured:
            yield _against(measured, job, "skopeo", 1.0)
    for job, samples in measured.items():
        yield _memory(samples, JOBS[job])
    if "help" in measured:
        yield _help(measured["help"])


def _against(measured: dict[str, Samples], job: str, peer: str, reach: float) -> Row:
    own, other = measured[job]["oakum"], measured[job][peer]
    ratio = _middle(own) / _middle(other)
    pairs = [a.seconds / b.seconds for a, b in zip(own, other, strict=True)]
    return Row(
        JOBS[job],
        _seconds(own),
        f"{peer} {_seconds(other)}",
        f"{ratio:.2f} ({min(pairs):.2f}–{max(pairs):.2f})",
        f"≤ {reach:g}",
        ratio <= reach,
    )


def _each_step(own: list[Sample]) -> Row:
    seconds = _middle(own) / STEPS
    return Row("one of the 40 steps", f"{seconds:.3f} s", "", "", "≤ 0.08 s", seconds <= 0.08)


def _side_by_side(samples: Samples) -> Row:
    ratio = _middle(samples["in a row"]) / _middle(samples["oakum"])
    return Row(
        JOBS["stages"],
        _seconds(samples["oakum"]),
        f"in a row {_seconds(samples['in a row'])}",
        f"{ratio:.2f} × faster",
        "≥ 1.7 ×",
        ratio >= 1.7,
    )


def _within(measured: dict[str, Samples], job: str, reach: float) -> Row:
    own = measured[job]["oakum"]
    peers = ", ".join(
        f"{name} {_seconds(samples)}" for name, samples in measured[job].items() if name != "oakum"
    )
    return Row(JOBS[job], _seconds(own), peers, "", f"≤ {reach:g} s", _middle(own) <= reach)


def _builder(own: list[Sample]) -> Row:
    seconds = max(sample.builder or 0.0 for sample in own)
    return Row("its builder stage", f"{seconds:.2f} s", "", "", "0 s", round(seconds, 2) == 0)


def _pushed(samples: Samples, job: str) -> Iterator[Row]:
    own = [sample.pushed or 0 for sample in samples["oakum"]]
    for peer in ("docker", "buildah"):
        other = [sample.pushed or 0 for sample in samples[peer]]
        ratio = median(own) / median(other)
        compared = peer == "docker"
        yield Row(
            f"bytes pushed: {job}",
            f"{median(own) / MB:.1f} MB",
            f"{peer} {median(other) / MB:.1f} MB",
            f"{ratio:.2f} ({min(own) / max(other):.2f}–{max(own) / min(other):.2f})",
            "≤ 1" if compared else "",
            max(own) <= min(other) if compared else None,
        )


def _memory(samples: Samples, job: str) -> Row:
    peaks = {name: max(sample.memory for sample in each) for name, each in samples.items()}
    own = peaks.pop("oakum")
    peers = ", ".join(f"{name} {peak / MB:.0f} MB" for name, peak in peaks.items() if peak)
    return Row(f"peak memory: {job}", f"{own / MB:.0f} MB", peers, "", "≤ 300 MB", own <= MEMORY)


def _help(samples: Samples) -> Row:
    over = _middle(samples["oakum"]) - _middle(samples["python"])
    return Row(
        JOBS["help"],
        _seconds(samples["oakum"]),
        f"`python3 -c pass` {_seconds(samples['python'])}",
        f"{over:+.2f} s",
        "≤ +0.2 s",
        over <= 0.2,
    )


def _middle(samples: list[Sample]) -> float:
    return median(sample.seconds for sample in samples)


def _seconds(samples: list[Sample]) -> str:
    return f"{_middle(samples):.2f} s"
