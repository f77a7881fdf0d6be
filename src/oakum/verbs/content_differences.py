"""What differs between two contents of one path, and what that looks like it comes from."""

from __future__ import annotations

import difflib
import io
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Mapping
from typing import Literal

import msgspec

Cause = Literal["time", "order", "random", "host name", "processors", "key", "build ID", "unknown"]
_MOST = 4 << 20
_LINES = 3
_SHOWN = 160
_DAY = 86_400
_PAST, _APART = 400 * _DAY, 40 * _DAY
_MONTHS = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIMES = re.compile(
    rb"\d{4}-\d\d-\d\d(?:[T ]+\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    rb"|(?:" + _MONTHS + rb" +\d{1,2}|\d{1,2} " + _MONTHS + rb")(?: \d{4})?"
    rb"|\d\d:\d\d:\d\d(?:\.\d+)?(?: [A-Z]{3,4} \d{4})?|\b1[5-9]\d{8}(?:\d{3}){0,3}(?:\.\d+)?\b"
)
_RANDOM = re.compile(
    rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[0-9a-fA-F]{16,}\b"
    rb"|/tmp/[^\s'\"]+|\btmp[.\w]{6,}"
)
_BUILD_ID = re.compile(rb"\x04\0\0\0(.)\0\0\0\x03\0\0\0GNU\0", re.DOTALL)
_PYC_HEADER = 16


class Finding(msgspec.Struct, frozen=True):
    """How two contents differ."""

    what: str
    """In which place of which format."""
    cause: Cause = "unknown"
    """What it looks like it comes from."""
    excerpt: tuple[str, ...] = ()
    """The first of what differs: ``-`` of the first build, ``+`` of the second."""


def explain(path: bytes, one: bytes, other: bytes, swapped: Mapping[bytes, bytes] = {}) -> Finding:
    """How `one` and `other`, two contents of `path`, differ.

    `swapped` are words that stand for the same in the first and in the second build.
    """
    if b"PRIVATE KEY-----" in one[:4096] and b"PRIVATE KEY-----" in other[:4096]:
        return Finding("a private key that the step generates", "key")
    if path.endswith(b".pyc"):
        return _pyc(one, other)
    for begin, look in _FORMATS.items():
        if one.startswith(begin) and other.startswith(begin):
            found = look(one, other, swapped)
            if found is not None:
                return found
    if _is_text(one) and _is_text(other):
        return _json(path, one, other) or _text(one, other, swapped)
    return _binary(one, other, swapped)


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:8192] and data[:8192].decode("utf-8", "replace").count("\ufffd") < 2


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode("utf-8", "replace").rstrip("\n")


