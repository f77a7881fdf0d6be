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

    oakum store prune --keep-bytes 20GB

    oakum store prune --mounts npm
"""
MOUNTS_EXAMPLES = """
Example:

    oakum store mounts
"""
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def info(format_: o.Format = "table") -> int:
    """Tell where the store is and what takes the place in it."""
    from oakum.builder.holdings import store_info
    from oakum.cli.output import check_format, say, show_json, table
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store

    check_format(format_)
    with opened_store() as store:
        found = store_info(store)
    if format_ == "json":
        show_json(found)
        return 0
    rows = [(x.kind, x.count, human(x.bytes), human(x.reclaimable)) for x in found.kinds]
    everything = sum(x.bytes for x in found.kinds)
    free = sum(x.reclaimable for x in found.kinds)
    say(f"{found.root}: {found.names} names")
    say(table(("WHAT", "COUNT", "SIZE", "RECLAIMABLE"), rows))
    say(f"{human(everything)} in all; 'oakum store prune --all' frees {human(free)}")
    return 0


def mounts(format_: o.Format = "table") -> int:
    """List the cache mounts of steps: id, size, last use."""
    from datetime import UTC, datetime

    from oakum.builder.cache_mounts import MountList, cache_mounts
    from oakum.cli.output import check_format, say, show_json, table
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store

    check_format(format_)
    with opened_store() as store:
        found = MountList(mounts=tuple(cache_mounts(store)))
    if format_ == "json":
        show_json(found)
        return 0
    rows = [
        (
            one.id,
            human(one.bytes),
            one.copies,
            "now" if one.in_use else f"{datetime.fromtimestamp(one.used, UTC):%Y-%m-%d %H:%M:%SZ}",
        )
        for one in found.mounts
    ]
    say(table(("ID", "SIZE", "COPIES", "LAST USED"), rows))
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
        str | None,
        typer.Option(
            metavar="AGE",
            help="Keep what was used more recently: 12h, 7d. 7d, unless --keep-bytes is given.",
        ),
    ] = None,
    keep_bytes: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Remove what was not used for longest until the store takes no more: 500MB, 20GB.",
        ),
    ] = None,
    kind: Annotated[
        list[str],
        typer.Option(
            metavar="steps|layers|mounts|downloads|indexes", help="Remove these only; repeatable."
        ),
    ] = [],
    mount: Annotated[
        list[str],
        typer.Option("--mounts", metavar="ID", help="Remove this cache mount, and nothing else."),
    ] = [],
    everything: Annotated[
        bool, typer.Option("--all", help="Whenever it was used: forget the whole build cache.")
    ] = False,
    format_: o.Format = "table",
    result_file: o.ResultFile = None,
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Remove what no name of an image and no recent build needs."""
    from oakum.builder import KINDS
    from oakum.builder import prune as prune_store
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store

    check_format(format_)
    wrong = sorted({*kind} - {*KINDS})
    if wrong:
        raise UsageError(f"unknown kind {wrong[0]!r}", f"one of {', '.join(KINDS)}")
    if mount and (kind or keep_bytes):
        raise UsageError("--mounts stands alone", "leave out --kind and --keep-bytes")
    age = _age(older_than, keep_bytes is None)
    most = None if keep_bytes is None else _size(keep_bytes)
    with opened_store() as store:
        pruned = prune_store(
            store,
            older_than=None if everything else age,
            keep_bytes=most,
            kinds=("mounts",) if mount else kind or KINDS,
            mounts=mount,
        )
    write_result(result_file, pruned)
    if format_ == "json":
        show_json(pruned)
    else:
        say(
            f"removed {pruned.steps} cached steps, {pruned.blobs} blobs, {pruned.snapshots} "
            f"unpacked layers, {pruned.mounts} cache mounts, {pruned.downloads} downloads and "
            f"{pruned.indexes} indexes: {human(pruned.bytes_freed)} freed"
        )
    return exit_code(pruned.outcome, detailed_exit_code)


def _age(text: str | None, default: bool) -> float:
    """Seconds; without a text a week, or for ever."""
    if text is None:
        return 7 * 86400.0 if default else 1e12
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if not match:
        raise UsageError(f"not an age: {text!r}", "write 30m, 12h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15})([KMGT]?)B?", text.upper())
    if not match:
        raise UsageError(f"not a size: {text!r}", "write 500MB or 20GB")
    return int(match[1]) * _SIZES[match[2]]
