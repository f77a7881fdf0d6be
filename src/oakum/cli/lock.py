"""``oakum lock``."""

from __future__ import annotations

from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

EXAMPLES = """
Examples:

    oakum lock .

    oakum lock . --check
"""


def lock(
    context: o.Context,
    file: o.Dockerfile = None,
    build_arg: o.BuildArgs = [],
    target: o.Target = None,
    platform: o.PlatformName = None,
    secret: o.Secrets = [],
    ssh: o.Ssh = [],
    network: o.NetworkMode = "default",
    add_host: o.AddHosts = [],
    build_context: o.Contexts = [],
    no_cache: o.NoCache = False,
    reproducible: o.Reproducible = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 3 if the lock is out of date.")
    ] = False,
    sandbox: o.Sandbox = None,
    engine: o.EngineName = "embedded",
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
    """Write oakum.lock: the digests and package versions that the Dockerfile resolves to."""
    from oakum.builder import parse_place
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.session import opened_store, watching
    from oakum.errors import EXIT_FINDINGS

    check_format(format_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    place = parse_place(context)
    request = r.build_request(
        arguments=build_arg,
        target=target,
        platform=platform,
        secrets=secret,
        ssh=ssh,
        network=network,
        add_hosts=add_host,
        contexts=build_context,
        certificates=ca_certificates,
        sandbox=sandbox,
        engine=engine,
        no_cache=no_cache,
        reproducible=reproducible,
    )
    with (
        opened_store(runs_steps=engine == "embedded") as store,
        watching(progress, quiet) as watch,
        r.opened_context(store, request, place, file, watch) as request,
    ):
        from oakum.verbs import lock as make_lock

        locked = make_lock(store, request, write=not check, registry=registry, progress=watch)
    write_result(result_file, locked)
    if format_ == "json":
        show_json(locked)
    else:
        r.write_raw(locked.diff)
        if not quiet:
            moved = "is out of date" if check else "written"
            say(f"{locked.path}: {'up to date' if not locked.diff else moved}")
            for limit in locked.engine.limits:
                say(f"{locked.engine.name}: {limit}")
    if check and locked.diff:
        return EXIT_FINDINGS
    return exit_code(locked.outcome, detailed_exit_code)