def _text(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Finding:
    old, new = one.splitlines(), other.splitlines()
    first = next((n for n, pair in enumerate(zip(old, new)) if pair[0] != pair[1]), None)
    at = min(len(old), len(new)) if first is None else first
    cause = _cause(one, other, swapped)
    if cause == "unknown" and sorted(old) == sorted(new):
        cause = "order"
    removed, added = _middle(old[at : at + 200], new[at : at + 200])
    excerpt = [f"-{_shown(line)}" for line in removed] + [f"+{_shown(line)}" for line in added]
    return Finding(f"text, from line {at + 1}", cause, tuple(excerpt))


def _middle(old: list[bytes], new: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The first lines that are on one side only."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, begin, end, start, stop in matcher.get_opcodes():
        if tag != "equal":
            return old[begin : min(end, begin + _LINES)], new[start : min(stop, start + _LINES)]
    return [], []


def _cause(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Cause:
    """What, taken out of both, makes them equal."""
    if _TIMES.sub(b"T", one) == _TIMES.sub(b"T", other):
        return "time"
    for was, now in swapped.items():
        here, there = (re.compile(rb"\b%s\b" % re.escape(word)) for word in (was, now))
        if here.search(one) and here.sub(b"W", one) == there.sub(b"W", other):
            return "processors" if was.isdigit() else "host name"
    if _RANDOM.sub(b"R", _TIMES.sub(b"T", one)) == _RANDOM.sub(b"R", _TIMES.sub(b"T", other)):
        return "random"
    return "unknown"


def _json(path: bytes, one: bytes, other: bytes) -> Finding | None:
    if not path.endswith(b".json") and one.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        old, new = msgspec.json.decode(one), msgspec.json.decode(other)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if old == new:
        return Finding("JSON with the same values in another order or form", "order")
    where = "$"
    for _ in range(20):
        key = _different_key(old, new)
        if key is None:
            break
        where, old, new = f"{where}[{key!r}]"[:_SHOWN], old[key], new[key]
    sides = [msgspec.json.encode(value) for value in (old, new)]
    cause = _cause(sides[0], sides[1], {})
    return Finding(f"JSON, at {where}", cause, (f"-{_shown(sides[0])}", f"+{_shown(sides[1])}"))


def _different_key(old: object, new: object) -> str | int | None:
    if isinstance(old, dict) and isinstance(new, dict):
        return next((key for key in old if key in new and old[key] != new[key]), None)
    if isinstance(old, list) and isinstance(new, list):
        return next((n for n, pair in enumerate(zip(old, new)) if pair[0] != pair[1]), None)
    return None


def _gzip(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Finding | None:
    """RFC 1952: the time is in bytes 4 to 7."""
    try:
        plain = [zlib.decompressobj(31).decompress(data, _MOST) for data in (one, other)]
    except zlib.error:
        return None
    if plain[0] == plain[1]:
        if one[4:8] != other[4:8]:
            return Finding("gzip: the time in the header, the content is the same", "time")
        return Finding("gzip: compressed in another way, the content is the same")
    inner = explain(b"", plain[0], plain[1], swapped)
    return msgspec.structs.replace(inner, what=f"gzip: {inner.what}")


def _ar(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Finding | None:
    """ar(5): headers of 60 bytes, name, time, owner, group, mode and size as text."""
    old, new = _members(one), _members(other)
    if [member[0] for member in old] != [member[0] for member in new]:
        return Finding("ar archive: other members, or in another order", "order")
    for (name, header, content), (_, header_now, content_now) in zip(old, new):
        shown = _shown(name.strip(b" /"))
        if content != content_now:
            inner = explain(name, content, content_now, swapped)
            return msgspec.structs.replace(inner, what=f"ar archive: member {shown}: {inner.what}")
        if header != header_now:
            cause: Cause = "time" if header[16:28] != header_now[16:28] else "unknown"
            return Finding(f"ar archive: the header of member {shown}", cause)
    return None


def _members(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    found = []
    at = 8
    while len(header := data[at : at + 60]) == 60 and header[58:] == b"`\n":
        digits = header[48:58].strip()
        size = int(digits) if digits.isdigit() else 0
        found.append((header[:16], header, data[at + 60 : at + 60 + size]))
        at += 60 + size + size % 2
    return found


def _zip(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Finding | None:
    try:
        lists = [zipfile.ZipFile(io.BytesIO(data)).infolist() for data in (one, other)]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError):
        return None
    old, new = ([(item.filename, item.CRC) for item in items] for items in lists)
    if old == new:
        dates = [[item.date_time for item in items] for items in lists]
        if dates[0] != dates[1]:
            return Finding("zip archive: times of its members, the contents are the same", "time")
        return Finding("zip archive: compressed in another way, the contents are the same")
    if sorted(old) == sorted(new):
        return Finding("zip archive: the order of its members", "order")
    changed = sorted(name for name, _ in set(old) ^ set(new))
    return Finding(f"zip archive: member {changed[0][:_SHOWN]}")


def _elf(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Finding | None:
    """The GNU build ID (elf(5), NT_GNU_BUILD_ID) is a digest of what was linked."""
    ids = [_build_id(data) for data in (one, other)]
    if ids[0] is None or ids[1] is None or ids[0] == ids[1]:
        return None
    plain = [data.replace(found, b"") for data, found in zip((one, other), ids) if found]
    sides = tuple(f"{sign}{found.hex()}" for sign, found in zip("-+", ids) if found)
    if plain[0] == plain[1]:
        return Finding("ELF: the build ID alone", "build ID", sides)
    inner = _binary(plain[0], plain[1], swapped)
    return Finding(f"ELF: other code or data, and so the build ID; {inner.what}", inner.cause)


def _build_id(data: bytes) -> bytes | None:
    found = _BUILD_ID.search(data)
    return data[found.end() : found.end() + found[1][0]] if found else None


def _pyc(one: bytes, other: bytes) -> Finding:
    """PEP 552: magic, flags, then time and size of the source, or its hash."""
    if one[_PYC_HEADER:] != other[_PYC_HEADER:]:
        return Finding("compiled Python: the code", "order")
    if one[8:12] != other[8:12]:
        return Finding("compiled Python: the time of the source", "time")
    return Finding("compiled Python: the header")


def _binary(one: bytes, other: bytes, swapped: Mapping[bytes, bytes]) -> Finding:
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return Finding(f"binary: {len(one)} and {len(other)} bytes, the same up to there")
    at = next(n for n in range(size) if one[n] != other[n])
    stamp = _stamp(one, other, at)
    if stamp is not None:
        return Finding(f"binary: a time at offset {stamp[0]}", "time", stamp[1])
    sides = [data[max(0, at - 8) : at + 16] for data in (one, other)]
    excerpt = tuple(f"{sign}{side.hex(' ')}" for sign, side in zip("-+", sides))
    return Finding(f"binary, from offset {at}", _cause(one, other, swapped), excerpt)


def _stamp(one: bytes, other: bytes, at: int) -> tuple[int, tuple[str, str]] | None:
    """A 32- or 64-bit number of seconds around an offset, of lately in both."""
    now = int(time.time())
    for form in ("<q", ">q", "<I", ">I"):
        width = struct.calcsize(form)
        for begin in range(max(0, at - width + 1), at + 1):
            if begin + width > min(len(one), len(other)):
                continue
            was, later = (struct.unpack_from(form, data, begin)[0] for data in (one, other))
            if now - _PAST < was < later <= now + 1 and later - was < _APART:
                shown = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(n)) for n in (was, later))
                return begin, (f"-{next(shown)}", f"+{next(shown)}")
    return None


_FORMATS = {b"\x1f\x8b": _gzip, b"!<arch>\n": _ar, b"PK\x03\x04": _zip, b"\x7fELF": _elf}
