"""Small facts derived from blobs, by kind and key: layer indexes, cache records and the like.

A record can always be made again, so a damaged one counts as absent.  Each carries a checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from oakum.store.memo import Memo
from oakum.store.place import Place, guarded

_CHECK = 16
_MOST_DECODED = 64 << 20

Decoded = TypeVar("Decoded")


class Records:
    """The records of a store."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._directory = place.root / "records"
        self._memo = Memo(_MOST_DECODED)

    def path(self, kind: str, key: str) -> Path:
        """Where the record is or would be; `key` is hexadecimal or a digest."""
        name = key.replace(":", "-").replace("/", "%2F")
        return self._directory / kind / name[-2:] / name

    def get(self, kind: str, key: str) -> bytes | None:
        """The record's bytes; None when it is absent or damaged."""
        try:
            raw = self.path(kind, key).read_bytes()
        except OSError:
            return None
        return _body(raw)

    def decoded(
        self, kind: str, key: str, decode: Callable[[bytes], Decoded | None], growth: int = 1
    ) -> Decoded | None:
        """What `decode` makes of the record's bytes; None when it is absent or damaged.

        The same object is given again while the record is the same: nobody may change it.
        `growth` is how much more memory it takes, about, than the record has bytes.
        """
        try:
            with self.path(kind, key).open("rb") as file:
                info = os.fstat(file.fileno())
                known: Decoded | None = self._memo.get((kind, key), info)
                if known is not None:
                    return known
                raw = file.read()
        except OSError:
            return None
        body = _body(raw)
        made = None if body is None else decode(body)
        if made is not None:
            self._memo.put((kind, key), info, growth * len(raw), made)
        return made

    def put(self, kind: str, key: str, body: bytes) -> None:
        """Keep the record, replacing an older one, atomically.

        Not synced: a record that a power cut truncates fails its checksum and is absent.
        """
        path = self.path(kind, key)
        with guarded(f"write a {kind} record"):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._place.scratch)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.blake2b(body, digest_size=_CHECK).digest())
                    file.write(body)
                os.rename(name, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise

    def remove(self, kind: str, key: str) -> None:
        """Forget the record."""
        with guarded(f"remove a {kind} record"), contextlib.suppress(FileNotFoundError):
            self.path(kind, key).unlink()

    def touch(self, kind: str, key: str) -> bool:
        """Note that the record is of use now; whether it is there."""
        path = self.path(kind, key)
        try:
            before = path.stat()
            os.utime(path)
            self._memo.renew((kind, key), before, path.stat())
        except OSError:
            return False
        return True

    def used(self, kind: str, key: str) -> float:
        """When the record was written or touched last; 0 when it is not there."""
        try:
            return self.path(kind, key).stat().st_mtime
        except OSError:
            return 0.0

    def keys(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Every key of a kind (with ``:`` as ``-``) and its file."""
        directory = self._directory / kind
        if not directory.is_dir():
            return
        for shelf in sorted(directory.iterdir()):
            for path in sorted(shelf.iterdir()):
                yield path.name, path

    def damaged(self) -> Iterator[Path]:
        """Where records with a wrong checksum are."""
        for path in self._directory.glob("*/*/*"):
            try:
                raw = path.read_bytes()
            except OSError:
                continue
            if _body(raw) is None:
                yield path


def _body(raw: bytes) -> bytes | None:
    body = raw[_CHECK:]
    return body if hashlib.blake2b(body, digest_size=_CHECK).digest() == raw[:_CHECK] else None
