"""An image goes from place to place and stays the same, byte for byte; other tools agree."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from oakum.errors import DigestMismatch, InvalidImage, NotFound, OakumError, UsageError
from oakum.oci import Index, Manifest, Platform
from oakum.store import Store
from oakum.transport import open_source, parse_location, pull
from support.images import copy, make_image, skopeo_digest


def test_the_digest_is_kept_through_every_place(
    store: Store, image: Manifest, registry: str, tmp_path: Path
) -> None:
    places = [
        f"store:{image.digest}",
        f"oci:{tmp_path}/layout:a",
        f"oci-archive:{tmp_path}/a.tar:b",
        f"docker-archive:{tmp_path}/d.tar:example.org/x:1",
        f"docker://{registry}/places:1",
        "store:example.org/y:2",
    ]
    for source, target in itertools.pairwise(places):
        assert copy(store, source, target).root.digest == image.digest, target
    for place in places[1:3]:
        assert skopeo_digest(place) == image.digest
    assert skopeo_digest(places[4]) == image.digest


def test_what_skopeo_writes_is_read_and_the_reverse(
    store: Store, image: Manifest, tmp_path: Path
) -> None:
    copy(store, f"store:{image.digest}", f"oci:{tmp_path}/layout:a")
    for kind, name in (("oci", ":x"), ("oci-archive", ":x"), ("docker-archive", ":x:1")):
        made = f"{kind}:{tmp_path}/{kind}{name}"
        command = ["skopeo", "copy", "-q", f"oci:{tmp_path}/layout:a", made]
        subprocess.run(command, check=True, capture_output=True)
        found = copy(store, made, f"store:from-{kind}:1").root
        if kind != "docker-archive":
            assert found.digest == image.digest
        manifest = store.manifest(found)
        assert isinstance(manifest, Manifest)
        assert store.config(manifest).diff_ids == store.config(image).diff_ids
    made = f"docker-archive:{tmp_path}/ours.tar:example.org/ours:1"
    copy(store, f"store:{image.digest}", made)
    command = ["skopeo", "copy", "-q", made, f"oci:{tmp_path}/back:x"]
    subprocess.run(command, check=True, capture_output=True)


def test_the_same_image_gives_the_same_archive(
    store: Store, image: Manifest, tmp_path: Path
) -> None:
    """Blobs come in the manifest's order, however long each takes to be read."""
    for kind in ("oci-archive", "docker-archive"):
        made = [tmp_path / f"{kind}-{number}.tar" for number in range(2)]
        for path in made:
            copy(store, f"store:{image.digest}", f"{kind}:{path}:example.org/x:1")
        assert made[0].read_bytes() == made[1].read_bytes()
        with tarfile.open(made[0]) as tar:
            names = [member.name.rpartition("/")[2] for member in tar]
        blobs = [blob.digest.partition(":")[2] for blob in (*image.layers, image.config)]
        assert names[: len(blobs)] == blobs


def test_a_layout_keeps_its_other_images(store: Store, image: Manifest, tmp_path: Path) -> None:
    other = make_image(store, "three")
    copy(store, f"store:{image.digest}", f"oci:{tmp_path}/layout:a")
    copy(store, f"store:{other.digest}", f"oci:{tmp_path}/layout:b")
    copy(store, f"store:{other.digest}", f"oci:{tmp_path}/layout:b")
    assert skopeo_digest(f"oci:{tmp_path}/layout:a") == image.digest
    assert skopeo_digest(f"oci:{tmp_path}/layout:b") == other.digest
    listed = json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]
    assert len(listed) == 2
    with pytest.raises(NotFound, match="2 images"):
        copy(store, f"oci:{tmp_path}/layout", "store:x:1")


def test_an_index_is_copied_whole(store: Store, registry: str, tmp_path: Path) -> None:
    images = [make_image(store, a, architecture=a) for a in ("amd64", "arm64")]
    index = Index.make(tuple(m.descriptor(Platform(a)) for m, a in zip(images, ("amd64", "arm64"))))
    store.blobs.put(index.raw)
    copied = copy(store, f"store:{index.digest}", f"docker://{registry}/index:1")
    assert copied.root.digest == index.digest and copied.manifests_written == 3
    assert skopeo_digest(f"docker://{registry}/index:1") == index.digest
    one = copy(
        store, f"docker://{registry}/index:1", f"oci:{tmp_path}/arm", platform=Platform("arm64")
    )
    assert one.root.digest == images[1].digest
    with Store(tmp_path / "fresh") as fresh:
        source = open_source(parse_location(f"docker://{registry}/index:1"), fresh)
        pulled = pull(fresh, source, platform=Platform("amd64"), name=source.origin())
        assert pulled.descriptor.digest == index.digest
        assert pulled.manifest is not None and pulled.manifest.digest == images[0].digest
        assert not fresh.blobs.has(images[1].digest)
        with pytest.raises(NotFound, match="s390x"):
            pull(fresh, source, platform=Platform("s390x"))


