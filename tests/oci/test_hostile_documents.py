"""Manifests, indexes and configs from anybody: never anything but a value or `InvalidImage`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oakum.errors import InvalidImage
from oakum.oci import Config, Index, Manifest, digest_of
from oakum.oci.image import MAX_DEPTH, MAX_DOCUMENT
from oakum.oci.media import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

PARSERS: tuple[Callable[[bytes], Any], ...] = (Manifest.parse, Index.parse, Config.parse)
ONE = digest_of(b"")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.sampled_from([ONE, 2, OCI_MANIFEST, OCI_INDEX, OCI_LAYER, "linux", "amd64"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["digest", "size", "mediaType", "urls", "os", "annotations", "platform", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
DESCRIPTOR = {"mediaType": OCI_LAYER, "digest": ONE, "size": 1}
WHOLE: dict[str, Any] = {
    "schemaVersion": 2,
    "config": {**DESCRIPTOR, "mediaType": OCI_CONFIG},
    "layers": [DESCRIPTOR],
    "manifests": [{**DESCRIPTOR, "platform": {"architecture": "amd64", "os": "linux"}}],
    "annotations": {"a": "b"},
    "rootfs": {"type": "layers", "diff_ids": [ONE]},
    "history": [{"created_by": "x", "empty_layer": True}],
    "created": "2024-01-01T00:00:00Z",
    "subject": DESCRIPTOR,
}


def places(value: object) -> list[tuple[Any, Any]]:
    """Every container of a document with each of its keys."""
    found: list[tuple[Any, Any]] = []
    keys = (
        value.keys()
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    for key in keys:
        found += [(value, key), *places(value[key])]  # type: ignore[index]
    return found


def parse_all(raw: bytes) -> int:
    """Parse as everything; how often it was refused."""
    refused = 0
    for parse in PARSERS:
        try:
            parsed = parse(raw)
        except InvalidImage as error:
            assert error.todo and len(str(error)) < 500
            refused += 1
        else:
            assert parsed.raw == raw and parsed.digest == digest_of(raw)
            assert type(parsed).parse(raw) == parsed
    return refused


def test_the_sound_document_is_taken() -> None:
    raw = json.dumps(WHOLE).encode()
    assert Manifest.parse(raw).layers and Config.parse(raw).history
    assert Index.parse(json.dumps({**WHOLE, "mediaType": OCI_INDEX}).encode()).manifests


@settings(max_examples=400)
@given(st.data(), values)
def test_a_wrong_value_in_any_place(data: st.DataObject, value: object) -> None:
    document = json.loads(json.dumps(WHOLE))
    container, key = data.draw(st.sampled_from(places(document)))
    container[key] = value
    parse_all(json.dumps(document).encode())


@given(st.data())
def test_a_missing_or_doubled_piece(data: st.DataObject) -> None:
    raw = json.dumps(WHOLE).encode()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(raw))] * 2)))
    assert parse_all(raw[:start]) in (0, 3)
    parse_all(raw[:start] + raw[end:])
    parse_all(raw[:end] + raw[start:])


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document(raw: bytes) -> None:
    parse_all(raw)


@pytest.mark.parametrize("depth", [MAX_DEPTH, 500, 1000, 5000, 1_000_000])
@pytest.mark.parametrize("pair", [b"[]", b'{"a":}'])
def test_a_document_nested_too_deep(depth: int, pair: bytes) -> None:
    opening, closing = pair[:-1], pair[-1:]
    deep = opening * depth + b"1" + closing * depth
    for key in ("schemaVersion", "mediaType", "layers", "config", "created", "x"):
        raw = b'{"%s":%s}' % (key.encode(), deep)
        assert parse_all(raw) == len(PARSERS)
    assert parse_all(b'{"layers":[{"digest":%s}]}' % deep) == len(PARSERS)
    assert parse_all(b'{"a":' * depth) == len(PARSERS)


def test_the_depth_that_is_taken_does_not_depend_on_the_caller() -> None:
    raw = b'{"rootfs":{},"x":%s}' % (b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))

    def deeper(frames: int) -> Config:
        return deeper(frames - 1) if frames else Config.parse(raw)

    assert Config.parse(raw) == deeper(sys.getrecursionlimit() // 2)


def test_a_hundred_megabytes_are_refused_unread() -> None:
    raw = bytes(100 << 20)
    for parse in PARSERS:
        with pytest.raises(InvalidImage, match=str(MAX_DOCUMENT)):
            parse(raw)


@pytest.mark.parametrize(
    "size", ["-1", "true", "1.5", '"1"', "null", str(1 << 63), "9" * 5000, "1e3"]
)
def test_a_size_that_is_none(size: str) -> None:
    text = json.dumps(WHOLE).replace('"size": 1', f'"size": {size}')
    with pytest.raises(InvalidImage):
        Manifest.parse(text.encode())


def test_more_layers_than_any_image_has() -> None:
    for key in ("layers", "manifests", "history"):
        document = {**WHOLE, key: WHOLE[key] * 1001}
        assert parse_all(json.dumps(document).encode()) >= 1
