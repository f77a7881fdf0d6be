"""What a rebuild did, for people: on a terminal, and as the text of a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oakum.errors import UsageError

if TYPE_CHECKING:
    from oakum.verbs import Fix, Plan, Rebuilt, Unfixed

_OUTCOMES = {
    "done": "done",
    "nothing-to-do": "nothing to do",
    "partly-done": "partly done",
    "not-possible": "not possible",
    "failed": "failed",
}


def read_plan(path: Path) -> Plan:
    """The plan that ``--plan-out`` wrote; `UsageError` for anything else."""
    import msgspec

    from oakum.verbs import SCHEMA, Plan

    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}", "check it") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a plan: {error}", "make one with --plan-out") from error
    if plan.schema != SCHEMA:
        raise UsageError(f"{path} is of another version of oakum", "make one with --plan-out")
    return plan


def as_text(rebuilt: Rebuilt) -> str:
    """The report on a terminal."""
    from oakum.cli.output import listed
    from oakum.cli.printable import printable

    plan = rebuilt.plan
    lines: list[str] = []
    if plan.diff:
        lines += [printable(plan.diff, lines=True).rstrip("\n"), ""]
    for change in plan.changes:
        where = f" (line {change.line})" if change.line else ""
        closes = f", closes {listed(change.advisories)}" if change.advisories else ""
        lines.append(
            f"{change.kind}: {change.package} {change.old or '-'} -> {change.new or 'removed'}"
            f"{where}: {change.why}{closes}"
        )
    lines += [_left(left) for left in rebuilt.unfixed]
    lines += [f"note: {note}" for note in plan.notes]
    if rebuilt.applied:
        lines += _carried_out(rebuilt)
    elif plan.changes:
        lines.append("nothing was changed; carry it out with --write")
    would = "" if rebuilt.applied or not plan.changes else " if carried out"
    lines.append(f"outcome{would}: {_OUTCOMES[rebuilt.outcome]}")
    return "\n".join(lines)


def _left(left: Unfixed) -> str:
    advisories = f" ({', '.join(left.advisories)})" if left.advisories else ""
    return f"not fixed: {left.package} {left.installed}{advisories}: {left.detail} [{left.reason}]"


def _carried_out(rebuilt: Rebuilt) -> list[str]:
    from oakum.cli.progress import human

    lines = []
    for step in rebuilt.steps:
        if step.status == "config":
            continue
        took = f"{step.seconds:.1f} s" if step.status == "ran" else "cached"
        lines.append(f"{step.stage} line {step.line}: {took}: {step.text[:100]}")
    lines.append(f"{rebuilt.ran} steps run, {rebuilt.cached} cached, {rebuilt.seconds:.1f} s")
    if rebuilt.proof is not None:
        proof = rebuilt.proof
        lines.append(
            f"proof: passed: {proof.packages_checked} packages, {proof.files_checked} files, "
            f"{proof.paths_changed} changed paths explained"
        )
        lines += [f"note: {note}" for note in proof.notes]
    lines += [f"{rebuilt.engine.name}: {limit}" for limit in rebuilt.engine.limits]
    lines.append(f"image {rebuilt.digest}, {human(rebuilt.size)}")
    lines += [f"tagged {tag}" for tag in rebuilt.tags]
    for one in rebuilt.published:
        lines.append(
            f"pushed {one.name}: {human(one.bytes_sent)} sent, {human(one.bytes_kept)} kept, "
            f"{human(one.bytes_mounted)} mounted"
        )
    return lines


def as_markdown(rebuilt: Rebuilt) -> str:
    """The text of a pull request: package, from, to, CVEs closed, CVEs left, size."""
    from oakum.verbs.interface import SETTLED

    fixes, left = rebuilt.fixed, [u for u in rebuilt.unfixed if u.reason not in SETTLED]
    closed = sorted({advisory for fix in fixes for advisory in fix.advisories})
    title = f"## Update {len(fixes)} packages" if len(fixes) != 1 else "## Update 1 package"
    lines = [f"{title}, closing {len(closed)} advisories", ""]
    if fixes:
        lines += ["| package | from | to | closes |", "|---|---|---|---|"]
        lines += [_row(fix) for fix in fixes]
    else:
        lines.append("Nothing has a fix that is wanted.")
    bases = [c for c in rebuilt.plan.changes if c.kind == "base"]
    if bases:
        lines += ["", "### Base images", ""]
        lines += [f"- `{_cell(c.package)}`: `{c.old}` → `{c.new}`" for c in bases]
    lines += ["", "### Left open", ""]
    lines += [
        f"- **{_cell(u.package)}** {_cell(u.installed)}: {_cell(u.detail)}"
        + (f" ({', '.join(map(_cell, u.advisories))})" if u.advisories else "")
        for u in left
    ] or ["Nothing that oakum knows of."]
    lines += ["", "### Image", ""]
    lines += _image(rebuilt)
    for note in rebuilt.plan.notes:
        lines.append(f"- {_cell(note)}")
    for limit in rebuilt.engine.limits:
        lines.append(f"- built with {_cell(rebuilt.engine.name)}: {_cell(limit)}")
    return "\n".join(lines)


def _row(fix: Fix) -> str:
    closes = ", ".join(map(_cell, fix.advisories)) or "–"
    return f"| {_cell(fix.package)} | {_cell(fix.installed)} | {_cell(fix.fixed)} | {closes} |"


def _image(rebuilt: Rebuilt) -> list[str]:
    from oakum.cli.progress import human

    if not rebuilt.applied:
        return ["- not built yet"]
    change = rebuilt.size - rebuilt.old_size
    sign = "+" if change >= 0 else "−"
    before = f", was {human(rebuilt.old_size)} ({sign}{human(abs(change))})"
    lines = [f"- size {human(rebuilt.size)}{before if rebuilt.old_size else ''}"]
    lines.append(f"- {rebuilt.ran} steps run, {rebuilt.cached} cached")
    sent = sum(one.bytes_sent for one in rebuilt.published)
    if rebuilt.published:
        lines.append(f"- {human(sent)} pushed")
    lines.append(f"- `{rebuilt.digest}`")
    if rebuilt.proof is not None and rebuilt.proof.passed:
        lines.append(f"- verified: {rebuilt.proof.paths_changed} changed paths explained")
    return lines


def _cell(text: str) -> str:
    """Text from an image or a report, with nothing that Markdown or HTML would obey."""
    from oakum.cli.printable import printable

    clean = printable(text)
    return "".join(f"\\{c}" if c in "|`*_[]<>\\" else c for c in clean)
