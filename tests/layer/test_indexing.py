"""A layer is read once: from the store, or while it is being downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from oakum.errors import DigestMismatch, InvalidImage, StoreError
from oakum.layer import IndexingTee, Kind, index_blob, known_index, known_kept
from oakum.layer.tar import Header
from oakum.oci import Compression, Descriptor, Digest, digest_of
from oakum.oci.media import layer_media_type
from oakum.store import Store
from support.layers import END, header, index_of, padded

STATUS = b"var/lib/dpkg/status"
RAW = b"".join(header(b"d/%d" % n, size=9) + padded(b"something") for n in range(500))
RAW += header(STATUS, size=4) + padded(b"kept") + END
OTHER = digest_of(b"another layer")


def descriptor(raw: bytes = RAW) -> Descriptor:
    return Descriptor(layer_media_type(Compression.NONE), digest_of(raw), len(raw))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def feed(tee: IndexingTee, raw: bytes, size: int = 1000) -> None:
    for at in range(0, len(raw), size):
        tee.write(raw[at : at + size])
    tee.finish()


def test_a_layer_in_the_store_is_read_once(store: Store) -> None:
    store.blobs.put(RAW)
    index = index_blob(store, descriptor(), None)
    assert index == index_of(RAW) and index.diff_id == digest_of(RAW)
    store.blobs.remove(descriptor().digest)
    diff_id = Digest(index.diff_id)
    assert index_blob(store, descriptor(), diff_id) == index
    assert known_kept(store, diff_id) == {STATUS: b"kept"}
    assert store.diff_id_of(descriptor().digest) == diff_id


def test_a_layer_that_the_config_does_not_promise_is_refused(store: Store) -> None:
    store.blobs.put(RAW)
    with pytest.raises(DigestMismatch, match="config promises"):
        index_blob(store, descriptor(), OTHER)
    assert known_index(store, OTHER) is None and known_index(store, digest_of(RAW)) is None


def test_a_layer_is_indexed_while_it_comes(store: Store, pool: ThreadPoolExecutor) -> None:
    feed(IndexingTee(store, descriptor(), digest_of(RAW), pool), RAW)
    assert known_index(store, digest_of(RAW)) == index_of(RAW)
    assert not store.blobs.has(descriptor().digest)


@pytest.mark.parametrize(
    ("raw", "expected", "error"),
    [
        (RAW, OTHER, DigestMismatch),
        (RAW[: len(RAW) // 2], digest_of(RAW), InvalidImage),
        (b"x" * 100_000, None, InvalidImage),
        (header(b"../evil") + RAW, None, InvalidImage),
    ],
)
def test_a_bad_layer_is_refused_while_it_comes(
    store: Store,
    pool: ThreadPoolExecutor,
    raw: bytes,
    expected: Digest | None,
    error: type[Exception],
) -> None:
    tee = IndexingTee(store, descriptor(raw), expected, pool)
    with pytest.raises(error):
        feed(tee, raw)
    assert known_index(store, digest_of(raw)) is None


def test_a_download_that_failed_leaves_no_index(store: Store, pool: ThreadPoolExecutor) -> None:
    tee = IndexingTee(store, descriptor(), digest_of(RAW), pool)
    tee.write(RAW[:5000])
    tee.abort()
    assert known_index(store, digest_of(RAW)) is None


class FullDisk:
    """An unpacker that has no place left."""

    def member(self, header: Header, content: Iterator[bytes]) -> None:
        raise StoreError("no place left", "free some")

    def finish(self) -> None:
        raise AssertionError("it was not finished")


def test_an_unpackers_error_is_the_downloads_unless_that_failed_itself(
    store: Store, pool: ThreadPoolExecutor
) -> None:
    tee = IndexingTee(store, descriptor(), None, pool, FullDisk)
    with pytest.raises(StoreError, match="no place left"):
        feed(tee, RAW)
    tee = IndexingTee(store, descriptor(), None, pool, FullDisk)
    tee.write(RAW[:5000])
    tee.abort()


def test_a_hard_link_has_no_content_of_its_own() -> None:
    raw = header(b"a", size=3) + padded(b"abc") + header(b"b", flag=b"1", link=b"./a", size=3) + END
    first, second = index_of(raw).entries
    assert (second.kind, second.link, second.size, second.digest) == (Kind.HARDLINK, b"a", 0, b"")
    assert first.size == 3
