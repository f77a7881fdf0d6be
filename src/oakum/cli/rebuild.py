"""``oakum rebuild``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

EXAMPLES = """
Examples:

    oakum rebuild .

    oakum rebuild . -t registry.example/app:1.0.1 --write --push

    oakum rebuild . --plan-out plan.json; oakum rebuild . --plan plan.json -t app:2 --write
"""


def rebuild(
    context: o.Context,
    tag: o.Tags = [],
    file: o.Dockerfile = None,
    write: Annotated[
        bool, typer.Option("--write", help="Carry it out; otherwise only show it.")
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="Push the image under its names.")] = False,
    plan_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan here.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Carry out exactly this plan, or stop."),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="CMD", help="Command that must succeed in the image.")
    ] = None,
    build_arg: o.BuildArgs = [],
    target: o.Target = None,
    platform: o.PlatformNames = [],
    secret: o.Secrets = [],
    ssh: o.Ssh = [],
    network: o.NetworkMode = "default",
    add_host: o.AddHosts = [],
    label: o.Labels = [],
    ulimit: o.Ulimits = [],
    shm_size: o.ShmSize = None,
    cgroup_parent: o.CgroupParent = None,
    memory: o.Memory = None,
    memory_swap: o.MemorySwap = None,
    cpu_shares: o.CpuShares = None,
    cpu_period: o.CpuPeriod = None,
    cpu_quota: o.CpuQuota = None,
    cpuset_cpus: o.CpusetCpus = None,
    cpuset_mems: o.CpusetMems = None,
    pids_limit: o.PidsLimit = None,
    no_cache: o.NoCache = False,
    no_cache_filter: o.NoCacheFilter = [],
    cache_from: o.CacheFrom = [],
    cache_to: o.CacheTo = [],
    build_context: o.Contexts = [],
    locked: o.Locked = False,
    no_lock: o.NoLock = False,
    reproducible: o.Reproducible = False,
    compression: o.CompressionName = "gzip",
    load: o.Load = False,
    output: o.Outputs = [],
    sandbox: o.Sandbox = None,
    engine: o.EngineName = "embedded",
    bump_tags: o.BumpTags = "none",
    upgrade_at: o.UpgradeAt = "base",
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
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|markdown", help="How it is reported.")
    ] = "table",
    result_file: o.ResultFile = None,
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Find the fixes, change the Dockerfile, rebuild what that reaches, prove it, push it."""
    from oakum.builder import parse_place
    from oakum.cli.build_outputs import parse_outputs, write_outputs
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.rebuild_report import as_markdown, as_text, read_plan
    from oakum.cli.session import opened_store, watching
    from oakum.cli.step_options import with_limits
    from oakum.errors import UsageError

    check_format(format_, "markdown")
    names = r.references(tag)
    outputs = parse_outputs(output, load=load)
    if (push or load) and not names:
        raise UsageError("there is no name to push or load", "give one with -t")
    if (push or outputs) and not write:
        flag = "--push" if push else "--output"
        raise UsageError(f"{flag} needs --write", "without --write nothing is built or changed")
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
        secrets=secret,
        ssh=ssh,
        network=network,
        add_hosts=add_host,
        labels=label,
        contexts=build_context,
        certificates=ca_certificates,
        sandbox=sandbox,
        engine=engine,
        no_cache=no_cache,
        no_cache_filter=no_cache_filter,
        cache_from=cache_from,
        cache_to=cache_to,
        offline=offline,
        reproducible=reproducible,
    )
    request = with_limits(
        request,
        ulimits=ulimit,
        shm_size=shm_size,
        cgroup_parent=cgroup_parent,
        memory=memory,
        memory_swap=memory_swap,
        cpu_shares=cpu_shares,
        cpu_period=cpu_period,
        cpu_quota=cpu_quota,
        cpuset_cpus=cpuset_cpus,
        cpuset_mems=cpuset_mems,
        pids_limit=pids_limit,
    )
    with (
        opened_store(runs_steps=engine == "embedded" or run is not None) as store,
        watching(progress, quiet) as watch,
        r.opened_context(store, request, place, file, watch) as request,
    ):
        request = r.with_lock(request, locked=locked, no_lock=no_lock, compression=compression)
        from oakum.verbs import RebuildRequest
        from oakum.verbs import rebuild as rebuild_image

        rebuilt = rebuild_image(
            store,
            RebuildRequest(
                request,
                selection,
                r.bump_options(bump_tags, upgrade_at, platform),
                repositories,
                registry,
                names,
                write,
                push,
                not no_lock,
                read_plan(plan) if plan else None,
                run,
            ),
            watch,
            lambda built: write_outputs(store, built, outputs, names, watch, registry),
        )
    if plan_out:
        write_result(plan_out, rebuilt.plan)
    write_result(result_file, rebuilt)
    if format_ == "json":
        show_json(rebuilt)
    elif format_ == "markdown":
        say(as_markdown(rebuilt))
    else:
        say(as_text(rebuilt))
        for note in notes:
            r.warn(f"note: {note}")
    return exit_code(rebuilt.outcome, detailed_exit_code)
