"""``oakum inspect``, ``ls`` and ``cat``: looking into an image."""

from __future__ import annotations

from typing import Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

INSPECT_EXAMPLES = """
Example:

    oakum inspect debian:12
"""
LS_EXAMPLES = """
Examples:

    oakum ls debian:12 /etc

    oakum ls -R app:1.0 / --format json
"""
CAT_EXAMPLES = """
Example:

    oakum cat debian:12 /etc/os-release
"""


def inspect(
    image: Annotated[str, typer.Argument(help="Image to look at.")],
    platform: o.PlatformName = None,
    insecure: o.Insecure = [],
    mirror: o.Mirrors = [],
    ca_certificates: o.Certificates = None,
    jobs: o.Jobs = 4,
    progress: o.ProgressMode = "auto",
    quiet: o.Quiet = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="json|table", help="How the answer is written.")
    ] = "json",
) -> int:
    """Show an image's manifest, layers and config."""
    from oakum.cli.output import check_format, say, show_json, table
    from oakum.cli.session import opened_store, watching
    from oakum.oci import short

    check_format(format_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    with opened_store() as store, watching(progress, quiet) as watch:
        from oakum.verbs import inspect as inspect_image

        document = inspect_image(
            store, image, platform=r.platform_of(platform), options=registry, progress=watch
        )
    if format_ == "json":
        show_json(document)
        return 0
    say(f"{document['name']} {document['digest']} {document['platform']}")
    rows = [
        (short(row["diff_id"]), row["size"], row["line"] or "", row["created_by"][:100])
        for row in document["layers"]
    ]
    say(table(("LAYER", "BYTES", "LINE", "CREATED BY"), rows))
    return 0


def ls(
    image: Annotated[str, typer.Argument(help="Image to look into.")],
    path: Annotated[str, typer.Argument(help="Directory or file.")] = "/",
    recursive: Annotated[
        bool, typer.Option("-R", "--recursive", help="Everything below as well.")
    ] = False,
    platform: o.PlatformName = None,
    insecure: o.Insecure = [],
    mirror: o.Mirrors = [],
    ca_certificates: o.Certificates = None,
    jobs: o.Jobs = 4,
    progress: o.ProgressMode = "auto",
    quiet: o.Quiet = False,
    format_: o.Format = "table",
) -> int:
    """List files of an image, each with the layer that it is in."""
    from oakum.cli.output import check_format, say, show_json, table
    from oakum.cli.session import opened_store, watching
    from oakum.oci import short

    check_format(format_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    with opened_store() as store, watching(progress, quiet) as watch:
        from oakum.verbs import FileList, list_files

        found = tuple(
            list_files(
                store,
                image,
                path,
                recursive=recursive,
                platform=r.platform_of(platform),
                options=registry,
                progress=watch,
            )
        )
    listed = FileList(image=image, files=found)
    if format_ == "json":
        show_json(listed)
        return 0
    rows = [
        (
            file.mode,
            f"{file.uid}:{file.gid}",
            file.size,
            short(file.layer),
            file.path + (f" -> {file.link}" if file.link is not None else ""),
        )
        for file in found
    ]
    say(table(("MODE", "OWNER", "SIZE", "LAYER", "PATH"), rows))
    return 0


def cat(
    image: Annotated[str, typer.Argument(help="Image to look into.")],
    path: Annotated[str, typer.Argument(help="File in the image.")],
    platform: o.PlatformName = None,
    insecure: o.Insecure = [],
    mirror: o.Mirrors = [],
    ca_certificates: o.Certificates = None,
    jobs: o.Jobs = 4,
    progress: o.ProgressMode = "auto",
    quiet: o.Quiet = False,
) -> int:
    """Write a file of an image to standard output, byte for byte."""
    import sys

    from oakum.cli.session import opened_store, watching

    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    with opened_store() as store, watching(progress, quiet) as watch:
        from oakum.verbs import read_file

        for piece in read_file(
            store,
            image,
            path,
            platform=r.platform_of(platform),
            options=registry,
            progress=watch,
        ):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0
