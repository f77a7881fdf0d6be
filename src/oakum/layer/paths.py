"""The paths of a layer's members: normal, bounded, inside the root, whiteouts told apart."""

from __future__ import annotations

from oakum.errors import InvalidImage
from oakum.layer.entry import Kind

MAX_PATH = 4096
MAX_DEPTH = 256
"""Most components of a path; walking and removing a deeper tree overflows Python's stack."""
MAX_NAME = 255
"""Most bytes of one component of a path that Linux's file systems hold."""
WHITEOUT = b".wh."
"""What an archive puts before the name of a path that is gone (OCI image spec, layer.md)."""
OPAQUE = b".wh..wh..opq"
"""An archive's file in a directory that nothing below shows through."""


def damaged(why: str) -> InvalidImage:
    """The error for a layer that breaks the format or tries to break out."""
    return InvalidImage(
        f"the layer is not a valid archive: {why}",
        "the image is damaged or hostile; fetch it from a source you trust",
    )


def normalise(name: bytes) -> bytes:
    """The path as the root sees it; `InvalidImage` for ``..``, NUL or too long a path."""
    if b"\0" in name or len(name) > MAX_PATH:
        raise damaged("a path with a NUL byte or of more than 4096 bytes")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise damaged(f"the path {name[:100]!r} leads out of the root")
    if len(parts) > MAX_DEPTH:
        raise damaged(f"a path of more than {MAX_DEPTH} directories")
    if any(len(part.removeprefix(WHITEOUT)) > MAX_NAME for part in parts):
        raise damaged(f"the name {name[:100]!r} is longer than {MAX_NAME} bytes")
    return b"/".join(parts)


def marked_name(path: bytes) -> bytes:
    """The path under which an archive says that `path` is gone."""
    parent, slash, name = path.rpartition(b"/")
    return parent + slash + WHITEOUT + name


def whiteout(kind: Kind, path: bytes) -> tuple[Kind, bytes]:
    """Kind and path that a member stands for, given those that the archive names."""
    parent, _, base = path.rpartition(b"/")
    if not base.startswith(WHITEOUT):
        return kind, path
    if base == OPAQUE:
        return Kind.OPAQUE, parent
    if base.startswith(b".wh..wh.") or base == WHITEOUT:
        return Kind.WHITEOUT, parent + b"/" + base if parent else base
    target = base.removeprefix(WHITEOUT)
    if target in (b".", b".."):
        raise damaged(f"a whiteout of {target!r}")
    return Kind.WHITEOUT, parent + b"/" + target if parent else target


class Links:
    """The symlinks of one layer, so that members below one land where it leads, inside the root."""

    def __init__(self) -> None:
        self._links: set[bytes] = set()
        self._clean = b"\0"

    def note(self, path: bytes, *, symlink: bool) -> None:
        """A member at `path` takes the place of what was there."""
        if symlink:
            self._links.add(path)
            self._clean = b"\0"
        else:
            self._links.discard(path)

    def resolve(self, path: bytes) -> bytes:
        """`path`; `InvalidImage` when one of its parents is a symlink of this layer."""
        parent = path.rpartition(b"/")[0]
        if not self._links or parent == self._clean or not parent:
            return path
        at = len(parent)
        while at > 0:
            if parent[:at] in self._links:
                raise damaged(
                    f"it writes {path[:100]!r} through its own symbolic link {parent[:at]!r}"
                )
            at = parent.rfind(b"/", 0, at)
        self._clean = parent
        return path
