"""``oakum pull``, ``push`` and ``copy``."""

from __future__ import annotations

from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

PULL_EXAMPLES = """
Examples:

    oakum pull debian:12

    oakum pull oci-archive:image.tar --platform linux/arm64
"""
PUSH_EXAMPLES = """
Examples:

    oakum push registry.example/app:1.0

    oakum push app:1.0 docker-daemon:app:1.0
"""
COPY_EXAMPLES = """
Examples:

    oakum copy docker://debian:12 oci:mirror:12

    oakum copy docker-archive:app.tar docker://registry.example/app:1.0
"""

AllPlatforms = Annotated[
    bool, typer.Option("--all-platforms", help="Every image of an index, not one platform's.")
]


def pull(
    image: Annotated[str, typer.Argument(help="Where the image is; docker:// by default.")],
    platform: o.PlatformName = None,
    all_platforms: AllPlatforms = False,
    tag: Annotated[
        str | None, typer.Option("-t", "--tag", metavar="NAME", help="Name in the store.")
    ] = None,
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
    """Bring an image into the store."""
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store, watching

    check_format(format_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    with opened_store() as store, watching(progress, quiet) as watch:
        from oakum.verbs import pull_image

        pulled = pull_image(
            store,
            image,
            platform=r.platform_of(platform),
            all_platforms=all_platforms,
            name=tag,
            options=registry,
            progress=watch,
        )
    write_result(result_file, pulled)
    if format_ == "json":
        show_json(pulled)
    elif quiet:
        say(pulled.digest)
    else:
        say(f"{pulled.name} is {pulled.digest}: {human(pulled.bytes_fetched)} fetched")
    return exit_code(pulled.outcome, detailed_exit_code)


def push(
    image: Annotated[str, typer.Argument(help="Image of the store.")],
    place: Annotated[
        str | None, typer.Argument(help="Where to; by default the registry of its name.")
    ] = None,
    platform: o.PlatformName = None,
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
    """Send an image of the store to a registry or elsewhere: only the blobs that are not there."""
    source = image if ":" in image.partition("/")[0] and "://" in image else f"store:{image}"
    source = image if image.startswith("store:") else source
    return _copy(
        source,
        place or image.removeprefix("store:"),
        platform,
        False,
        r.registry_options(insecure, mirror, ca_certificates, jobs),
        progress,
        quiet,
        format_,
        result_file,
        detailed_exit_code,
    )


def copy(
    source: Annotated[str, typer.Argument(help="Where the image is.")],
    place: Annotated[str, typer.Argument(help="Where it is to be.")],
    platform: o.PlatformName = None,
    all_platforms: AllPlatforms = False,
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
    """Copy an image from one place to another, byte for byte.

    Places: docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME],
    docker-daemon:NAME, store:NAME.
    """
    return _copy(
        source,
        place,
        platform,
        all_platforms,
        r.registry_options(insecure, mirror, ca_certificates, jobs),
        progress,
        quiet,
        format_,
        result_file,
        detailed_exit_code,
    )


def _copy(
    source: str,
    place: str,
    platform: str | None,
    all_platforms: bool,
    options: object,
    progress: str,
    quiet: bool,
    format_: str,
    result_file: o.ResultFile,
    detailed: bool,
) -> int:
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.session import opened_store, watching

    check_format(format_)
    with opened_store() as store, watching(progress, quiet) as watch:
        from oakum.verbs import copy as copy_place
        from oakum.verbs import copy_result

        copied = copy_place(
            store,
            source,
            place,
            platform=r.platform_of(platform),
            all_platforms=all_platforms,
            options=options,  # type: ignore[arg-type]
            progress=watch,
        )
    document = copy_result(copied, source, place)
    write_result(result_file, document)
    if format_ == "json":
        show_json(document)
    elif quiet:
        say(copied.root.digest)
    else:
        from oakum.cli.progress import human

        say(
            f"{place} is {copied.root.digest}: {human(copied.bytes_sent)} sent, "
            f"{human(copied.bytes_kept)} there already, {human(copied.bytes_mounted)} mounted"
        )
    return exit_code(document.outcome, detailed)
