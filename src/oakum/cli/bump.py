"""``oakum bump``."""

from __future__ import annotations

from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

EXAMPLES = """
Examples:

    oakum bump .

    oakum bump . --write --bump-tags patch

    oakum bump . --check --report trivy.json
"""


def bump(
    context: o.Context,
    file: o.Dockerfile = None,
    build_arg: o.BuildArgs = [],
    target: o.Target = None,
    platform: o.PlatformNames = [],
    build_context: o.Contexts = [],
    write: Annotated[bool, typer.Option("--write", help="Change the files.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 3 if there would be edits.")] = False,
    bump_tags: o.BumpTags = "none",
    upgrade_at: o.UpgradeAt = "base",
    no_lock: o.NoLock = False,
    report: o.Reports = [],
    only: o.Only = [],
    ignore: o.Ignores = [],
    ignore_file: o.IgnoreFiles = [],
    max_version: o.Ceilings = [],
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
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Change the versions in a Dockerfile that have a fix, and nothing else in it.

    Prints a unified diff; --write applies it.
    """
    from oakum.builder import parse_place, require_own_sources
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.session import opened_store, watching
    from oakum.errors import EXIT_FINDINGS

    check_format(format_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    repositories = r.repository_options(
        max_age, with_security, apt_source, keyring, ca_certificates, offline
    )
    place = parse_place(context)
    selection, notes = r.selection_of(
        report, only, ignore, ignore_file, max_version, place.directory
    )
    request = r.build_request(
        arguments=build_arg,
        target=target,
        platform=r.first_platform(platform),
        contexts=build_context,
        certificates=ca_certificates,
    )
    with (
        opened_store(runs_steps=True) as store,
        watching(progress, quiet) as watch,
        r.opened_context(store, request, place, file, watch) as request,
    ):
        from oakum.verbs import BumpResult, outcome_of, write_bump
        from oakum.verbs import bump as plan_bump

        if write:
            require_own_sources(request)
        bumped = plan_bump(
            store,
            request,
            use_lock=not no_lock,
            selection=selection,
            options=r.bump_options(bump_tags, upgrade_at, platform),
            repositories=repositories,
            registry=registry,
            progress=watch,
        )
        if write:
            write_bump(request, bumped)
    plan = r.with_notes(bumped.plan, notes)
    outcome = outcome_of(plan)
    document = BumpResult(outcome=outcome, applied=write, plan=plan)
    write_result(result_file, document)
    if format_ == "json":
        show_json(document)
    else:
        r.write_raw(plan.diff)
        for left in plan.unfixed:
            r.warn(f"not fixed: {left.package} {left.installed}: {left.detail} [{left.reason}]")
        for note in plan.notes:
            r.warn(f"note: {note}")
        if not plan.diff and not quiet:
            say("nothing to change")
    if check and plan.diff:
        return EXIT_FINDINGS
    return exit_code(outcome, detailed_exit_code)
