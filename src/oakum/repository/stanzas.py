"""Small deb822 files: stanzas of fields, with continuation lines and comments (deb822(5))."""

from __future__ import annotations

from collections.abc import Iterator

Stanza = dict[str, str]
"""Field values by lower-case name; the lines of a value are joined with newlines."""


def stanzas(text: str) -> Iterator[tuple[int, Stanza]]:
    """Each stanza with the number of its first line; lines that are no field are left out."""
    fields: Stanza = {}
    start, last = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield start, fields
            fields, last = {}, ""
            continue
        if line[0] in " \t":
            if last:
                fields[last] += "\n" + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon:
            last = ""
            continue
        start = start if fields else number
        last = name.strip().lower()
        fields[last] = value.strip()
    if fields:
        yield start, fields


def decode(raw: bytes) -> str:
    """Text of a configuration file; bytes that are not UTF-8 stay distinguishable."""
    return raw.decode("utf-8", "surrogateescape")
