"""A digest is checked before its bytes are used."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oakum.errors import DigestMismatch, InvalidImage
from oakum.oci import Digest, chain_ids, check, digest_of, is_digest, parse_digest, short


@given(st.binary())
def test_bytes_pass_under_their_own_digest_only(data: bytes) -> None:
    digest = digest_of(data)
    assert parse_digest(digest) == digest and is_digest(digest)
    assert check(data, digest, "the blob") == data
    with pytest.raises(DigestMismatch, match="the blob"):
        check(data + b"x", digest, "the blob")


def test_sha512_is_checked_too() -> None:
    digest = parse_digest("sha512:" + hashlib.sha512(b"data").hexdigest())
    assert check(b"data", digest, "the blob") == b"data"
    with pytest.raises(DigestMismatch):
        check(b"other", digest, "the blob")


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        {},
        "",
        "sha256",
        "sha256:",
        "sha256:" + "g" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "a" * 64 + "\n",
        "sha256:../../" + "a" * 58,
        "md5:" + "a" * 32,
        "SHA256:" + "a" * 64,
        b"sha256:" + b"a" * 64,
    ],
)
def test_what_is_no_digest_is_refused(value: object) -> None:
    with pytest.raises(InvalidImage, match="not a digest"):
        parse_digest(value)


def test_people_see_twelve_digits() -> None:
    assert short("sha256:" + "0123456789abcdef" * 4) == "0123456789ab"


def test_a_chain_id_names_a_stack() -> None:
    """OCI image spec, "Layer ChainID": the first is the diff ID, the next hash the pair."""
    first, second, third = (digest_of(text) for text in (b"1", b"2", b"3"))
    two = digest_of(f"{first} {second}".encode())
    assert chain_ids((first, second, third)) == (first, two, digest_of(f"{two} {third}".encode()))
    assert chain_ids((second, first))[-1] != two
    assert chain_ids(()) == ()
    assert isinstance(two, str) and Digest(two) == two
