"""Manifests, indexes and configs keep the bytes that they came from, and what they do not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oakum.errors import InvalidImage
from oakum.oci import Config, Descriptor, Digest, Index, Manifest, Platform, digest_of, encode
from oakum.oci.media import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Compression,
    is_layer,
    layer_compression,
    layer_media_type,
)

ONE, TWO = digest_of(b"one"), digest_of(b"two")


def descriptor(
    digest: str = ONE, kind: str = f"{OCI_LAYER}+gzip", **more: object
) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": 3, **more}


def manifest(**more: object) -> dict[str, Any]:
    config = descriptor(TWO, OCI_CONFIG)
    return {"schemaVersion": 2, "config": config, "layers": [descriptor()], **more}


def config(**more: object) -> dict[str, Any]:
    rootfs = {"type": "layers", "diff_ids": [ONE, TWO]}
    return {"architecture": "amd64", "os": "linux", "rootfs": rootfs, **more}


def test_the_digest_is_of_the_bytes_as_they_came() -> None:
    raw = json.dumps(manifest(), indent=3).encode() + b"\n\n"
    assert Manifest.parse(raw).raw == raw
    assert Manifest.parse(raw).digest == digest_of(raw)
    assert Manifest.parse(raw).descriptor(Platform("arm64")) == Descriptor(
        OCI_MANIFEST, digest_of(raw), len(raw), platform=Platform("arm64")
    )
    raw = b" " + encode({"schemaVersion": 2, "manifests": []})
    assert Index.parse(raw).digest == digest_of(raw)
    raw = b"\t" + encode(config())
    assert Config.parse(raw).digest == digest_of(raw)


def test_a_manifest_names_its_config_and_layers() -> None:
    layers = [descriptor(ONE), descriptor(TWO, OCI_LAYER, urls=["https://example.org/"])]
    document = manifest(layers=layers, annotations={"a": "b"}, subject=descriptor(TWO))
    parsed = Manifest.parse(encode(document))
    assert parsed.config == Descriptor(OCI_CONFIG, TWO, 3)
    assert [layer.digest for layer in parsed.layers] == [ONE, TWO]
    assert parsed.layers[1].urls == ("https://example.org/",)
    assert parsed.annotations == {"a": "b"}
    assert parsed.subject is not None and parsed.subject.digest == TWO


@pytest.mark.parametrize(
    ("inside", "outside", "kind"),
    [
        (OCI_MANIFEST, None, OCI_MANIFEST),
        (DOCKER_MANIFEST, None, DOCKER_MANIFEST),
        (None, DOCKER_MANIFEST, DOCKER_MANIFEST),
        (None, None, OCI_MANIFEST),
        (DOCKER_MANIFEST, OCI_MANIFEST, DOCKER_MANIFEST),
    ],
)
def test_a_manifest_says_its_own_type_or_its_source_does(
    inside: str | None, outside: str | None, kind: str
) -> None:
    document = manifest(mediaType=inside) if inside else manifest()
    assert Manifest.parse(encode(document), outside).media_type == kind


def test_what_is_made_is_read_back() -> None:
    layers = (Descriptor(OCI_LAYER, ONE, 1), Descriptor(f"{OCI_LAYER}+zstd", TWO, 2, {"k": "v"}))
    made = Manifest.make(
        Descriptor(OCI_CONFIG, TWO, 9), layers, {"z": "1", "a": "2"}, artifact_type="x/y"
    )
    assert made == Manifest.parse(made.raw)
    assert made.layers == layers and made.artifact_type == "x/y"
    assert list(made.annotations) == ["a", "z"]
    docker = Manifest.make(Descriptor(DOCKER_CONFIG, TWO, 9), layers)
    assert docker.media_type == DOCKER_MANIFEST
    index = Index.make((made.descriptor(Platform("arm", variant="v7")), made.descriptor()))
    assert index.manifests[0].platform == Platform("arm", variant="v7")
    assert Index.parse(index.raw) == index and index.media_type == OCI_INDEX


def test_a_docker_manifest_list_is_an_index() -> None:
    listed = descriptor(ONE, DOCKER_MANIFEST, platform={"architecture": "s390x", "os": "linux"})
    raw = encode({"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": [listed]})
    assert Index.parse(raw).manifests[0].platform == Platform("s390x")


def test_a_changed_config_keeps_the_fields_that_nobody_knows() -> None:
    old = Config.parse(encode(config(config={"Env": ["A=1"], "X-Odd": [1]}, x_unknown={"y": [2]})))
    new = Config.make({**old.document, "created": "2024-01-01T00:00:00Z"})
    assert new.document["x_unknown"] == {"y": [2]}
    assert new.runtime == {"Env": ["A=1"], "X-Odd": [1]}
    assert new.created == "2024-01-01T00:00:00Z" and old.created is None
    assert new.digest != old.digest


def test_history_tells_which_line_made_a_layer() -> None:
    lines = [
        {"created_by": "ADD root.tar /"},
        {"created_by": "ENV A=1", "empty_layer": True},
        {"created_by": "RUN true", "comment": "buildkit"},
    ]
    assert Config.parse(encode(config(history=lines))).created_by() == (
        "ADD root.tar /",
        "RUN true",
    )
    assert Config.parse(encode(config(history=lines[:1]))).created_by() == ("ADD root.tar /", "")
    assert Config.parse(encode(config(history=lines * 3))).created_by() == (
        "ADD root.tar /",
        "RUN true",
    )
    assert Config.parse(encode(config())).created_by() == ("", "")


def test_an_unknown_platform_is_said_to_be_unknown() -> None:
    document = {"rootfs": {"type": "layers", "diff_ids": []}}
    assert Config.parse(encode(document)).platform == Platform("unknown", "unknown")


def test_schema_1_and_artifacts_are_refused_by_name() -> None:
    with pytest.raises(InvalidImage, match="schema version 1"):
        Manifest.parse(encode({"schemaVersion": 1, "fsLayers": []}))
    with pytest.raises(InvalidImage, match="not an image manifest"):
        Manifest.parse(encode(manifest(mediaType="application/json")))
    with pytest.raises(InvalidImage, match="rootfs"):
        Config.parse(b"{}")


def test_a_layers_media_type_tells_its_compression() -> None:
    for compression in Compression:
        assert layer_compression(layer_media_type(compression)) is compression
        assert layer_compression(layer_media_type(compression, docker=True)) is compression
    assert not is_layer(OCI_CONFIG)
    with pytest.raises(InvalidImage, match="not a file system layer"):
        layer_compression("application/vnd.example.sbom")
    assert isinstance(ONE, str) and Digest(ONE) == ONE
