"""Edits of a file's bytes, and how they are shown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

from oakum.dockerfile.text import Span
from oakum.errors import DockerfileError


class NotEditable(DockerfileError):
    """A change that cannot be written into the file; `what` says why."""


class Edit(msgspec.Struct, frozen=True):
    """Bytes that take the place of others."""

    span: Span
    """What goes; empty for an insertion."""
    text: bytes
    """What comes."""
    why: str
    """For people: what the edit is for."""


def apply_edits(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """The file with all edits made; an edit given twice counts once.

    Raises `NotEditable` where two edits want different text in one place.
    """
    unique = {(edit.span, edit.text): edit for edit in edits}
    ordered = sorted(unique.values(), key=lambda edit: edit.span)
    pieces: list[bytes] = []
    at = 0
    before: Edit | None = None
    for edit in ordered:
        if before is not None and (edit.span.start < at or edit.span == before.span):
            raise NotEditable(
                f"two edits of one place: {before.why}; {edit.why}", "make them one at a time"
            )
        if edit.span.end > len(raw):
            raise NotEditable("an edit reaches beyond the file", "parse the file again")
        pieces += [raw[at : edit.span.start], edit.text]
        at, before = edit.span.end, edit
    return b"".join([*pieces, raw[at:]])


def unified_diff(old: bytes, new: bytes, name: str) -> str:
    """The change as a patch that ``patch -p1`` takes; empty where nothing changed.

    Bytes that are not UTF-8 are lone surrogates in it (PEP 383).
    """
    before, after = _lines(old), _lines(new)
    pieces = []
    for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
        pieces.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(pieces)


def _lines(raw: bytes) -> list[str]:
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    found = [f"{line}\n" for line in lines[:-1]]
    return [*found, lines[-1]] if lines[-1] else found
