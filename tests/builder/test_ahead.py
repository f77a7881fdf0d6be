"""Large files are compressed while their step runs; the layer does not depend on that."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oakum.builder.ahead import Ahead
from oakum.layer import Entry, Kind, Layer, LayerWriter, Members
from oakum.layer.compression import BLOCK, gzip_member
from oakum.oci import Compression
from oakum.store import Store


def write(store: Store, data: bytes, members: Members | None, piece: int = BLOCK) -> Layer:
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    with ThreadPoolExecutor(2) as pool, store.blobs.writing() as blob:
        writer = LayerWriter(store, blob, Compression.GZIP, pool)
        writer.add(Entry(b"small", Kind.FILE, 0o644, size=3), [b"one"])
        writer.add(Entry(b"large", Kind.FILE, 0o644, size=len(data)), pieces, members)
        writer.add(Entry(b"last", Kind.FILE, 0o644, size=3), [b"two"])
        return writer.finish()


def content(store: Store, layer: Layer) -> dict[str, bytes]:
    raw = gzip.decompress(store.blobs.path(layer.descriptor.digest).read_bytes())
    assert hashlib.sha256(raw).hexdigest() == layer.diff_id.partition(":")[2]
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def noise(count: int, seed: str) -> bytes:
    return b"".join(hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(count // 32))


DATA = noise(3 * BLOCK + 1024, "data")


@pytest.fixture
def members(tmp_path: Path) -> Members:
    """The members of DATA."""
    file = (tmp_path / "spill").open("w+b", buffering=0)
    found = Members(file.fileno(), ())
    end = 0
    for at in range(0, 3 * BLOCK, BLOCK):
        member = gzip_member(DATA[at : at + BLOCK])
        file.write(member)
        found.places.append((end, len(member)))
        end += len(member)
    found.file = file  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("piece", [BLOCK, BLOCK // 3, 5 * BLOCK])
def test_the_blob_is_the_same_with_and_without(store: Store, members: Members, piece: int) -> None:
    plain = write(store, DATA, None, piece)
    assert write(store, DATA, members, piece) == plain
    assert content(store, plain)["large"] == DATA


def test_what_changed_since_is_compressed_anew(store: Store, members: Members) -> None:
    changed = DATA[:BLOCK] + b"!" + DATA[BLOCK + 1 :]
    layer = write(store, changed, members)
    assert layer == write(store, changed, None)
    assert content(store, layer)["large"] == changed
    shorter = DATA[: BLOCK + 5]
    assert content(store, write(store, shorter, members))["large"] == shorter


def test_a_file_that_keeps_still_is_compressed(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "deep").mkdir(parents=True)
    (upper / "deep/large").write_bytes(DATA)
    (upper / "top").write_bytes(DATA)
    (upper / "small").write_bytes(b"x")
    (upper / "link").symlink_to("/etc/passwd")
    ahead = Ahead(upper, tmp_path)
    try:
        _until(lambda: all(len(m.places) == 3 for m in ahead._found.values()) and ahead._found)
        found = ahead.stop()
        assert found.keys() == {b"deep/large", b"top"}
        for block in range(3):
            member = found[b"top"].member(block, DATA[block * BLOCK : (block + 1) * BLOCK])
            assert gzip.decompress(member) == DATA[block * BLOCK : (block + 1) * BLOCK]
        assert found[b"top"].member(0, DATA[1 : BLOCK + 1]) == b""
        assert found[b"top"].member(7, DATA[:BLOCK]) == b""
    finally:
        ahead.close()


def test_a_changing_tree_does_no_harm(tmp_path: Path) -> None:
    import shutil

    upper = tmp_path / "upper"
    upper.mkdir()
    ahead = Ahead(upper, tmp_path)
    try:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            (upper / "d").mkdir()
            (upper / "d/f").write_bytes(DATA)
            shutil.rmtree(upper / "d")
            (upper / "d").symlink_to("/etc")
            (upper / "d").unlink()
        (upper / "kept").write_bytes(DATA)
        _until(lambda: len(ahead._found[b"kept"].places) == 3 if b"kept" in ahead._found else False)
    finally:
        ahead.close()


def _until(done: object) -> None:
    for _ in range(500):
        if done():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")
