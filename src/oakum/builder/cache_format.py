"""The build cache as an artifact: what `--cache-to` writes and `--cache-from` reads.

A cache is an OCI manifest of its own artifact type.  Its config is the document of steps; its
layers are the layers that the steps gave, the indexes of all layers below and among them, and the
files of package archives that the steps were installed from.  An image may carry the document
itself, in an annotation (*inline*); its layers are then the image's.
"""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Literal

import msgspec

from oakum.builder.cache import CACHE_VERSION, StepResult
from oakum.errors import InvalidImage, UsageError
from oakum.oci import Digest, parse_reference
from oakum.transport import Location

ARTIFACT = "application/vnd.oakum.cache.v1"
DOCUMENT = "application/vnd.oakum.cache.document.v1+json"
INDEX = "application/vnd.oakum.layer-index.v1+zstd"
FILE = "application/vnd.oakum.archive-file.v1"
LOCAL_NAME = "cache"
"""Name of the cache in the OCI layout of a local one."""
ANNOTATION = "io.oakum.cache.v1"
_MOST_BYTES = 64 << 20


class CachePlace(msgspec.Struct, frozen=True):
    """Where a cache is written to or read from."""

    type: Literal["registry", "local", "inline"]
    """``registry``: an artifact or an image in a registry; ``local``: an OCI layout; ``inline``:
    in the image that is built."""
    where: str = ""
    """A reference, or the path of a directory."""
    everything: bool = False
    """``mode=max``: steps of all stages, not only those whose layers the image has."""
    packages: bool = True
    """Whether the files that steps were installed from are in it, where its mode is max."""
    ignore_error: bool = False
    """Whether a cache that cannot be written leaves the build's success alone."""

    @property
    def location(self) -> Location:
        """The place as a transport has it."""
        if self.type == "local":
            return Location("oci", None, Path(self.where).absolute(), LOCAL_NAME)
        return Location("docker", parse_reference(self.where))


class CachedStep(msgspec.Struct, frozen=True):
    """A step's result, and the key that asks for it."""

    key: str
    """The step's key."""
    result: StepResult
    """What it gave."""


class CacheDocument(msgspec.Struct, frozen=True):
    """What a cache says."""

    version: str
    """Version of the keys."""
    steps: tuple[CachedStep, ...]
    """Results, by key."""
    indexes: dict[str, Digest] = {}
    """Diff ID of a layer → digest of the blob with its index."""
    times: dict[str, int] = {}
    """SHA-256 of an archive's file → the time that its server gave it, in seconds."""


def encode_document(document: CacheDocument) -> bytes:
    """The document's bytes; the same document gives the same bytes."""
    return msgspec.json.encode(document, order="deterministic")


def decode_document(raw: bytes, what: str) -> CacheDocument:
    """The document in `raw`; `InvalidImage` for what is none, or of another version."""
    try:
        document = msgspec.json.decode(raw, type=CacheDocument)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidImage(f"{what} is not a build cache: {error}", "write it anew") from error
    if document.version != CACHE_VERSION:
        raise InvalidImage(
            f"{what} is a cache of version {document.version[:20]!r}, this oakum has "
            f"{CACHE_VERSION}",
            "write it anew with --cache-to",
        )
    return document


def to_annotation(document: CacheDocument) -> str:
    """The document as the value of an annotation."""
    return base64.b64encode(zlib.compress(encode_document(document), 9)).decode()


def of_annotation(text: str, what: str) -> CacheDocument:
    """The document in an annotation; `InvalidImage` for what is none."""
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
    except (ValueError, zlib.error) as error:
        raise InvalidImage(f"{what} has a damaged cache annotation", "build it anew") from error
    if not unpacker.eof:
        raise InvalidImage(f"{what} has a cache annotation without end", "build it anew")
    return decode_document(raw, what)


_KEYS = {
    "type",
    "ref",
    "src",
    "dest",
    "mode",
    "packages",
    "ignore-error",
    "oci-mediatypes",
    "image-manifest",
    "compression",
}


def parse_cache_place(text: str, option: str) -> CachePlace:
    """``type=registry,ref=…``, ``type=local,src=…|dest=…``, ``type=inline``, or a reference."""
    if "=" not in text:
        return CachePlace("registry", str(parse_reference(text)))
    fields: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in _KEYS:
            raise UsageError(
                f"{option} {text[:200]!r}: {part[:80]!r} is not known",
                f"write {option} type=registry,ref=NAME or type=local,dest=DIR or type=inline",
            )
        fields[name] = value
    kind = fields.get("type", "registry")
    if kind not in ("registry", "local", "inline"):
        raise UsageError(
            f"{option}: there is no cache of type {kind[:40]!r}", "registry, local or inline"
        )
    mode = fields.get("mode", "min")
    if mode not in ("min", "max"):
        raise UsageError(f"{option}: mode {mode[:40]!r} is not known", "mode=min or mode=max")
    where = fields.get("ref", "")
    if kind == "local":
        where = fields.get("dest") or fields.get("src") or ""
    if kind == "inline":
        if option != "--cache-to":
            raise UsageError(
                f"{option} type=inline names no image", f"write {option} type=registry,ref=NAME"
            )
    elif not where:
        needed = "ref=NAME" if kind == "registry" else "src=DIR" if "from" in option else "dest=DIR"
        raise UsageError(f"{option} {text[:200]!r} lacks {needed}", f"add {needed}")
    if kind == "registry":
        where = str(parse_reference(where))
    return CachePlace(
        kind,  # type: ignore[arg-type]
        where,
        mode == "max",
        _truth(fields.get("packages", "true")),
        _truth(fields.get("ignore-error", "false")),
    )


def _truth(text: str) -> bool:
    if text not in ("true", "false", "1", "0"):
        raise UsageError(f"{text[:40]!r} is neither true nor false", "write true or false")
    return text in ("true", "1")
