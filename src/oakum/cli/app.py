"""The command line: options before the verb, and the verbs, one file each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from oakum.cli import (
    build,
    bump,
    images,
    lock,
    look,
    rebuild,
    scan,
    store,
    transfer,
    verify,
)
from oakum.cli.outcome import with_result
from oakum.cli.session import SETTINGS, guarded_main
from oakum.errors import UsageError

app = typer.Typer(
    name="oakum",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: oakum build . -t registry.example/app:1.0 --push; later, with what has a fix "
    "raised: oakum rebuild . -t registry.example/app:1.0.1 --write --push. Exit codes: 0 done or "
    "nothing to do, 1 failed, 2 usage, 3 findings or pending edits where asked for, 4 proof "
    "failed.",
)
_STORE = typer.Typer(
    help="The local store.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: oakum store info",
)


def _version(wanted: bool) -> None:
    if wanted:
        from oakum.version import version

        typer.echo(f"oakum {version()}")
        raise typer.Exit


@app.callback()
def _before(
    store_: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            envvar="OAKUM_STORE",
            readable=False,
            help="Where images and caches are kept.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks for errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    """Patch container images by rebuilding only what a fix reaches."""
    SETTINGS.store = store_
    SETTINGS.debug = debug


def _verb(group: typer.Typer, function: Any, name: str, examples: str = "") -> None:
    group.command(name, epilog=examples.strip() or None)(with_result(function))


_verb(app, scan.scan, "scan", scan.EXAMPLES)
_verb(app, bump.bump, "bump", bump.EXAMPLES)
_verb(app, build.build, "build", build.EXAMPLES)
_verb(app, rebuild.rebuild, "rebuild", rebuild.EXAMPLES)
_verb(app, lock.lock, "lock", lock.EXAMPLES)
_verb(app, verify.verify, "verify", verify.EXAMPLES)
_verb(app, transfer.pull, "pull", transfer.PULL_EXAMPLES)
_verb(app, transfer.push, "push", transfer.PUSH_EXAMPLES)
_verb(app, transfer.copy, "copy", transfer.COPY_EXAMPLES)
_verb(app, images.images, "images", images.IMAGES_EXAMPLES)
_verb(app, images.tag, "tag", images.TAG_EXAMPLES)
_verb(app, images.rmi, "rmi", images.RMI_EXAMPLES)
_verb(app, look.inspect, "inspect", look.INSPECT_EXAMPLES)
_verb(app, look.ls, "ls", look.LS_EXAMPLES)
_verb(app, look.cat, "cat", look.CAT_EXAMPLES)
_verb(_STORE, store.info, "info", store.INFO_EXAMPLES)
_verb(_STORE, store.check, "check", store.CHECK_EXAMPLES)
_verb(_STORE, store.mounts, "mounts", store.MOUNTS_EXAMPLES)
_verb(_STORE, store.prune, "prune", store.PRUNE_EXAMPLES)
app.add_typer(_STORE, name="store")


def main() -> None:
    """Run the command line and leave with its exit code."""
    guarded_main(_run)


def _run() -> int:
    import click

    try:
        code = app(standalone_mode=False, prog_name="oakum")
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx else "oakum"
        raise UsageError(_once(error.format_message()), f"see '{verb} --help'") from error
    return int(code or 0)


def _once(message: str) -> str:
    """The message with one suggestion: typer and click both make one for a command."""
    parts = re.split(r" (?=\(?Did you mean)", message)
    return " ".join(parts[:2])
