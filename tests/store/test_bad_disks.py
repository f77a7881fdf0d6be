"""A disk that is full or may not be written: one clear error, nothing half-written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oakum.errors import StoreError
from oakum.oci import Descriptor, digest_of, parse_reference
from oakum.oci.media import OCI_MANIFEST
from oakum.store import Store, check_store
from support.disks import cover_read_only, fill, make_read_only, small_disk

NAME = parse_reference("x:1")
BIG = bytes(64 << 10)
OLD = Descriptor(OCI_MANIFEST, digest_of(b"old"), 3)
NEW = Descriptor(OCI_MANIFEST, digest_of(b"new"), 3)

WRITES: dict[str, Callable[[Store], object]] = {
    "blob": lambda store: store.blobs.put(BIG),
    "name": lambda store: store.names.set(NAME, NEW),
    "record": lambda store: store.records.put("kind", "key", BIG),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 512 << 10) as place:
        yield place


@pytest.mark.parametrize("what", sorted(WRITES))
@pytest.mark.parametrize("scratch", [True, False])
def test_a_full_disk(disk: Path, what: str, scratch: bool) -> None:
    with Store(disk / "store") as store:
        store.names.set(NAME, OLD)
        store.records.put("kind", "key", b"old")
    with Store(disk / "store") as store:
        if scratch:
            _ = store.place.scratch
        fill(disk)
        with pytest.raises(StoreError, match="No space left") as caught:
            WRITES[what](store)
        assert "free some space" in caught.value.todo
        (disk / "filler").unlink()
        assert list(store.blobs.all()) == []
        named = store.names.get(NAME)
        assert named is not None and named.descriptor == OLD
        assert store.records.get("kind", "key") == b"old"
        assert check_store(store).damage[1:] == ()
        WRITES[what](store)
    left = [path.name for path in (disk / "store/tmp").iterdir()]
    assert left == ["serial-scratch"]


def test_a_store_on_a_full_disk_is_not_opened(disk: Path) -> None:
    fill(disk)
    with pytest.raises(StoreError, match="No space left"):
        Store(disk / "store")


@pytest.mark.parametrize("what", sorted(WRITES))
def test_a_disk_that_turns_read_only(disk: Path, what: str) -> None:
    with Store(disk / "store") as store:
        digest = store.blobs.put(b"data")
        store.names.set(NAME, OLD)
        store.records.put("kind", "key", b"old")
    store = Store(disk / "store")
    cover_read_only(disk)
    with pytest.raises(StoreError, match="Read-only") as caught:
        WRITES[what](store)
    assert "--store" in caught.value.todo
    assert store.blobs.read(digest, 10) == b"data"
    assert store.records.get("kind", "key") == b"old"
    store.close()


def test_a_read_only_store_names_another(disk: Path) -> None:
    Store(disk / "store").close()
    make_read_only(disk)
    with pytest.raises(StoreError, match="cannot open the store") as caught:
        Store(disk / "store")
    assert "--store or OAKUM_STORE" in caught.value.todo
