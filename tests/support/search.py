"""Looking for bytes everywhere in a store."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path


def files_with(store: Path, wanted: bytes) -> list[str]:
    """Files below a directory that hold the bytes, packed or not, in content or name."""
    found = []
    for directory, _, names in os.walk(os.fsencode(store)):
        for name in names:
            path = os.path.join(directory, name)
            if wanted in name or any(wanted in text for text in _contents(path)):
                found.append(os.fsdecode(path))
    return found


def _contents(path: bytes) -> Iterator[bytes]:
    if os.path.islink(path):
        yield os.readlink(path)
        return
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        raw = file.read()
    yield raw
    if raw.startswith(b"\x1f\x8b"):
        try:
            yield gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            return
