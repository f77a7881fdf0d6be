"""``--output`` and ``--load``: where a built image goes besides the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from oakum.errors import UsageError

if TYPE_CHECKING:
    from oakum.builder import Built
    from oakum.oci import Reference
    from oakum.progress import Progress
    from oakum.store import Store
    from oakum.transport import RegistryOptions

TYPES = ("oci", "docker", "local", "tar")


class Output(msgspec.Struct, frozen=True):
    """One ``--output``."""

    type: str
    """One of `TYPES`, or ``daemon``."""
    dest: str
    """File or directory; for ``tar`` also ``-``, standard output."""
    tar: bool = True
    """For ``oci``: whether it is an archive, not a directory."""


def parse_outputs(values: list[str], *, load: bool) -> list[Output]:
    """What ``--output`` and ``--load`` ask for."""
    found = [_parse(text) for text in values]
    if any(output.dest == "-" and output.type != "tar" for output in found):
        raise UsageError("only type=tar goes to standard output", "name a place: dest=PATH")
    if load:
        found.append(Output("daemon", ""))
    return found


def _parse(text: str) -> Output:
    if "=" not in text:
        return Output("local" if text != "-" else "tar", text)
    fields = dict(part.partition("=")[::2] for part in text.split(",") if part)
    kind, dest = fields.get("type", ""), fields.get("dest", "")
    if kind not in TYPES:
        known = ", ".join(TYPES)
        raise UsageError(
            f"--output type {kind!r} is not supported", f"one of {known}; --push and --load"
        )
    unknown = fields.keys() - {"type", "dest", "tar"}
    if unknown:
        raise UsageError(f"--output has no {sorted(unknown)[0]!r}", "type=, dest= and tar=")
    if kind == "docker" and not dest:
        return Output("daemon", "")
    if not dest:
        raise UsageError(f"--output type={kind} needs a place", "add dest=PATH")
    return Output(kind, dest, fields.get("tar", "true") != "false")


def refuse_several(outputs: list[Output], platforms: int) -> None:
    """`UsageError` for an output that cannot hold images of several platforms."""
    for output in outputs:
        if platforms > 1 and output.type != "oci":
            kind = "--load" if output.type == "daemon" else f"--output type={output.type}"
            raise UsageError(
                f"{kind} takes one platform, and {platforms} were asked for",
                "type=oci and --push take an index; or build one platform at a time",
            )


def write_outputs(
    store: Store,
    built: Built,
    outputs: list[Output],
    names: tuple[Reference, ...],
    progress: Progress,
    options: RegistryOptions,
) -> None:
    """Write the image to every place."""
    from oakum.builder import export
    from oakum.verbs import send

    for output in outputs:
        if output.type in ("local", "tar"):
            export(store, built, output.type, Path(output.dest), progress, options)
            continue
        for place in _places(output, names):
            send(store, built.image, place, progress, options)


def _places(output: Output, names: tuple[Reference, ...]) -> list[str]:
    if output.type == "daemon":
        if not names:
            raise UsageError("there is no name to load the image as", "give one with -t")
        return [f"docker-daemon:{name}" for name in names]
    if output.type == "docker":
        name = f":{names[0]}" if names else ""
        return [f"docker-archive:{output.dest}{name}"]
    kind = "oci-archive" if output.tar else "oci"
    tags = [f":{name.tag}" for name in names if name.tag] or [""]
    return [f"{kind}:{output.dest}{tag}" for tag in tags]
