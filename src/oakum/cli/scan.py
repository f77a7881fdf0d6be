"""``oakum scan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

if TYPE_CHECKING:
    from oakum.verbs import Scan

EXAMPLES = """
Examples:

    oakum scan debian:12

    oakum scan . --only nginx --format json

    oakum scan registry.example/app:1.0 --report trivy.json --fail-on high
"""
LEVELS = ("any", "negligible", "low", "medium", "high", "critical")


def scan(
    image: Annotated[str, typer.Argument(metavar="IMAGE|DIR", help="Image, or build context.")],
    file: o.Dockerfile = None,
    build_arg: o.BuildArgs = [],
    target: o.Target = None,
    platform: o.PlatformName = None,
    secret: o.Secrets = [],
    network: o.NetworkMode = "default",
    add_host: o.AddHosts = [],
    build_context: o.Contexts = [],
    sandbox: o.Sandbox = None,
    report: o.Reports = [],
    only: o.Only = [],
    ignore: o.Ignores = [],
    ignore_file: o.IgnoreFiles = [],
    max_version: o.Ceilings = [],
    fail_on: Annotated[
        str | None,
        typer.Option(metavar="any|low|medium|high|critical", help="Exit 3 if a fix is this grave."),
    ] = None,
    pull: Annotated[
        bool, typer.Option("--pull", help="Ask the registry what a tag is now.")
    ] = False,
    packages: Annotated[
        bool, typer.Option("--packages", help="List every installed package, not the fixes only.")
    ] = False,
    no_lock: o.NoLock = False,
    max_age: o.MaxAge = 300.0,
    with_security: o.WithSecurity = False,
    apt_source: o.AptSources = [],
    keyring: o.Keyrings = [],
    offline: o.Offline = False,
    insecure: o.Insecure = [],
    mirror: o.Mirrors = [],
    ca_certificates: o.Certificates = None,
    jobs: o.Jobs = 4,
    progress: o.ProgressMode = "auto",
    quiet: o.Quiet = False,
    format_: o.Format = "table",
    result_file: o.ResultFile = None,
) -> int:
    """List installed packages that have a fix, with the layer and line that brought them in."""
    from oakum.builder import parse_place
    from oakum.cli.output import check_format, show_json, write_result
    from oakum.cli.session import opened_store, watching
    from oakum.errors import EXIT_DONE, EXIT_FINDINGS, UsageError
    from oakum.verbs.selection import severity_at_least

    check_format(format_)
    if fail_on is not None and fail_on not in LEVELS:
        raise UsageError(f"unknown severity {fail_on!r}", f"one of {', '.join(LEVELS)}")
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    repositories = r.repository_options(
        max_age, with_security, apt_source, keyring, ca_certificates, offline
    )
    directory = Path(image) if Path(image).is_dir() and "://" not in image else None
    selection, notes = r.selection_of(report, only, ignore, ignore_file, max_version, directory)
    with (
        opened_store(runs_steps=directory is not None) as store,
        watching(progress, quiet) as watch,
    ):
        from oakum.verbs import scan as scan_image
        from oakum.verbs import scan_sources

        if directory is not None:
            request = r.build_request(
                arguments=build_arg,
                target=target,
                platform=platform,
                secrets=secret,
                network=network,
                add_hosts=add_host,
                contexts=build_context,
                certificates=ca_certificates,
                sandbox=sandbox,
            )
            place = parse_place(image)
            with r.opened_context(store, request, place, file, watch) as request:
                found = scan_sources(
                    store,
                    request,
                    use_lock=not no_lock,
                    selection=selection,
                    repositories=repositories,
                    registry=registry,
                    progress=watch,
                )
        else:
            found = scan_image(
                store,
                image,
                platform=r.platform_of(platform),
                selection=selection,
                repositories=repositories,
                registry=registry,
                refresh=pull,
                progress=watch,
            )
    found = r.with_notes(found, notes)
    write_result(result_file, found)
    if format_ == "json":
        show_json(found)
    else:
        _show(found, packages)
    if fail_on and any(severity_at_least(fix.severity, fail_on) for fix in found.fixes):
        return EXIT_FINDINGS
    return EXIT_DONE


def _show(found: Scan, packages: bool) -> None:
    from oakum.cli.output import listed, say, say_line, table
    from oakum.oci import short

    if packages:
        rows = [
            (p.package, p.version, p.architecture, short(p.layer or ""), p.line or "")
            for p in found.packages
        ]
        say(table(("PACKAGE", "VERSION", "ARCH", "LAYER", "LINE"), rows))
        say()
    if found.fixes:
        fixes = [
            (
                fix.package,
                fix.installed,
                fix.fixed,
                "security" if fix.security else "update",
                fix.line or "",
                short(fix.layer or ""),
                listed(fix.advisories),
            )
            for fix in found.fixes
        ]
        header = ("PACKAGE", "INSTALLED", "FIXED", "FROM", "LINE", "LAYER", "CLOSES")
        say(table(header, fixes))
        say()
    for left in found.unfixed:
        say_line(f"not fixed: {left.package} {left.installed}: {left.detail} [{left.reason}]")
    for note in found.notes:
        say_line(f"note: {note}")
    closed = {advisory for fix in found.fixes for advisory in fix.advisories}
    say(
        f"{len(found.packages)} packages, {len(found.fixes)} with a fix, "
        f"{len(closed)} advisories closed by them"
    )
