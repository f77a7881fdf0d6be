"""``oakum store``: what the local store holds, whether it is whole, and making room."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r
from oakum.errors import UsageError

INFO_EXAMPLES = """
Example:

    oakum store info
"""
CHECK_EXAMPLES = """
Examples:

    oakum store check

    oakum store check --repair
"""
PRUNE_EXAMPLES = """
Examples:

    oakum store prune

    oakum store prune --older-than 12h
"""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def info(format_: o.Format = "table") -> int:
    """Tell where the store is and what takes the place in it."""
    from oakum.cli.output import check_format, say, show_json, table
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store
    from oakum.store import usage

    check_format(format_)
    with opened_store() as store:
        found = usage(store)
    if format_ == "json":
        show_json(found)
        return 0
    rows = [
        ("blobs", found.blobs, human(found.blob_bytes)),
        ("unpacked layers", "", human(found.snapshot_bytes)),
        ("indexes and build cache", "", human(found.record_bytes)),
        ("package indexes and cache mounts", "", human(found.cache_bytes)),
        ("all", "", human(found.total_bytes)),
    ]
    say(f"{found.root}: {found.names} names")
    say(table(("WHAT", "COUNT", "SIZE"), rows))
    return 0


def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged; it can be fetched again.")
    ] = False,
    progress: o.ProgressMode = "auto",
    quiet: o.Quiet = False,
    format_: o.Format = "table",
    result_file: o.ResultFile = None,
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Check every blob, name and record; exit 1 when damage is left."""
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, say_line, show_json, write_result
    from oakum.cli.session import opened_store, watching
    from oakum.store import check_store

    check_format(format_)
    with opened_store() as store, watching(progress, quiet) as watch:
        found = check_store(store, repair=repair, progress=watch)
    write_result(result_file, found)
    if format_ == "json":
        show_json(found)
    else:
        for one in found.damage:
            state = "repaired" if one.repaired else "damaged"
            say_line(f"{state}: {one.kind} {one.subject}: {one.detail}")
        say(f"{found.blobs} blobs and {found.names} names checked, {len(found.damage)} damaged")
        if any(not one.repaired for one in found.damage):
            r.warn("hint: 'oakum store check --repair' removes what is damaged")
    return exit_code(found.outcome, detailed_exit_code)


def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Keep build results younger than this: 12h, 7d.")
    ] = "7d",
    everything: Annotated[
        bool, typer.Option("--all", help="Forget the whole build cache.")
    ] = False,
    format_: o.Format = "table",
    result_file: o.ResultFile = None,
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Remove what no name of an image and no recent build needs."""
    from oakum.builder import prune as prune_store
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store

    check_format(format_)
    match = re.fullmatch(r"(\d+)([smhd])", older_than)
    if not match:
        raise UsageError(f"not an age: {older_than!r}", "write 30m, 12h or 7d")
    age = int(match[1]) * _UNITS[match[2]]
    with opened_store() as store:
        pruned = prune_store(store, older_than=None if everything else age)
    write_result(result_file, pruned)
    if format_ == "json":
        show_json(pruned)
    else:
        say(
            f"removed {pruned.blobs} blobs, {pruned.snapshots} unpacked layers and "
            f"{pruned.steps} cached steps: {human(pruned.bytes_freed)} freed"
        )
    return exit_code(pruned.outcome, detailed_exit_code)
