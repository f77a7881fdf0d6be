"""A registry that sends what it did not promise: one error, and nothing stays in the store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oakum.errors import DigestMismatch, InvalidImage, NotFound, OakumError
from oakum.oci import Index, Manifest, Platform, digest_of
from oakum.oci.media import (
    DOCKER_FOREIGN_LAYER,
    OCI_INDEX,
    OCI_MANIFEST,
    OCI_NONDISTRIBUTABLE_LAYER,
)
from oakum.store import Store
from oakum.transport import RegistryOptions
from support.faulty import Answer, FaultyRegistry, Request
from support.images import copy, fetch, is_untouched, make_image, publish

DEEP = b'{"a":' * 1000 + b"1" + b"}" * 1000
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
HUGE = 100 << 20


def changed(image: Manifest, **fields: object) -> bytes:
    """The manifest with other fields; None takes one away."""
    document: dict[str, Any] = json.loads(image.raw)
    document.update(fields)
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>not found</html>",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'"text"',
        DEEP,
        b"[" * 100_000,
        b'{"schemaVersion":2}',
        b'{"schemaVersion":2,"config":7,"layers":[]}',
        b'{"schemaVersion":2,"config":{"digest":"sha256:../../etc","size":1},"layers":[]}',
        b'{"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]}',
    ],
)
@pytest.mark.parametrize("kind", [OCI_MANIFEST, OCI_INDEX, "text/html", ""])
def test_a_manifest_that_is_none(
    faulty: FaultyRegistry, fresh: Store, raw: bytes, kind: str
) -> None:
    faulty.put_manifest("app", "1", raw, kind)
    with pytest.raises((InvalidImage, NotFound)) as caught:
        fetch(fresh, f"{faulty.host}/app:1")
    assert caught.value.todo
    assert is_untouched(fresh)


def test_a_config_that_is_none(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    for config in (b"", b"hello", DEEP, b"{}", b'{"rootfs":{"diff_ids":["x"]}}'):
        faulty.put_blob("app", config)
        made = {"mediaType": image.config.media_type, "size": len(config)}
        raw = changed(image, config={**made, "digest": digest_of(config)})
        faulty.put_manifest("app", "1", raw, image.media_type)
        with pytest.raises(InvalidImage):
            fetch(fresh, f"{faulty.host}/app:1")
        assert is_untouched(fresh)


@pytest.mark.parametrize("told", [True, False])
def test_a_manifest_of_100_megabytes_is_not_read(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, told: bool
) -> None:
    name = publish(faulty, "app", store, image)
    sent = 0

    def endless(request: Request, right: Answer) -> Answer:
        nonlocal sent
        sent += 1
        headers = {"Content-Type": OCI_MANIFEST, "Content-Length": str(HUGE)}
        if told:
            headers["Docker-Content-Digest"] = image.digest
        return Answer(200, headers, b" " * (16 << 20))

    faulty.change("manifests", endless)
    with pytest.raises(InvalidImage, match="more than"):
        fetch(fresh, name)
    assert sent == (1 if told else 2)
    assert is_untouched(fresh)


def test_a_document_longer_than_promised_is_not_read_on(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.change(
        f"GET .*{image.config.digest}", lambda _, right: Answer(200, {}, right.body + b" " * 9)
    )
    with pytest.raises(InvalidImage, match="more than"):
        fetch(fresh, name)
    assert is_untouched(fresh)


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_bytes_that_do_not_have_their_digest(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, part: str
) -> None:
    name = publish(faulty, "app", store, image)
    digest = {"manifest": image.digest, "config": image.config.digest}.get(
        part, image.layers[1].digest
    )
    faulty.change(
        f"GET .*{digest}",
        lambda _, right: Answer(200, right.headers, right.body[:-1] + b"x"),
    )
    with pytest.raises(DigestMismatch, match=digest):
        fetch(fresh, name)
    assert is_untouched(fresh)


@pytest.mark.parametrize("more", [b"x", b"x" * 1_000_000])
def test_a_layer_longer_than_promised(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, more: bytes
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.change(
        f"GET .*{image.layers[0].digest}", lambda _, right: Answer(200, {}, right.body + more)
    )
    with pytest.raises(DigestMismatch, match="promised"):
        fetch(fresh, name)
    assert is_untouched(fresh)


def test_a_layer_shorter_than_promised_ends_in_an_error(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(faulty, "app", store, image)
    blob = store.blobs.path(image.layers[0].digest).read_bytes()
    faulty.answer(f"GET .*{image.layers[0].digest}", Answer(200, {}, blob[:-10]))
    with pytest.raises(OakumError, match="cut off"):
        fetch(fresh, name, RegistryOptions(retries=1))
    assert is_untouched(fresh)


@pytest.mark.parametrize("length", ["5", "0", "-1", "many", ""])
def test_a_content_length_that_lies(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, length: str
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.change(
        f"GET .*{image.layers[0].digest}", lambda _, right: right.having(Content_Length=length)
    )
    with pytest.raises(OakumError):
        fetch(fresh, name, RegistryOptions(retries=1))
    assert is_untouched(fresh)


def test_a_size_in_the_manifest_that_lies(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    publish(faulty, "app", store, image)
    for size in (1, 0, image.layers[0].size + 1, 10**30):
        first = {**json.loads(image.raw)["layers"][0], "size": size}
        faulty.put_manifest("app", "1", changed(image, layers=[first]), image.media_type)
        with pytest.raises(OakumError):
            fetch(fresh, f"{faulty.host}/app:1", RegistryOptions(retries=1))
        assert is_untouched(fresh)


def test_an_answer_for_another_digest(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    other = make_image(store, "three")
    publish(faulty, "app", store, image)
    right = faulty.manifests["app", image.digest]
    faulty.manifests["app", image.digest] = (other.raw, other.media_type)
    assert right
    with pytest.raises(DigestMismatch, match=image.digest):
        fetch(fresh, f"{faulty.host}/app@{image.digest}")
    assert is_untouched(fresh)


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-8", "", "?/\x7f"])
def test_a_type_that_says_nothing_is_taken_from_the_document(
    faulty: FaultyRegistry, store: Store, fresh: Store, kind: str
) -> None:
    image = make_image(store, "one", docker=True)
    publish(faulty, "app", store, image)
    faulty.put_manifest("app", "1", image.raw, kind)
    pulled = fetch(fresh, f"{faulty.host}/app:1")
    assert (pulled.descriptor.digest, pulled.descriptor.media_type) == (
        image.digest,
        image.media_type,
    )


def test_an_index_that_is_sent_as_a_manifest_is_refused(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    index = Index.make((image.descriptor(Platform("amd64")),))
    for raw, kind in ((index.raw, OCI_MANIFEST), (image.raw, OCI_INDEX)):
        faulty.put_manifest("app", "1", raw, kind)
        with pytest.raises(InvalidImage, match="not an image"):
            fetch(fresh, f"{faulty.host}/app:1")
        assert is_untouched(fresh)


def test_a_manifest_of_schema_1_is_named_as_such(faulty: FaultyRegistry, fresh: Store) -> None:
    raw = b'{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[]}'
    for kind in (SCHEMA_1, "application/vnd.docker.distribution.manifest.v1+json"):
        faulty.put_manifest("app", "1", raw, kind)
        with pytest.raises(InvalidImage, match="schema 1"):
            fetch(fresh, f"{faulty.host}/app:1")
        assert is_untouched(fresh)


@pytest.mark.parametrize("kind", [DOCKER_FOREIGN_LAYER, OCI_NONDISTRIBUTABLE_LAYER])
def test_foreign_layers_are_refused_by_name(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, kind: str
) -> None:
    publish(faulty, "app", store, image)
    first = {**json.loads(image.raw)["layers"][0], "mediaType": f"{kind}.gzip"}
    first["urls"] = ["https://vendor.example/layer"]
    faulty.put_manifest("app", "1", changed(image, layers=[first]), image.media_type)
    with pytest.raises(InvalidImage, match="foreign"):
        fetch(fresh, f"{faulty.host}/app:1")
    assert is_untouched(fresh)
    assert not faulty.lines(image.layers[0].digest)


def index_with_strangers(store: Store, image: Manifest) -> Index:
    """An index that lists, besides the image, what BuildKit adds and platforms nobody knows."""
    attestation = make_image(store, "attested")
    notes = {"vnd.docker.reference.type": "attestation-manifest"}
    strange = [
        {**attestation.descriptor().to_document(), "annotations": notes},
        {**attestation.descriptor().to_document(), "platform": {"os": "plan9", "architecture": 7}},
        {**attestation.descriptor().to_document(), "platform": "none"},
        {**attestation.descriptor().to_document(), "x-more": {"kept": True}},
        image.descriptor(Platform("amd64")).to_document(),
    ]
    strange[0]["platform"] = {"os": "unknown", "architecture": "unknown"}
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": strange}
    index = Index.parse(json.dumps(document).encode())
    store.blobs.put(index.raw)
    return index


def test_attestations_and_unknown_platforms_do_not_disturb(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    index = index_with_strangers(store, image)
    name = publish(faulty, "app", store, index)
    pulled = fetch(fresh, name)
    assert pulled.manifest is not None and pulled.manifest.digest == image.digest
    assert pulled.descriptor.digest == index.digest
    copied = copy(store, f"docker://{name}", f"docker://{faulty.host}/other:1")
    assert copied.root.digest == index.digest
    assert faulty.manifests["other", "1"][0] == index.raw


def test_an_index_without_the_platform_or_without_anything(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    index = index_with_strangers(store, image)
    name = publish(faulty, "app", store, index)
    with pytest.raises(NotFound, match="no image for linux/s390x") as caught:
        fetch(fresh, name, platform=Platform("s390x"))
    assert "linux/amd64" in caught.value.todo
    empty = Index.make(())
    faulty.put_manifest("app", "2", empty.raw, empty.media_type)
    with pytest.raises(OakumError):
        fetch(fresh, f"{faulty.host}/app:2")
    with pytest.raises(OakumError):
        copy(store, f"docker://{faulty.host}/app:2", f"docker://{faulty.host}/app:3")
    assert ("app", "3") not in faulty.manifests
    assert is_untouched(fresh)


def test_an_index_in_an_index_is_refused(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    inner = Index.make((image.descriptor(Platform("amd64")),))
    document = {"mediaType": OCI_INDEX, "digest": inner.digest, "size": len(inner.raw)}
    document["platform"] = {"os": "linux", "architecture": "amd64"}
    outer = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [document]})
    faulty.put_manifest("app", "inner", inner.raw, OCI_INDEX)
    faulty.put_manifest("app", "1", outer.encode(), OCI_INDEX)
    with pytest.raises(InvalidImage, match="another index"):
        fetch(fresh, f"{faulty.host}/app:1")
    with pytest.raises(InvalidImage, match="another index"):
        copy(store, f"docker://{faulty.host}/app:1", f"docker://{faulty.host}/app:2")
    assert is_untouched(fresh)
