"""What two contents of a path differ in, and what that looks like it comes from."""

from __future__ import annotations

import gzip
import io
import marshal
import struct
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oakum.verbs.content_differences import explain
from support.lab import Deb, make_deb

NOW = int(time.time())


def pyc(when: int, code: str) -> bytes:
    head = b"\xa7\r\r\n" + struct.pack("<III", 0, when, 10)
    return head + marshal.dumps(compile(code, "m.py", "exec"))


def elf(build_id: bytes, code: bytes) -> bytes:
    note = struct.pack("<III", 4, len(build_id), 3) + b"GNU\0" + build_id
    return b"\x7fELF" + bytes(60) + note + code


def zipped(when: int, *names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, (when, 1, 1, 0, 0, 0)), name)
    return out.getvalue()


KEY = b"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n"
CASES = {
    "a date in a text": (
        ("a.log", b"one\nat 2026-01-02 03:04:05 done\n", b"one\nat 2026-01-02 03:04:06 done\n"),
        ("text, from line 2", "time"),
    ),
    "what date(1) prints": (
        ("a", b"Wed Nov 25 15:43:07 UTC 2026\n", b"Thu Nov 26 15:43:08 UTC 2026\n"),
        ("text, from line 1", "unknown"),
    ),
    "seconds in a text": (("a", b"%d\n" % NOW, b"%d\n" % (NOW + 9)), ("text, from line 1", "time")),
    "lines in another order": (("a", b"x\ny\n", b"y\nx\n"), ("text, from line 1", "order")),
    "a longer text": (("a", b"x\n", b"x\ny\n"), ("text, from line 2", "unknown")),
    "a random name": (
        ("a", b"in /tmp/abcdef\n", b"in /tmp/zzzzzz\n"),
        ("text, from line 1", "random"),
    ),
    "a host name": (("a", b"on first\n", b"on second\n"), ("text, from line 1", "host name")),
    "a key": (("a", KEY % b"A", KEY % b"B"), ("a private key that the step generates", "key")),
    "gzip's time": (
        ("a.gz", gzip.compress(b"x", mtime=1), gzip.compress(b"x", mtime=2)),
        ("gzip: the time in the header, the content is the same", "time"),
    ),
    "gzip of another text": (
        ("a.gz", gzip.compress(b"x\ny\n", mtime=0), gzip.compress(b"y\nx\n", mtime=0)),
        ("gzip: text, from line 1", "order"),
    ),
    "gzip of another level": (
        ("a.gz", gzip.compress(b"x" * 999, 1, mtime=0), gzip.compress(b"x" * 999, 9, mtime=0)),
        ("gzip: compressed in another way, the content is the same", "unknown"),
    ),
    "JSON in another order": (
        ("a.json", b'{"a":1,"b":2}', b'{"b":2,"a":1}'),
        ("JSON with the same values in another order or form", "order"),
    ),
    "JSON deep inside": (
        ("a.json", b'{"a":[1,{"b":"x"}]}', b'{"a":[1,{"b":"y"}]}'),
        ("JSON, at $['a'][1]['b']", "unknown"),
    ),
    "compiled Python of another time": (
        ("a.pyc", pyc(5, "x = 1"), pyc(6, "x = 1")),
        ("compiled Python: the time of the source", "time"),
    ),
    "other compiled Python": (
        ("a.pyc", pyc(5, "x = 1"), pyc(5, "x = 2")),
        ("compiled Python: the code", "order"),
    ),
    "zip's times": (
        ("a.zip", zipped(2020, "a", "b"), zipped(2021, "a", "b")),
        ("zip archive: times of its members, the contents are the same", "time"),
    ),
    "zip's order": (
        ("a.zip", zipped(2020, "a", "b"), zipped(2020, "b", "a")),
        ("zip archive: the order of its members", "order"),
    ),
    "another member of a zip": (
        ("a.zip", zipped(2020, "a", "b"), zipped(2020, "a", "c")),
        ("zip archive: member b", "unknown"),
    ),
    "a build ID": (
        ("a", elf(b"i" * 20, b"code"), elf(b"j" * 20, b"code")),
        ("ELF: the build ID alone", "build ID"),
    ),
    "a time in a binary": (
        ("a", b"\0" * 16 + struct.pack("<I", NOW - 90), b"\0" * 16 + struct.pack("<I", NOW - 5)),
        ("binary: a time at offset 16", "time"),
    ),
    "another binary": (("a", b"\0abc", b"\0abd"), ("binary, from offset 3", "unknown")),
    "a longer binary": (
        ("a", b"\0abc", b"\0abcd"),
        ("binary: 4 and 5 bytes, the same up to there", "unknown"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_difference_is_recognised(name: str) -> None:
    (path, one, other), (what, cause) = CASES[name]
    found = explain(path.encode(), one, other, {b"first": b"second"})
    assert (found.what, found.cause) == (what, cause)


def test_a_member_of_a_package_is_named(tmp_path: Path) -> None:
    debs = []
    for number, text in enumerate(("one\n", "two\n")):
        (tmp_path / str(number)).mkdir()
        deb = Deb("gadget", "1.0", files=(("usr/share/gadget", text),))
        debs.append(make_deb(tmp_path / str(number), deb).read_bytes())
    found = explain(b"gadget.deb", *debs)
    assert found.what.startswith("ar archive: member control.tar.gz: gzip: ")
    later = debs[0][:24] + b"1700000009  " + debs[0][36:]
    found = explain(b"gadget.deb", debs[0], later)
    assert (found.what, found.cause) == (
        "ar archive: the header of member debian-binary",
        "time",
    )


BEGINNINGS = st.sampled_from(
    [b"", b"\x1f\x8b", b"!<arch>\n", b"PK\x03\x04", b"\x7fELF", b"{", b"["]
)
PATHS = st.sampled_from([b"a", b"a.pyc", b"a.json"])


@given(PATHS, BEGINNINGS, st.binary(max_size=200), st.binary(max_size=200))
def test_nothing_is_too_odd_to_be_looked_at(
    path: bytes, begin: bytes, one: bytes, other: bytes
) -> None:
    """What steps write is hostile: something is said of it, whatever it is."""
    if one != other:
        found = explain(path, begin + one, begin + other)
        assert found.what and all(len(line) < 500 for line in found.excerpt)
