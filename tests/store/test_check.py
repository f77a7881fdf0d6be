"""``store check`` finds what is not as it claims to be; ``--repair`` heals it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oakum.oci import Config, Descriptor, Index, Manifest, Platform, digest_of, parse_reference
from oakum.oci.media import OCI_CONFIG, OCI_INDEX, OCI_LAYER
from oakum.store import Store, check_store, usage

NAME = parse_reference("image:1")


def put_image(store: Store, layer: bytes = b"layer") -> Manifest:
    digest = store.blobs.put(layer)
    rootfs = {"type": "layers", "diff_ids": [digest]}
    config = Config.make({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    store.blobs.put(config.raw)
    made = Manifest.make(
        Descriptor(OCI_CONFIG, config.digest, len(config.raw)),
        (Descriptor(OCI_LAYER, digest, len(layer)),),
    )
    store.blobs.put(made.raw)
    return made


@pytest.fixture
def image(store: Store) -> Manifest:
    made = put_image(store)
    store.names.set(NAME, made.descriptor())
    store.remember_diff_id(made.layers[0].digest, made.layers[0].digest)
    return made


def rot(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def only(store: Store, part: str) -> Path:
    (path,) = [path for path in (store.root / part).rglob("*") if path.is_file()]
    return path


DAMAGES: dict[str, tuple[Callable[[Store, Manifest], object], set[str]]] = {
    "a layer that rotted": (lambda s, m: rot(s.blobs.path(m.layers[0].digest)), {"blob"}),
    "a config that rotted": (lambda s, m: rot(s.blobs.path(m.config.digest)), {"blob"}),
    "a manifest that rotted": (lambda s, m: rot(s.blobs.path(m.digest)), {"blob", "name"}),
    "a layer cut off": (
        lambda s, m: s.blobs.path(m.layers[0].digest).write_bytes(b"la"),
        {"blob", "name"},
    ),
    "a layer gone": (lambda s, m: s.blobs.remove(m.layers[0].digest), {"name"}),
    "a config gone": (lambda s, m: s.blobs.remove(m.config.digest), {"name"}),
    "a manifest gone": (lambda s, m: s.blobs.remove(m.digest), {"name"}),
    "a name cut off": (lambda s, m: only(s, "names").write_bytes(b'{"name"'), {"name"}),
    "a name of zeros": (lambda s, m: only(s, "names").write_bytes(bytes(50)), {"name"}),
    "a stray name": (lambda s, m: (s.root / "names/.%zz").write_bytes(b"\xff"), {"name"}),
    "a directory as a name": (lambda s, m: (s.root / "names/d/e").mkdir(parents=True), {"name"}),
    "a record that rotted": (lambda s, m: rot(only(s, "records")), {"record"}),
    "a record cut off": (lambda s, m: only(s, "records").write_bytes(b"x"), {"record"}),
    "a stray file among the blobs": (
        lambda s, m: (s.root / "blobs/sha256/.part").write_bytes(b"x"),
        {"blob"},
    ),
    "a directory among the blobs": (
        lambda s, m: (s.root / f"blobs/sha256/{'ab' * 32}/x").mkdir(parents=True),
        {"blob"},
    ),
    "a shelf of an unknown digest": (
        lambda s, m: [(s.root / "blobs/crc").mkdir(), (s.root / "blobs/crc/1").write_bytes(b"")],
        {"blob"},
    ),
    "a directory of nobody": (
        lambda s, m: (s.root / "tmp/1-x/y").mkdir(parents=True),
        {"temporary"},
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_healed(store: Store, image: Manifest, what: str) -> None:
    assert check_store(store).outcome == "nothing-to-do"
    cause, kinds = DAMAGES[what]
    cause(store, image)
    found = check_store(store)
    assert found.outcome == "failed"
    assert {damage.kind for damage in found.damage} == kinds
    assert all(damage.detail and not damage.repaired for damage in found.damage)
    healed = check_store(store, repair=True)
    assert healed.outcome == "done" and healed.damage
    assert check_store(store).outcome == "nothing-to-do"


def test_a_whole_store_is_counted(store: Store, image: Manifest) -> None:
    found = check_store(store)
    assert (found.blobs, found.names, found.damage) == (3, 1, ())
    assert found.bytes == len(b"layer") + image.config.size + len(image.raw)
    counted = usage(store)
    assert (counted.names, counted.blobs) == (1, 3)
    assert counted.total_bytes == sum(
        (counted.blob_bytes, counted.snapshot_bytes, counted.record_bytes, counted.cache_bytes)
    )


def test_a_layer_that_a_registry_has_need_not_be_here(store: Store, image: Manifest) -> None:
    store.blobs.remove(image.layers[0].digest)
    store.remember_origin(image.layers[0].digest, "example.org/x")
    assert check_store(store).outcome == "nothing-to-do"


def test_an_index_needs_one_whole_image(store: Store, image: Manifest) -> None:
    absent = Descriptor(image.media_type, digest_of(b"absent"), 6, platform=Platform("s390x"))
    index = Index.make((image.descriptor(Platform("amd64")), absent))
    store.blobs.put(index.raw)
    store.names.set(NAME, Descriptor(OCI_INDEX, index.digest, len(index.raw)))
    assert check_store(store).outcome == "nothing-to-do"
    store.blobs.remove(image.digest)
    assert [damage.kind for damage in check_store(store).damage] == ["name"]


def test_a_healed_store_takes_the_image_again(store: Store, image: Manifest) -> None:
    rot(store.blobs.path(image.layers[0].digest))
    check_store(store, repair=True)
    assert store.names.get(NAME) is None
    store.names.set(NAME, put_image(store).descriptor())
    assert check_store(store).outcome == "nothing-to-do"


def test_a_store_of_another_version_is_left_alone(store: Store) -> None:
    for version in (b"2", b"", b"\xff\xfe"):
        (store.root / "version").write_bytes(version)
        with pytest.raises(Exception, match="a store of version"):
            Store(store.root)


def test_a_stray_file_beside_the_shelves_is_in_nobodys_way(store: Store, image: Manifest) -> None:
    (store.root / "blobs/README").write_bytes(b"")
    assert check_store(store).outcome == "nothing-to-do"
