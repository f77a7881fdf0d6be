"""Blobs: content by digest, visible once it is whole, or never."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oakum.errors import DigestMismatch, InvalidImage, NotFound, StoreError
from oakum.oci import Digest, digest_of
from oakum.store import Store


def files(store: Store) -> list[Path]:
    """What the store holds, half-made things included, locks left out."""
    found = [path for part in ("blobs", "tmp") for path in (store.root / part).rglob("*")]
    return [p for p in found if p.is_file() and p.name != "lock" and "serial-" not in p.name]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=50), max_size=5))
def test_what_is_written_in_pieces_is_read_whole(store: Store, pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    with store.blobs.writing(digest_of(whole)) as writer:
        for piece in pieces:
            writer.write(piece)
        assert writer.commit(len(whole)) == digest_of(whole)
    assert store.blobs.read(digest_of(whole), 1000) == whole
    assert store.blobs.has(digest_of(whole), len(whole))
    assert not store.blobs.has(digest_of(whole), len(whole) + 1)


def test_other_bytes_than_promised_leave_nothing(store: Store) -> None:
    with (
        pytest.raises(DigestMismatch, match="instead of"),
        store.blobs.writing(digest_of(b"promised")) as writer,
    ):
        writer.write(b"delivered")
        writer.commit()
    assert files(store) == []
    with pytest.raises(DigestMismatch):
        store.blobs.put(b"delivered", digest_of(b"promised"))
    assert files(store) == []


def test_another_size_than_promised_leaves_nothing(store: Store) -> None:
    with (
        pytest.raises(DigestMismatch, match="4 bytes, 5 were promised"),
        store.blobs.writing(digest_of(b"data")) as writer,
    ):
        writer.write(b"data")
        writer.commit(5)
    assert files(store) == []


def test_a_blob_that_is_not_committed_was_never_there(store: Store) -> None:
    with store.blobs.writing() as writer:
        writer.write(b"half")
        assert not store.blobs.has(digest_of(b"half"))
    assert files(store) == []
    with pytest.raises(KeyboardInterrupt), store.blobs.writing() as writer:
        writer.write(b"half")
        raise KeyboardInterrupt
    assert files(store) == []


def test_sha512_blobs_have_a_shelf_of_their_own(store: Store) -> None:
    digest = Digest("sha512:" + hashlib.sha512(b"data").hexdigest())
    assert store.blobs.put(b"data", digest) == digest
    assert store.blobs.read(digest, 10) == b"data"
    assert (digest, 4) in list(store.blobs.all())


def test_a_blob_that_rotted_is_not_handed_out(store: Store) -> None:
    digest = store.blobs.put(b"good")
    store.blobs.path(digest).write_bytes(b"rot!")
    with pytest.raises(DigestMismatch, match="damaged"):
        store.blobs.read(digest, 10)
    store.blobs.put(b"good")
    assert store.blobs.read(digest, 10) == b"good"


def test_a_document_has_a_largest_size(store: Store) -> None:
    digest = store.blobs.put(b"12345")
    assert store.blobs.read(digest, 5) == b"12345"
    with pytest.raises(InvalidImage, match="more than 4 bytes"):
        store.blobs.read(digest, 4)


def test_an_absent_blob_is_not_found(store: Store) -> None:
    digest = store.blobs.put(b"gone")
    assert store.blobs.remove(digest) == 4
    assert store.blobs.remove(digest) == 0
    with pytest.raises(NotFound, match=digest):
        store.blobs.open(digest)


def test_a_directory_in_a_blobs_place_is_an_error_of_the_store(store: Store) -> None:
    store.blobs.path(digest_of(b"x")).mkdir()
    with pytest.raises(StoreError):
        store.blobs.open(digest_of(b"x"))
