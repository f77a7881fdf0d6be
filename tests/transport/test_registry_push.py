"""Pushing: only what is missing is sent, an upload is resumed, and a failure leaves no tag."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request

import pytest

from oakum.errors import AccessDenied, DigestMismatch, NotFound, OakumError, TransportError
from oakum.oci import Compression, Index, Manifest, Platform, digest_of
from oakum.store import Store
from oakum.transport import RegistryOptions
from support.faulty import Answer, FaultyRegistry, Request
from support.images import copy, make_image, publish, skopeo_digest
from support.relay import running_relay


@pytest.fixture
def large(store: Store) -> Manifest:
    """An image with one layer that does not fit into the buffers of a connection."""
    noise = random.Random(5).randbytes(2_000_000).hex()
    return make_image(store, noise, kind=Compression.NONE)


def tags_of(host: str, repository: str) -> list[str]:
    """What a real registry says."""
    try:
        with urllib.request.urlopen(f"http://{host}/v2/{repository}/tags/list") as answer:
            return json.load(answer)["tags"] or []
    except urllib.error.HTTPError:
        return []


@pytest.mark.parametrize("after", [0, 1, 1_000, 2_000_000])
def test_an_upload_that_is_cut_is_continued(
    faulty: FaultyRegistry, store: Store, large: Manifest, after: int
) -> None:
    faulty.cut_upload("PUT .*uploads", after)
    copy(store, f"store:{large.digest}", f"docker://{faulty.host}/app:1", RegistryOptions(jobs=1))
    assert faulty.manifests["app", "1"][0] == large.raw
    rest = [r for r in faulty.requests if r.method == "PATCH"]
    size = large.layers[0].size
    if after > 1:
        assert [len(r.body) for r in rest] == [size - after]
        assert rest[0].headers["content-range"] == f"{after}-{size - 1}"
    else:
        assert rest == []


def test_an_upload_that_is_cut_again_and_again_gets_there(
    faulty: FaultyRegistry, store: Store, large: Manifest
) -> None:
    faulty.cut_upload("PUT .*uploads", 1_000_000)
    faulty.cut_upload("PATCH .*uploads", 1_000_000, times=3)
    copy(store, f"store:{large.digest}", f"docker://{faulty.host}/app:1")
    assert faulty.manifests["app", "1"][0] == large.raw


@pytest.mark.parametrize("status", [400, 404, 416])
def test_an_upload_that_the_registry_forgot_is_begun_anew(
    faulty: FaultyRegistry, store: Store, large: Manifest, status: int
) -> None:
    faulty.cut_upload("PUT .*uploads", 1_000_000)
    faulty.answer("PATCH .*uploads", Answer(status), times=1)
    copy(store, f"store:{large.digest}", f"docker://{faulty.host}/app:1")
    assert faulty.manifests["app", "1"][0] == large.raw


def test_an_answer_that_got_lost_does_not_send_the_blob_twice(
    faulty: FaultyRegistry, store: Store, large: Manifest
) -> None:
    faulty.change("PUT .*uploads", lambda _, right: Answer(raw=b""), times=1)
    copy(store, f"store:{large.digest}", f"docker://{faulty.host}/app:1", RegistryOptions(jobs=1))
    sent = [len(r.body) for r in faulty.requests if r.method in ("PUT", "PATCH")]
    assert sent.count(large.layers[0].size) == 1


def test_a_real_registry_gets_an_upload_that_was_cut(
    registry: str, store: Store, large: Manifest
) -> None:
    with running_relay(registry) as relay:
        relay.cut_after(2_000_000, b"PUT ")
        copy(store, f"store:{large.digest}", f"docker://{relay.host}/cut:1")
        relay.cut_after(100, b"PUT ")
        other = make_image(store, "small")
        copy(store, f"store:{other.digest}", f"docker://{relay.host}/cut:2")
    assert skopeo_digest(f"docker://{registry}/cut:1") == large.digest
    assert skopeo_digest(f"docker://{registry}/cut:2") == other.digest


@pytest.mark.parametrize(
    "fault",
    [
        ("PUT .*uploads", Answer(500)),
        ("PUT .*uploads", Answer(400)),
        ("PUT .*uploads", Answer(413)),
        ("PUT .*uploads", Answer(403)),
        ("POST .*uploads", Answer(404)),
        ("POST .*uploads", Answer(202)),
        ("POST .*uploads", Answer(202, {"Location": "http://[::1"})),
        ("POST .*uploads", Answer(202, {"Location": "ftp://127.0.0.1/x"})),
        ("POST .*uploads", Answer(202, {"Location": "http://192.0.2.7/x"})),
        ("HEAD .*blobs", Answer(500)),
        ("HEAD .*blobs", Answer(403)),
        ("PUT .*manifests", Answer(500)),
        ("PUT .*manifests", Answer(400)),
        ("PUT .*manifests", Answer(raw=b"nonsense\r\n\r\n")),
    ],
)
def test_a_push_that_fails_is_one_error_and_leaves_no_tag(
    faulty: FaultyRegistry, store: Store, image: Manifest, fault: tuple[str, Answer]
) -> None:
    faulty.answer(*fault)
    with pytest.raises((TransportError, AccessDenied, NotFound)) as caught:
        options = RegistryOptions(retries=2)
        copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1", options)
    assert caught.value.todo and faulty.host in caught.value.what
    assert ("app", "1") not in faulty.manifests
    assert faulty.uploads == {}


@pytest.mark.parametrize("status", [400, 403, 413])
def test_a_blob_that_is_refused_is_not_sent_again(
    faulty: FaultyRegistry, store: Store, status: int
) -> None:
    image = make_image(store, "only")
    faulty.answer("PUT .*uploads", Answer(status))
    with pytest.raises(OakumError):
        copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1")
    sent = [digest_of(r.body) for r in faulty.requests if r.method == "PUT"]
    assert len(sent) == len(set(sent))


def test_uploads_that_will_not_be_finished_are_cancelled(
    faulty: FaultyRegistry, store: Store, image: Manifest
) -> None:
    faulty.answer("PUT .*uploads", Answer(413))
    with pytest.raises(TransportError):
        copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1")
    assert faulty.lines("DELETE .*uploads") and faulty.uploads == {}


def test_a_source_that_is_damaged_leaves_no_tag(
    faulty: FaultyRegistry, registry: str, store: Store, image: Manifest
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.change(f"GET .*{image.layers[0].digest}", lambda _, right: flipped(right))
    with pytest.raises(DigestMismatch, match=image.layers[0].digest):
        copy(store, f"docker://{name}", f"docker://{registry}/damaged:1")
    assert tags_of(registry, "damaged") == []


def flipped(right: Answer) -> Answer:
    return Answer(200, right.headers, right.body[:-1] + b"x")


def test_a_source_that_is_cut_off_for_good_is_not_asked_again_for_the_targets_sake(
    faulty: FaultyRegistry, registry: str, store: Store
) -> None:
    image = make_image(store, "only")
    name = publish(faulty, "app", store, image)
    faulty.answer(f"GET .*{image.layers[0].digest}", Answer(503))
    with pytest.raises(TransportError, match="503"):
        copy(store, f"docker://{name}", f"docker://{registry}/gone:1", RegistryOptions(retries=2))
    assert len(faulty.lines(f"GET .*{image.layers[0].digest}")) == 3
    assert tags_of(registry, "gone") == []


def test_a_blob_is_mounted_from_where_it_is_known_to_be(
    faulty: FaultyRegistry, store: Store, image: Manifest
) -> None:
    copy(store, f"store:{image.digest}", f"docker://{faulty.host}/first:1")
    copied = copy(store, f"store:{image.digest}", f"docker://{faulty.host}/second:1")
    assert copied.bytes_mounted == sum(layer.size for layer in image.layers)
    mounts = [r.query for r in faulty.requests if r.query.get("from") == "first"]
    assert {m["mount"] for m in mounts} == {layer.digest for layer in image.layers}


@pytest.mark.parametrize("refusal", [Answer(403), Answer(404), Answer(405), Answer(500), None])
def test_a_mount_that_is_refused_becomes_an_upload(
    faulty: FaultyRegistry, store: Store, image: Manifest, refusal: Answer | None
) -> None:
    copy(store, f"store:{image.digest}", f"docker://{faulty.host}/first:1")

    def refuse(request: Request, right: Answer) -> Answer:
        if "from" not in request.query or refusal is not None:
            return refusal if "from" in request.query and refusal else right
        del faulty.blobs["second", request.query["mount"]]
        faulty.uploads["mine"] = bytearray()
        return Answer(202, {"Location": f"{faulty.url}/v2/second/blobs/uploads/mine"})

    faulty.change("POST .*/second/", refuse)
    options = RegistryOptions(jobs=1)
    copied = copy(store, f"store:{image.digest}", f"docker://{faulty.host}/second:1", options)
    assert copied.bytes_mounted == 0
    assert faulty.manifests["second", "1"][0] == image.raw


def test_nothing_is_mounted_from_another_registry(
    faulty: FaultyRegistry, registry: str, store: Store, image: Manifest
) -> None:
    copy(store, f"store:{image.digest}", f"docker://{registry}/mounting:1")
    copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1")
    assert all("mount" not in r.query for r in faulty.requests)


def test_a_registry_that_stores_something_else_is_found_out(
    faulty: FaultyRegistry, store: Store, image: Manifest
) -> None:
    other = digest_of(b"other")
    faulty.change("PUT .*manifests", lambda _, right: right.having(Docker_Content_Digest=other))
    with pytest.raises(TransportError, match=other):
        copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1")


def test_the_images_of_an_index_come_before_its_tag(
    faulty: FaultyRegistry, store: Store, image: Manifest
) -> None:
    index = Index.make((image.descriptor(Platform("amd64")),))
    store.blobs.put(index.raw)
    faulty.answer(f"PUT .*manifests/{image.digest}", Answer(400))
    with pytest.raises(TransportError):
        copy(store, f"store:{index.digest}", f"docker://{faulty.host}/app:1")
    assert ("app", "1") not in faulty.manifests


def test_a_manifest_is_sent_under_the_type_that_it_says(
    faulty: FaultyRegistry, registry: str, store: Store
) -> None:
    image = make_image(store, "one", docker=True)
    publish(faulty, "app", store, image)
    wrong = "application/vnd.oci.image.manifest.v1+json"
    faulty.put_manifest("app", "1", image.raw, wrong)
    copy(store, f"docker://{faulty.host}/app:1", f"docker://{registry}/typed:1")
    assert skopeo_digest(f"docker://{registry}/typed:1") == image.digest
