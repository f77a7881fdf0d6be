"""How time and memory grow: a plot of characters, which every terminal and page shows."""

from __future__ import annotations

from benchmarks.measure import Sample

Curves = dict[str, list[tuple[int, Sample]]]
"""By what grows: (how many times as much, what it took)."""
MB = 10**6
_WIDTH = 48
_UNITS = {"files": "6 250 files", "bytes": "125 MB", "steps": "10 steps"}


def curves(points: Curves) -> str:
    """The plot, as a block of Markdown; empty when nothing was measured."""
    if not points:
        return ""
    lines = ["```"]
    for kind, line in points.items():
        longest = max(sample.seconds for _, sample in line)
        lines.append(f"{_UNITS.get(kind, kind)}, 1, 2, 4 and 8 times")
        for times, sample in line:
            bar = "#" * max(1, round(_WIDTH * sample.seconds / longest))
            memory = f"{sample.memory / MB:.0f} MB" if sample.memory else ""
            lines.append(f"{times} x {bar:<{_WIDTH}} {sample.seconds:6.2f} s {memory:>7}")
    return "\n".join([*lines, "```"])
