"""The files of a built image, outside of any image: as a directory, or as one tar."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from oakum.builder.build import Built
from oakum.builder.images import Images
from oakum.builder.sandbox import copy_root
from oakum.builder.snapshot import Snapshots
from oakum.errors import UsageError
from oakum.layer import Kind
from oakum.layer.disk import file_content, read_directory
from oakum.layer.write import encode_header
from oakum.progress import Event, Progress, silent
from oakum.store import Store, Unfinished, discard, guarded
from oakum.transport import RegistryOptions

_BLOCK = 512


def export(
    store: Store,
    built: Built,
    kind: str,
    dest: Path,
    progress: Progress = silent,
    options: RegistryOptions = RegistryOptions(),
) -> None:
    """Write the merged files to a directory (``local``) or tar (``tar``; ``-`` is stdout).

    A directory gets the files as they are, with owners where this process may set them; what is
    in it already stays unless the image has the same path, as docker does.
    """
    progress(Event("export", "start", f"write the image's files to {dest}"))
    layers = built.state.stack.layers
    directories = Snapshots(store, Images(store, options, progress).fetch).lowers(layers)
    if kind == "local":
        if dest.exists() and not dest.is_dir():
            raise UsageError(f"{dest} is not a directory", "name one that may be made")
        with guarded(f"write {dest}"):
            dest.mkdir(parents=True, exist_ok=True)
            copy_root(directories, dest)
    else:
        with _merged(store, directories) as root, _opened(store, dest) as out:
            _write_tar(root, out)
    progress(Event("export", "done"))


@contextlib.contextmanager
def _merged(store: Store, directories: list[Path]) -> Iterator[Path]:
    """All layers as one directory."""
    scratch = Path(tempfile.mkdtemp(prefix="export-", dir=store.place.scratch))
    root = scratch / "root"
    root.mkdir()
    try:
        with guarded("merge the image's layers"):
            copy_root(directories, root)
        yield root
    finally:
        discard(scratch)


@contextlib.contextmanager
def _opened(store: Store, dest: Path) -> Iterator[IO[bytes]]:
    """The output, which is there as a whole or not at all."""
    if str(dest) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with guarded(f"write {dest}"):
        unfinished = Unfinished(dest)
        try:
            yield unfinished.file
            unfinished.finish()
        finally:
            unfinished.abandon()


def _write_tar(root: Path, out: IO[bytes]) -> None:

    for item in read_directory(root):
        head = encode_header(item.entry)
        out.write(head)

        if item.entry.kind is not Kind.FILE:
            continue
        for piece in file_content(item.source):
            out.write(piece)
        padding = -item.entry.size % _BLOCK
        out.write(bytes(padding))

    out.write(bytes(2 * _BLOCK))
