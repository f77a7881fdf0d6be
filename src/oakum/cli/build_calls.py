"""What ``oakum build --check`` and ``--call`` print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from oakum.errors import UsageError

if TYPE_CHECKING:
    from oakum.builder import BuildRequest
    from oakum.dockerfile import Checked, CheckWarning, Outline, Target
    from oakum.progress import Progress
    from oakum.store import Store
    from oakum.transport import RegistryOptions

METHODS = ("build", "check", "outline", "targets")
_AROUND = 2
"""Lines that are shown before and behind those that a warning is about."""
_NOTES = 10
"""Warnings that a build names when it is done."""
_RULE = "-" * 20


class Call(msgspec.Struct, frozen=True):
    """What is asked of a Dockerfile."""

    method: str
    """One of `METHODS`."""
    json: bool = False
    """Whether the answer is written as JSON."""
    ignore_status: bool = False
    """Whether warnings leave the exit code alone."""


def parse_call(text: str, check: bool) -> Call:
    """``--call METHOD[,format=json][,ignorestatus=true]``, as buildx has it, or ``--check``."""
    method, *fields = text.split(",")
    if method not in METHODS:
        raise UsageError(f"unknown method {method[:80]!r} of --call", ", ".join(METHODS))
    if check and method not in ("build", "check"):
        raise UsageError(f"--check and --call {method} exclude each other", "give one of them")
    known = {"format=json": "json", "ignorestatus=true": "ignore_status"}
    known |= {"format=text": "", "ignorestatus=false": ""}
    for field in fields:
        if field not in known:
            hint = "write --call check,format=json or --call check,ignorestatus=true"
            raise UsageError(f"unknown field {field[:80]!r} of --call", hint)
    set_ = {known[field]: True for field in fields if known[field]}
    return msgspec.convert({"method": "check" if check else method, **set_}, Call)


def answer(
    call: Call,
    store: Store,
    request: BuildRequest,
    registry: RegistryOptions,
    progress: Progress,
    result_file: Path | None,
) -> int:
    """Print what was asked for; the exit code."""
    from oakum.builder import check, list_targets, outline
    from oakum.cli.output import say, show_json, write_result
    from oakum.cli.session import complain
    from oakum.verbs import OutlineResult, TargetList, check_result

    document: object
    if call.method == "check":
        checked = check(store, request, options=registry, progress=progress)
        result = check_result(checked)
        document, text = result, _checked(checked, request)
        failed = result.outcome == "failed" and not call.ignore_status
    elif call.method == "outline":
        found = outline(store, request, options=registry, progress=progress)
        document, text, failed = OutlineResult(outline=found), _outline(found), False
    else:
        stages = list_targets(request)
        document, text, failed = TargetList(targets=stages), _targets(stages), False
    write_result(result_file, document)
    if call.json:
        show_json(document)
    elif text:
        say(text)
    if call.method == "check" and checked.error is not None:
        complain(checked.error)
        return checked.error.exit_code
    return int(failed)


def _checked(checked: Checked, request: BuildRequest) -> str:
    from oakum.builder import dockerfile_path

    count = len(checked.warnings)
    if not count:
        return "" if checked.error else "Check complete, no warnings found."
    found = "1 warning has been found" if count == 1 else f"{count} warnings have been found"
    path = dockerfile_path(request)
    raw = request.dockerfile_text or path.read_bytes()
    lines = raw.decode("utf-8", "replace").removesuffix("\n").split("\n")
    shown = [_warning(one, path.name, lines) for one in checked.warnings]
    return "\n\n".join([f"Check complete, {found}!", *shown])


def _warning(one: CheckWarning, name: str, lines: list[str]) -> str:
    link = f" - {one.url}" if one.url else ""
    first, last = max(one.line - _AROUND, 1), min(one.last_line + _AROUND, len(lines))
    text = [f"WARNING: {one.rule}{link}", one.message, f"{name}:{one.line}", _RULE]
    for number in range(first, last + 1):
        mark = ">>>" if one.line <= number <= one.last_line else "   "
        text.append(f" {number:3} | {mark} {lines[number - 1]}".rstrip())
    return "\n".join([*text, _RULE])


def _outline(found: Outline) -> str:
    from oakum.cli.output import table

    parts = []
    if found.name or found.description:
        title = f"TARGET:      {found.name or '(default)'}"
        more = f"\nDESCRIPTION: {found.description}" if found.description else ""
        parts.append(title + more)
    if found.args:
        rows = [(arg.name, arg.value, arg.description) for arg in found.args]
        parts.append(table(("BUILD ARG", "VALUE", "DESCRIPTION"), rows))
    for title, asked in (("SECRET", found.secrets), ("SSH", found.ssh)):
        if asked:
            needs = [(one.name, "true" if one.required else "") for one in asked]
            parts.append(table((title, "REQUIRED"), needs))
    if found.caches:
        mounts = [(one.id, one.target) for one in found.caches]
        parts.append(table(("CACHE", "TARGET"), mounts))
    return "\n\n".join(parts)


def _targets(stages: tuple[Target, ...]) -> str:
    from oakum.cli.output import table

    rows = []
    for one in stages:
        mark = "(default)" if one.default else ""
        rows.append((f"{one.name} {mark}".strip(), one.base, one.description))
    return table(("TARGET", "BASE", "DESCRIPTION"), rows)


def check_notes(warnings: tuple[CheckWarning, ...]) -> list[str]:
    """What a build says of its warnings when it is done."""
    if not warnings:
        return []
    count = "1 build check" if len(warnings) == 1 else f"{len(warnings)} build checks"
    lines = [f"{one.rule}: {one.message} (line {one.line})" for one in warnings[:_NOTES]]
    more = [f"and {len(warnings) - _NOTES} more"] if len(warnings) > _NOTES else []
    return [f"{count} fired, see 'oakum build --check':", *lines, *more]