def test_only_what_the_target_lacks_is_sent(store: Store, registry: str) -> None:
    first, second = make_image(store, "a", "b"), make_image(store, "a", "b", "c")
    copy(store, f"store:{first.digest}", f"docker://{registry}/lack:1")
    grown = copy(store, f"store:{second.digest}", f"docker://{registry}/lack:2")
    assert grown.bytes_kept == sum(layer.size for layer in first.layers)
    assert grown.bytes_sent == second.layers[2].size + second.config.size
    elsewhere = copy(store, f"store:{second.digest}", f"docker://{registry}/other:1")
    assert elsewhere.bytes_mounted == sum(layer.size for layer in second.layers)


def test_docker_loads_and_runs_what_is_written(
    store: Store, image: Manifest, tmp_path: Path, daemon: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.tar"
    copy(store, f"store:{image.digest}", f"docker-archive:{path}:example.org/loaded:1")
    daemon("load", "-i", str(path))  # type: ignore[operator]
    found = json.loads(daemon("inspect", "example.org/loaded:1"))[0]  # type: ignore[operator]
    assert found["Id"] == image.config.digest
    monkeypatch.setenv("DOCKER_HOST", daemon.host)  # type: ignore[attr-defined]
    copy(store, f"store:{image.digest}", "docker-daemon:example.org/sent:1")
    found = json.loads(daemon("inspect", "example.org/sent:1"))[0]  # type: ignore[operator]
    assert found["Id"] == image.config.digest
    back = copy(store, "docker-daemon:example.org/sent:1", "store:back:1").root
    manifest = store.manifest(back)
    assert isinstance(manifest, Manifest)
    assert store.config(manifest).diff_ids == store.config(image).diff_ids
    with pytest.raises(NotFound, match="no-such"):
        copy(store, "docker-daemon:no-such:1", "store:x:1")


@pytest.mark.parametrize(
    "damage",
    ["cut", "digest", "deep", "not-json", "big", "no-index", "traversal", "not-tar"],
)
def test_damaged_archives_are_refused_and_nothing_is_named(
    store: Store, image: Manifest, tmp_path: Path, damage: str
) -> None:
    whole = tmp_path / "whole.tar"
    copy(store, f"store:{image.digest}", f"oci-archive:{whole}:a")
    bad = tmp_path / "bad.tar"
    data = whole.read_bytes()
    if damage == "cut":
        bad.write_bytes(data[: len(data) // 3])
    elif damage == "not-tar":
        bad.write_bytes(b"hello" * 1000)
    else:
        with tarfile.open(whole) as tar, tarfile.open(bad, "w") as out:
            for member in tar:
                content = tar.extractfile(member).read()  # type: ignore[union-attr]
                name = member.name
                if damage == "digest" and name.endswith(image.layers[0].digest[7:]):
                    content = content[:-1] + b"x"
                if name == "index.json":
                    if damage == "deep":
                        content = b'{"a":' * 1000 + b"1" + b"}" * 1000
                    if damage == "not-json":
                        content = b"<html>"
                    if damage == "big":
                        content = content[:-1] + b" " * (100 << 20) + b"}"
                    if damage == "no-index":
                        continue
                    if damage == "traversal":
                        member.name = "../../index.json"
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
    with Store(tmp_path / "fresh") as fresh:
        with pytest.raises(OakumError) as caught:
            copy(fresh, f"oci-archive:{bad}:a", "store:named:1")
        assert isinstance(caught.value, (InvalidImage, DigestMismatch, NotFound))
        assert caught.value.todo
        assert list(fresh.names.all()) == []
    copy_target = tmp_path / "half.tar"
    with pytest.raises(OakumError):
        copy(store, f"oci-archive:{bad}:a", f"oci-archive:{copy_target}:a")
    assert not copy_target.exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".half")] == []


@pytest.mark.parametrize("text", ["ftp://x", "oci:", "docker:x", "store:", "oci::tag"])
def test_places_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_location(text)


@pytest.mark.parametrize(
    ("text", "transport"),
    [
        ("localhost:5000/x:1", ""),
        ("debian", ""),
        ("docker://debian:12", "docker"),
        ("oci:dir/with/path:tag", "oci"),
        ("docker-archive:a.tar:x:1", "docker-archive"),
        ("store:x", "store"),
        (f"store:sha256:{'a' * 64}", "store"),
    ],
)
def test_places_are_read_and_written_alike(text: str, transport: str) -> None:
    location = parse_location(text)
    assert location.transport == transport
    assert parse_location(str(location)) == location


def test_what_is_there_already_is_nothing_to_do(
    store: Store, image: Manifest, registry: str, tmp_path: Path
) -> None:
    source = f"store:{image.digest}"
    for place in (
        f"docker://{registry}/again:1",
        f"oci:{tmp_path}/again:a",
        "store:example.org/a:1",
    ):
        assert copy(store, source, place).changed, place
        second = copy(store, source, place)
        assert not second.changed and second.bytes_sent == 0, place
