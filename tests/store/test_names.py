"""Names: each stands for one descriptor, at every moment."""

from __future__ import annotations

import threading

import pytest

from oakum.errors import StoreError
from oakum.oci import Descriptor, digest_of, parse_reference
from oakum.oci.media import OCI_MANIFEST
from oakum.store import Store

ONE = Descriptor(OCI_MANIFEST, digest_of(b"one"), 3)
TWO = Descriptor(OCI_MANIFEST, digest_of(b"two"), 3)


def test_a_name_is_set_moved_and_removed(store: Store) -> None:
    name = parse_reference("localhost:5000/a/b:1")
    assert store.names.get(name) is None
    store.names.set(name, ONE, parse_reference("example.org/origin:1"))
    found = store.names.get(name)
    assert found is not None and found.descriptor == ONE
    assert found.origin == "example.org/origin:1"
    store.names.set(name, TWO)
    found = store.names.get(name)
    assert found is not None and (found.descriptor, found.origin) == (TWO, None)
    assert store.names.remove(name)
    assert not store.names.remove(name)
    assert list(store.names.all()) == []


def test_a_tag_and_a_digest_are_names_apart(store: Store) -> None:
    store.names.set(parse_reference("x:1"), ONE)
    store.names.set(parse_reference(f"x@{TWO.digest}"), TWO)
    assert [named.name for named in store.names.all()] == [
        "docker.io/library/x:1",
        f"docker.io/library/x@{TWO.digest}",
    ]
    assert store.names.get(parse_reference("x")) is None


def test_the_longest_reference_is_a_name(store: Store) -> None:
    """Registries take 255 bytes of repository and 128 of tag, file systems 255 in all."""
    prefix = f"example.org/{'a/' * 120}"
    first, second = (parse_reference(f"{prefix}{end}:{'t' * 128}") for end in ("b", "c"))
    store.names.set(first, ONE)
    assert store.names.get(second) is None
    store.names.set(second, TWO)
    found = [store.names.get(name) for name in (first, second)]
    assert [named.descriptor for named in found if named] == [ONE, TWO]
    assert {named.name for named in store.names.all()} == {str(first), str(second)}
    assert store.names.remove(first) and store.names.get(first) is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xff", b"[]", b'{"name":"x"}', b'"\\ud800"', b"\0" * 200],
)
def test_a_damaged_name_is_an_error_that_says_what_to_do(store: Store, raw: bytes) -> None:
    name = parse_reference("x:1")
    store.names.set(name, ONE)
    (path,) = (store.root / "names").iterdir()
    path.write_bytes(raw)
    for look in (lambda: store.names.get(name), lambda: list(store.names.all())):
        with pytest.raises(StoreError, match="damaged") as caught:
            look()
        assert "--repair" in caught.value.todo
    store.names.set(name, TWO)
    found = store.names.get(name)
    assert found is not None and found.descriptor == TWO


def test_a_name_for_something_that_is_no_digest_is_damaged(store: Store) -> None:
    name = parse_reference("x:1")
    store.names.set(name, Descriptor(OCI_MANIFEST, "sha256:../../etc", 3))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="damaged"):
        store.names.get(name)


def test_a_name_is_whole_at_every_moment(store: Store) -> None:
    name = parse_reference("x:1")
    store.names.set(name, ONE)

    def move() -> None:
        for number in range(200):
            store.names.set(name, (ONE, TWO)[number % 2])

    mover = threading.Thread(target=move)
    mover.start()
    while mover.is_alive():
        found = store.names.get(name)
        assert found is not None and found.descriptor in (ONE, TWO)
        assert [named.name for named in store.names.all()] == ["docker.io/library/x:1"]
    mover.join()
