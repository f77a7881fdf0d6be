"""Docker's and OCI's formats with every compression: digests stay, other tools read them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from oakum.layer import read_layer
from oakum.oci import Compression, Index, Manifest, Platform, digest_of
from oakum.oci.media import layer_compression
from oakum.store import Store
from oakum.transport import RegistryOptions
from support.daemon import Daemon
from support.faulty import FaultyRegistry
from support.images import copy, fetch, make_image, publish, skopeo_digest

FORMATS = [
    pytest.param(docker, kind, id=f"{'docker' if docker else 'oci'}-{kind}")
    for docker in (False, True)
    for kind in Compression
]
READABLE = [one for one in FORMATS if one.values != (True, Compression.ZSTD)]
"""Docker defines no media type for zstd: what mixes them is oakum's own affair."""


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("docker", "kind"), FORMATS)
def test_push_pull_and_copy_keep_every_digest(
    registry: str,
    faulty: FaultyRegistry,
    store: Store,
    fresh: Store,
    docker: bool,
    kind: Compression,
) -> None:
    image = make_image(store, "one", "two", kind=kind, docker=docker)
    name = f"formats/{'docker' if docker else 'oci'}-{kind}"
    place = f"{registry}/{name}:1"
    copy(store, f"store:{image.digest}", f"docker://{place}")
    assert skopeo_digest(f"docker://{place}") == image.digest
    pulled = fetch(fresh, place)
    assert pulled.manifest == image
    for layer in image.layers:
        assert layer_compression(layer.media_type) is kind
        assert fresh.blobs.path(layer.digest).read_bytes() == (
            store.blobs.path(layer.digest).read_bytes()
        )
    with fresh.blobs.open(image.layers[0].digest) as file:
        index, _ = read_layer(file)
    assert index.diff_id == store.config(image).diff_ids[0]
    copy(fresh, f"docker://{place}", f"docker://{faulty.host}/{name}:2")
    assert faulty.manifests[name, "2"] == (image.raw, image.media_type)


@pytest.mark.parametrize(("docker", "kind"), READABLE)
def test_skopeo_reads_what_is_pushed_and_the_reverse(
    registry: str,
    store: Store,
    fresh: Store,
    tmp_path: Path,
    docker: bool,
    kind: Compression,
) -> None:
    image = make_image(store, "one", "two", kind=kind, docker=docker)
    name = f"{registry}/skopeo/{'docker' if docker else 'oci'}-{kind}"
    copy(store, f"store:{image.digest}", f"docker://{name}:1")
    tls = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    run(
        "skopeo",
        "copy",
        "-q",
        *tls,
        "--preserve-digests",
        f"docker://{name}:1",
        f"dir:{tmp_path}/d",
    )
    again = [f"dir:{tmp_path}/d", f"docker://{name}:2"]
    run("skopeo", "copy", "-q", *tls, "--preserve-digests", *again)
    assert fetch(fresh, f"{name}:2").descriptor.digest == image.digest


@pytest.mark.parametrize(("docker", "kind"), READABLE)
def test_docker_pulls_and_loads_what_is_pushed(
    registry: str,
    store: Store,
    daemon: Daemon,
    tmp_path: Path,
    docker: bool,
    kind: Compression,
) -> None:
    image = make_image(store, "one", "two", kind=kind, docker=docker)
    name = f"{registry}/docker/{'docker' if docker else 'oci'}-{kind}:1"
    copy(store, f"store:{image.digest}", f"docker://{name}")
    version = daemon("version", "--format", "{{.Server.Version}}")
    if kind is Compression.ZSTD and int(version.partition(".")[0]) < 23:
        pytest.skip(f"docker {version.strip()} does not read zstd, whoever wrote it")
    said = daemon("pull", name)
    assert image.digest in said
    assert json.loads(daemon("inspect", name))[0]["Id"] == image.config.digest
    daemon("rmi", name)
    archive = tmp_path / "image.tar"
    copy(store, f"docker://{name}", f"docker-archive:{archive}:{name}")
    daemon("load", "-i", str(archive))
    assert json.loads(daemon("inspect", name))[0]["Id"] == image.config.digest
    daemon("rmi", name)


@pytest.mark.parametrize(("docker", "kind"), READABLE)
def test_buildah_pulls_what_is_pushed(
    registry: str, store: Store, tmp_path: Path, docker: bool, kind: Compression
) -> None:
    if shutil.which("buildah") is None:
        pytest.skip("needs buildah")
    image = make_image(store, "one", "two", kind=kind, docker=docker)
    name = f"{registry}/buildah/{'docker' if docker else 'oci'}-{kind}:1"
    copy(store, f"store:{image.digest}", f"docker://{name}")
    place = ["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run")]
    buildah = ["buildah", *place, "--storage-driver", "vfs"]
    made = run(*buildah, "pull", "-q", "--tls-verify=false", name).strip()
    assert made == image.config.digest.removeprefix("sha256:")
    run(*buildah, "rmi", "-a", "-f")


def test_an_index_of_every_format_is_read_by_skopeo_and_docker(
    registry: str, store: Store, daemon: Daemon, tmp_path: Path
) -> None:
    images = {
        "amd64": make_image(store, "gzip", architecture="amd64"),
        "arm64": make_image(store, "zstd", architecture="arm64", kind=Compression.ZSTD),
        "s390x": make_image(store, "docker", architecture="s390x", docker=True),
    }
    index = Index.make(tuple(m.descriptor(Platform(a)) for a, m in images.items()))
    store.blobs.put(index.raw)
    name = f"{registry}/formats/index:1"
    copy(store, f"store:{index.digest}", f"docker://{name}")
    assert skopeo_digest(f"docker://{name}") == index.digest
    for architecture, image in images.items():
        override = ["--override-arch", architecture, "--src-tls-verify=false"]
        target = f"dir:{tmp_path}/{architecture}"
        run("skopeo", "copy", "-q", *override, f"docker://{name}", target)
        raw = (tmp_path / architecture / "manifest.json").read_bytes()
        assert digest_of(raw) == image.digest
    daemon("pull", "--platform", "linux/amd64", name)
    assert json.loads(daemon("inspect", name))[0]["Id"] == images["amd64"].config.digest


def test_dockers_own_index_is_kept(registry: str, store: Store, fresh: Store) -> None:
    image = make_image(store, "one", docker=True)
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [image.descriptor(Platform("amd64")).to_document()],
    }
    index = Index.parse(json.dumps(document, indent=3).encode())
    store.blobs.put(index.raw)
    name = f"{registry}/formats/docker-index:1"
    copy(store, f"store:{index.digest}", f"docker://{name}")
    assert fetch(fresh, name).descriptor.digest == index.digest
    copy(fresh, f"docker://{name}", f"docker://{registry}/formats/docker-index:2")
    assert skopeo_digest(f"docker://{registry}/formats/docker-index:2") == index.digest


def test_a_media_type_may_lie_about_compression(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    document = json.loads(image.raw)
    for layer in document["layers"]:
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    lying = Manifest.parse(json.dumps(document).encode())
    store.blobs.put(lying.raw)
    name = publish(faulty, "app", store, lying)
    pulled = fetch(fresh, name, RegistryOptions(jobs=1))
    assert pulled.descriptor.digest == lying.digest
