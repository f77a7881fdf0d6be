"""Digests: ``algorithm:hex`` names of bytes (OCI image spec, "Digests")."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from oakum.errors import DigestMismatch, InvalidImage

Digest = NewType("Digest", str)
"""A checked digest string, such as ``sha256:6c3c…``; only registered algorithms."""

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def parse_digest(text: object) -> Digest:
    """The digest in `text`; `InvalidImage` unless it is sha256 or sha512 in lower-case hex."""
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        raise InvalidImage(
            f"not a digest: {str(text)[:100]!r}", "a digest is sha256: and 64 hex digits"
        )
    return Digest(text)


def is_digest(text: str) -> bool:
    """Whether `text` is a digest that this library can check."""
    return _PATTERN.fullmatch(text) is not None


def digest_of(data: bytes) -> Digest:
    """The sha256 digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def hasher_for(digest: Digest) -> hashlib._Hash:
    """A fresh hash object of the digest's algorithm."""
    return hashlib.new(digest.split(":", 1)[0])


def check(data: bytes, digest: Digest, what: str) -> bytes:
    """`data`, if it has that digest; `DigestMismatch` naming `what` otherwise."""
    hasher = hasher_for(digest)
    hasher.update(data)
    actual = f"{digest.split(':', 1)[0]}:{hasher.hexdigest()}"
    if actual != digest:
        raise DigestMismatch(
            f"{what} has digest {actual}, {digest} was promised",
            "the source is damaged or was tampered with; fetch it again from a source you trust",
        )
    return data


def short(digest: str) -> str:
    """The first twelve hex digits, for people."""
    return digest.split(":", 1)[-1][:12]
