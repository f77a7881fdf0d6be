"""Large files are compressed while their step runs; the layer does not depend on that."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oakum.builder.ahead import Ahead
from oakum.layer import Entry, Kind, Layer, LayerWriter
from oakum.layer.blocks import Blocks, Known, Place, checked, forget_blocks
from oakum.layer.compression import BLOCK, gzip_member
from oakum.oci import Compression
from oakum.store import Store


def write(store: Store, data: bytes, known: Known | None, piece: int = BLOCK) -> Layer:
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    with ThreadPoolExecutor(2) as pool, store.blobs.writing() as blob:
        writer = LayerWriter(store, blob, Compression.GZIP, pool)
        writer.add(Entry(b"small", Kind.FILE, 0o644, size=3), [b"one"])
        writer.add(Entry(b"large", Kind.FILE, 0o644, size=len(data)), pieces, known)
        writer.add(Entry(b"last", Kind.FILE, 0o644, size=3), [b"two"])
        return writer.finish()


def content(store: Store, layer: Layer) -> dict[str, bytes]:
    raw = gzip.decompress(store.blobs.path(layer.descriptor.digest).read_bytes())
    assert hashlib.sha256(raw).hexdigest() == layer.diff_id.partition(":")[2]
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def text(size: int, seed: str) -> bytes:
    """Bytes that compress."""
    lines = (hashlib.sha256(f"{seed}{n}".encode()).hexdigest() for n in range(size // 64 + 1))
    return "".join(lines).encode()[:size]


DATA = text(3 * BLOCK + 1024, "data")
CHANGED = DATA[:BLOCK] + b"!" + DATA[BLOCK + 1 :]


def blocks(data: bytes) -> list[bytes]:
    return [data[at : at + BLOCK] for at in range(0, len(data) - BLOCK + 1, BLOCK)]


def asked(found: list[bytes]) -> Known:
    """Knows nothing, and notes what it is asked for."""

    def known(block: bytes) -> bytes:
        found.append(block)
        return b""

    return known


class Counted:
    """Counts what is compressed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from oakum.layer import compression

        self.sizes: list[int] = []
        real = compression._compressed

        def compress(block: bytes, level: int) -> bytes:
            self.sizes.append(len(block))
            return real(block, level)

        monkeypatch.setattr(compression, "_compressed", compress)

    def whole(self) -> int:
        """Whole blocks that were compressed since the last time."""
        found, self.sizes = self.sizes.count(BLOCK), []
        return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


@pytest.fixture
def ahead_of_time() -> Blocks:
    """The members of DATA."""
    kept = b""
    places = []
    for block in blocks(DATA):
        member = gzip_member(block)
        places.append(
            Place(hashlib.sha256(block).digest(), len(kept), len(member), checked(member))
        )
        kept += member
    return Blocks(lambda offset, size: kept[offset : offset + size], places)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "other") as store:
        yield store


