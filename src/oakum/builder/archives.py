"""Archives that people hand in: told by their first bytes, unpacked into a directory."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from oakum.builder.sandbox import in_user_namespace
from oakum.errors import BuildError, InvalidImage
from oakum.layer import Kind
from oakum.layer.compression import Readable, decompressed
from oakum.layer.disk import DirectoryUnpacker
from oakum.layer.read import max_layer_bytes
from oakum.layer.tar import RECORD, TarStream, read_tar

_MAGIC = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
_DEVICES = (Kind.CHARACTER, Kind.BLOCK)


def readable(file: IO[bytes]) -> Readable:
    """A file without its compression: gzip, bzip2, xz, zstd or none."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"BZh"):
        import bz2

        return bz2.open(file)
    if head == b"\xfd7zXZ\0":
        return lzma.open(file)
    return decompressed(file)


def is_tar(stream: Readable) -> bool:
    """Whether the stream begins with a tar header; an archive of nothing is none."""
    try:
        raw = b""
        while len(raw) < RECORD and (piece := stream.read(RECORD - len(raw))):
            raw += piece
        if len(raw) < RECORD:
            return False
        field = raw[148:156].strip(b" \0")
        return int(field or b"x", 8) == sum(raw) - sum(raw[148:156]) + 8 * 32
    except (InvalidImage, ValueError, OSError, EOFError, lzma.LZMAError, zlib.error):
        return False


def is_archive(path: Path) -> bool:
    """Whether a file is compressed or a tar, as docker judges what may be a build context."""
    with path.open("rb") as file:
        if file.read(6).startswith(_MAGIC):
            return True
        file.seek(0)
        return is_tar(file)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what a damaged archive raises into a `BuildError` that names it."""
    try:
        yield
    except (InvalidImage, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's; bzip2 knows no other word for damage than an OSError
        why = error.what if isinstance(error, InvalidImage) else str(error)
        why = why.replace("the layer is not a valid archive", "not a valid archive")
        raise BuildError(f"{what}: {why}", "check the archive") from error


def unpack(path: Path, root: Path, what: str) -> None:
    """Unpack a tar, whatever its compression, into the new directory `root`.

    Owners, modes and times are the archive's; devices are refused, since a context is no place
    for them.  `BuildError` for an archive that is damaged, climbs out or is too large.
    """
    root.mkdir()
    unpacker = DirectoryUnpacker(root, user_namespace=in_user_namespace(), marked=True)
    with path.open("rb") as file, explained(what):
        stream = TarStream(readable(file), max_layer_bytes())
        for header, content in read_tar(stream, layer=False):
            if header.kind in _DEVICES:
                raise BuildError(
                    f"{what}: {header.path[:100]!r} is a device", "leave it out of the archive"
                )
            unpacker.member(header, content)
        unpacker.finish()
