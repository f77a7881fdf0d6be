"""``oakum images``, ``tag`` and ``rmi``: the names in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oakum.cli import options as o

if TYPE_CHECKING:
    from oakum.verbs import Outcome

IMAGES_EXAMPLES = """
Examples:

    oakum images

    oakum images --format json
"""
TAG_EXAMPLES = """
Example:

    oakum tag app:1.0 registry.example/app:1.0
"""
RMI_EXAMPLES = """
Example:

    oakum rmi app:1.0
"""


def images(format_: o.Format = "table") -> int:
    """List the images in the store."""
    from oakum.cli.output import check_format, say, show_json, table
    from oakum.cli.progress import human
    from oakum.cli.session import opened_store
    from oakum.oci import short

    check_format(format_)
    with opened_store() as store:
        from oakum.verbs import ImageList, list_images

        listed = ImageList(images=tuple(list_images(store)))
    if format_ == "json":
        show_json(listed)
        return 0
    rows = [
        (one.name, short(one.digest), one.platform, human(one.size), one.created or "")
        for one in listed.images
    ]
    say(table(("NAME", "DIGEST", "PLATFORM", "SIZE", "CREATED"), rows))
    return 0


def tag(
    image: Annotated[str, typer.Argument(help="An image of the store.")],
    name: Annotated[str, typer.Argument(help="Its further name.")],
    format_: o.Format = "table",
    result_file: o.ResultFile = None,
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Give an image of the store another name."""
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.session import opened_store

    check_format(format_)
    with opened_store() as store:
        from oakum.verbs import Tagged, tag_image

        descriptor, changed = tag_image(store, image, name)
        outcome: Outcome = "done" if changed else "nothing-to-do"
        tagged = Tagged(outcome=outcome, name=name, digest=descriptor.digest)
    write_result(result_file, tagged)
    if format_ == "json":
        show_json(tagged)
    else:
        say(f"{name} is {descriptor.digest}")
    return exit_code(outcome, detailed_exit_code)


def rmi(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names to forget.")],
    format_: o.Format = "table",
    result_file: o.ResultFile = None,
) -> int:
    """Forget names of images; 'oakum store prune' frees what no name needs."""
    from oakum.cli.output import check_format, say, show_json, write_result
    from oakum.cli.session import opened_store

    check_format(format_)
    with opened_store() as store:
        from oakum.verbs import Forgotten, untag_images

        forgotten = Forgotten(outcome="done", removed=tuple(untag_images(store, names)))
    write_result(result_file, forgotten)
    if format_ == "json":
        show_json(forgotten)
    else:
        for name in forgotten.removed:
            say(f"forgot {name}")
    return 0
