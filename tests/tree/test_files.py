"""Files of an image are read out of its layers, whatever their compression."""

from __future__ import annotations

import pytest

from oakum.errors import InvalidImage, NotFound
from oakum.layer import Entry, Kind, Layer, known_index
from oakum.layer.read import index_blob
from oakum.oci import Compression, Descriptor
from oakum.store import Store
from oakum.tree import ImageTree, files
from support.layers import Member, write_layer

BODY = bytes(range(256)) * 9000


def member(path: bytes, content: bytes) -> Member:
    return Entry(path, Kind.FILE, size=len(content)), content


def image(store: Store, *layers: Layer, **more: object) -> ImageTree:
    indexes = [index_blob(store, layer.descriptor, layer.diff_id) for layer in layers]
    return ImageTree(store, indexes, [layer.descriptor for layer in layers], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", list(Compression))
def test_a_file_is_read_from_amid_its_layer(store: Store, compression: Compression) -> None:
    layer = write_layer(
        store,
        [
            member(b"a", b"first"),
            member(b"big", BODY),
            (Entry(b"big-too", Kind.HARDLINK, link=b"big"), b""),
            (Entry(b"link", Kind.SYMLINK, link=b"/big"), b""),
            member(b"var/lib/dpkg/status", b"kept beside the index"),
        ],
        compression,
    )
    found = image(store, layer)
    assert [found.read(name) for name in ("big", "big-too", "link", "/./big")] == [BODY] * 4
    assert found.read("var/lib/dpkg/status") == b"kept beside the index"
    assert found.read("nowhere") is None and found.read("var/lib") is None
    assert found.list("var/lib/dpkg") == ["status"] and found.list("nowhere") == []


def test_the_upper_layer_wins_and_a_link_keeps_what_it_named(store: Store) -> None:
    lower = write_layer(store, [member(b"a", b"old"), (Entry(b"b", Kind.HARDLINK, link=b"a"), b"")])
    upper = write_layer(store, [member(b"a", b"new")])
    found = image(store, lower, upper)
    assert (found.read("a"), found.read("b")) == (b"new", b"old")
    gone = write_layer(store, [(Entry(b"a", Kind.WHITEOUT), b"")])
    found = image(store, lower, gone)
    assert (found.read("a"), found.read("b")) == (None, b"old")


def test_a_name_that_is_not_utf8_is_read(store: Store) -> None:
    found = image(store, write_layer(store, [member(b"d/\xff", b"odd")]))
    assert [found.read(f"d/{name}") for name in found.list("d")] == [b"odd"]


def test_a_layer_that_is_not_here_is_fetched_when_a_file_is_asked_for(store: Store) -> None:
    layer = write_layer(store, [member(b"a", b"content")])
    raw = store.blobs.read(layer.descriptor.digest, 1 << 20)
    store.blobs.remove(layer.descriptor.digest)
    assert known_index(store, layer.diff_id) is not None
    with pytest.raises(NotFound, match="not in the store"):
        image(store, layer).read("a")
    asked: list[Descriptor] = []

    def fetch(descriptor: Descriptor) -> None:
        asked.append(descriptor)
        store.blobs.put(raw)

    assert image(store, layer, fetch=fetch).read("a") == b"content"
    assert asked == [layer.descriptor]


def test_a_layer_that_was_cut_off_since_is_noticed(store: Store) -> None:
    layer = write_layer(store, [member(b"a", BODY), member(b"b", BODY)])
    path = store.blobs.path(layer.descriptor.digest)
    path.write_bytes(path.read_bytes()[: len(BODY) // 2])
    for name in ("a", "b"):
        with pytest.raises(InvalidImage, match="cut off"):
            image(store, layer).read(name)


def test_a_file_too_large_for_memory_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_READ", 3)
    with pytest.raises(InvalidImage, match="too many to read"):
        image(store, write_layer(store, [member(b"a", b"four")])).read("a")
