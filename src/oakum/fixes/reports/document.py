"""A report's JSON, decoded within bounds into the fields that are read."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec

from oakum.errors import ReportError
from oakum.fixes.reports.names import plain

MAX_BYTES = 256 * 1024 * 1024
"""Largest report that is read."""
MAX_NODES = 4_000_000
"""Most objects and lists in a report: `{}` takes a hundred times its two bytes in memory."""

AGAIN = (
    "make it with 'trivy image --format json --output trivy.json IMAGE' "
    "or 'grype IMAGE --output json --file grype.json'"
)
"""What to do about a file that is no report."""

Natural = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
"""A number that a report may have: an epoch, a schema's version."""

_T = TypeVar("_T")
_AT = re.compile(r"(?P<what>.*) - at `(?P<path>.*)`", re.DOTALL)


def text_of(raw: bytes, name: str) -> bytes:
    """`raw` as UTF-8 without a mark, its size checked; UTF-16 (PowerShell's ``>``) is converted."""
    shown = plain(name)
    if len(raw) > MAX_BYTES:
        raise ReportError(
            f"{shown} has {len(raw)} bytes, more than the {MAX_BYTES} that are read",
            "no image needs such a report; scan one image at a time",
        )
    if raw.startswith(b"\x1f\x8b"):
        raise ReportError(f"{shown} is compressed with gzip", "decompress it first: gunzip FILE")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            raw = raw.decode("utf-16").encode()
        except UnicodeError as error:
            raise ReportError(f"{shown} is neither UTF-8 nor UTF-16", AGAIN) from error
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise ReportError(f"{shown} is empty", f"the scanner may have failed; {AGAIN}")
    if raw.count(b"{") + raw.count(b"[") > MAX_NODES:
        raise ReportError(
            f"{shown} has more than the {MAX_NODES} JSON objects and lists that are read",
            "no image needs such a report; scan one image at a time",
        )
    return raw


def decode(raw: bytes | msgspec.Raw, kind: type[_T], name: str) -> _T:
    """The document as `kind`; `ReportError` with the JSON path where it has another shape."""
    shown = plain(name)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        found = _AT.fullmatch(str(error))
        what, path = (found["what"], found["path"]) if found else (str(error), "$")
        raise ReportError(
            f"{shown}: {plain(path)}: {plain(what[:1].lower() + what[1:])}",
            f"the report is damaged or of an unknown version; {AGAIN}",
        ) from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{shown} is not UTF-8", AGAIN) from error
    except msgspec.DecodeError as error:
        raise ReportError(
            f"{shown} is not JSON: {plain(str(error))}",
            f"it may be a table or cut short; {AGAIN}",
        ) from error
    except RecursionError as error:
        raise ReportError(f"{shown} is nested too deep", "the report is damaged or hostile") from (
            error
        )