@pytest.mark.parametrize("piece", [BLOCK, BLOCK // 3, 5 * BLOCK])
def test_the_blob_is_the_same_with_and_without(
    store: Store, other: Store, ahead_of_time: Blocks, counted: Counted, piece: int
) -> None:
    plain = write(store, DATA, None, piece)
    assert counted.whole() == 3
    assert write(other, DATA, ahead_of_time.member, piece) == plain
    assert counted.whole() == 0
    assert content(store, plain)["large"] == content(other, plain)["large"] == DATA


def test_what_changed_since_is_compressed_anew(
    store: Store, other: Store, ahead_of_time: Blocks, counted: Counted
) -> None:
    layer = write(store, CHANGED, ahead_of_time.member)
    assert counted.whole() == 1
    assert layer == write(other, CHANGED, None)
    assert content(store, layer)["large"] == CHANGED
    shorter = DATA[: BLOCK + 5]
    assert content(store, write(store, shorter, ahead_of_time.member))["large"] == shorter


def test_blocks_of_earlier_layers_are_taken_over(
    store: Store, other: Store, counted: Counted
) -> None:
    write(store, DATA, None)
    counted.whole()
    changed = write(store, CHANGED, None)
    assert counted.whole() == 1
    assert write(other, CHANGED, None) == changed
    counted.whole()
    write(store, CHANGED[: 3 * BLOCK] + DATA, None)
    assert counted.whole() == 0


def test_a_damaged_or_missing_blob_is_not_taken_from(
    store: Store, other: Store, counted: Counted
) -> None:
    first = write(store, DATA, None)
    path = store.blobs.path(first.descriptor.digest)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 6] ^= 1
    path.write_bytes(raw)
    counted.whole()
    changed = write(store, CHANGED, None)
    assert counted.whole() == 2
    assert write(other, CHANGED, None) == changed
    for layer in (first, changed):
        store.blobs.remove(layer.descriptor.digest)
    counted.whole()
    assert write(store, CHANGED, None) == changed
    assert counted.whole() == 3


def test_records_of_blobs_that_are_gone_are_forgotten(store: Store) -> None:
    layer = write(store, DATA, None)
    forget_blocks(store)
    assert len([*store.records.keys("blocks")]) == 1
    store.blobs.remove(layer.descriptor.digest)
    forget_blocks(store)
    assert [*store.records.keys("blocks")] == []


def test_what_does_not_get_smaller_is_stored_as_it_is(store: Store) -> None:
    dense = os.urandom(2 * BLOCK)
    looked_for: list[bytes] = []
    layer = write(store, dense, asked(looked_for))
    assert content(store, layer)["large"] == dense and looked_for == []
    assert len(dense) < layer.descriptor.size < len(dense) + 1024
    mixed = dense[: BLOCK // 2] + bytes(BLOCK // 2) + dense[BLOCK:]
    smaller = write(store, mixed, asked(looked_for))
    assert content(store, smaller)["large"] == mixed and len(looked_for) == 1
    assert smaller.descriptor.size < len(dense) - BLOCK // 3


def test_a_file_that_keeps_still_is_compressed(store: Store, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "deep").mkdir(parents=True)
    (upper / "deep/large").write_bytes(DATA)
    (upper / "top").write_bytes(DATA)
    (upper / "small").write_bytes(b"x")
    (upper / "link").symlink_to("/etc/passwd")
    ahead = Ahead(store, upper, tmp_path)
    try:
        _until(lambda: len(ahead._found) == 2 and all(len(b) == 3 for b in ahead._found.values()))
        found = ahead.stop()
        assert found.keys() == {b"deep/large", b"top"}
        for block in blocks(DATA):
            member = found[b"top"].member(hashlib.sha256(block).digest())
            assert gzip.decompress(member) == block
        assert found[b"top"].member(hashlib.sha256(DATA[1 : BLOCK + 1]).digest()) == b""
    finally:
        ahead.close()


def test_what_earlier_layers_have_is_not_compressed_ahead(store: Store, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    write(store, DATA, None)
    (upper / "large").write_bytes(CHANGED)
    (upper / "dense").write_bytes(os.urandom(BLOCK))
    ahead = Ahead(store, upper, tmp_path)
    try:
        _until(lambda: len(ahead._done) == 2 and len(ahead._found.get(b"large", ())) == 1)
        assert len(ahead.stop()[b"dense"]) == 0
    finally:
        ahead.close()


def test_a_changing_tree_does_no_harm(store: Store, tmp_path: Path) -> None:
    import shutil

    upper = tmp_path / "upper"
    upper.mkdir()
    ahead = Ahead(store, upper, tmp_path)
    try:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            (upper / "d").mkdir()
            (upper / "d/f").write_bytes(DATA)
            shutil.rmtree(upper / "d")
            (upper / "d").symlink_to("/etc")
            (upper / "d").unlink()
        (upper / "kept").write_bytes(DATA)
        _until(lambda: len(ahead._found.get(b"kept", ())) == 3)
    finally:
        ahead.close()


def _until(done: object) -> None:
    for _ in range(500):
        if done():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")
