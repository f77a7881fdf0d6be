"""``oakum verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

EXAMPLES = """
Examples:

    oakum verify registry.example/app:1.0.1 --against registry.example/app:1.0

    oakum verify app:1.0.1 --run 'nginx -t'
"""


def verify(
    image: Annotated[str, typer.Argument(help="Image to verify.")],
    against: Annotated[
        str | None, typer.Option(metavar="OLD", help="Explain every path that differs from OLD.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="CMD", help="Command that must succeed in the image.")
    ] = None,
    allow_pending: Annotated[
        bool, typer.Option("--allow-pending", help="A fix that is not in is no failure.")
    ] = False,
    platform: o.PlatformName = None,
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
) -> int:
    """Prove that an image is right, or exit 4. Nothing of it runs but --run's command."""
    from oakum.cli.output import check_format, say, say_line, show_json, write_result
    from oakum.cli.session import opened_store, watching
    from oakum.errors import EXIT_DONE, EXIT_PROOF

    check_format(format_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    repositories = r.repository_options(
        max_age, with_security, apt_source, keyring, ca_certificates, offline
    )
    chosen = bool(report or only or ignore or ignore_file or max_version)
    selection, _ = r.selection_of(report, only, ignore, ignore_file, max_version)
    with opened_store(runs_steps=run is not None) as store, watching(progress, quiet) as watch:
        from oakum.verbs import verify as verify_image

        proof = verify_image(
            store,
            image,
            against=against,
            command=run,
            platform=r.platform_of(platform),
            pending=not allow_pending,
            selection=selection if chosen else None,
            repositories=repositories,
            registry=registry,
            progress=watch,
        )
    write_result(result_file, proof)
    if format_ == "json":
        show_json(proof)
    else:
        for problem in proof.problems:
            say_line(f"{problem.check}: {problem.subject}: {problem.detail}")
        for note in proof.notes:
            say_line(f"note: {note}")
        say(
            f"{'passed' if proof.passed else 'FAILED'}: {proof.packages_checked} packages, "
            f"{proof.files_checked} files checked"
            + (f", {proof.paths_changed} changed paths explained" if against else "")
        )
    return EXIT_DONE if proof.passed else EXIT_PROOF
