"""Whatever a registry sends: an image that is right, or an OakumError; never anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oakum.errors import OakumError
from oakum.oci import Index, Manifest, parse_reference
from oakum.oci.media import INDEXES, MANIFESTS
from oakum.store import Store
from oakum.transport import RegistryOptions, list_tags
from oakum.transport.registry.challenge import parse_challenges
from support.faulty import Answer, FaultyRegistry, running_faulty
from support.images import fetch, is_untouched, make_image, publish

QUICK = RegistryOptions(retries=0, timeout=0.5)
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

header_text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)
header_names = st.sampled_from(
    [
        "Content-Type",
        "Content-Length",
        "Content-Range",
        "Content-Encoding",
        "Docker-Content-Digest",
        "Location",
        "Link",
        "WWW-Authenticate",
        "Retry-After",
        "Transfer-Encoding",
        "Set-Cookie",
        "Range",
        "Date",
    ]
)
telling = st.sampled_from(
    [
        "0",
        "-1",
        "bytes 0-1/2",
        "gzip",
        "chunked",
        "sha256:" + "0" * 64,
        'Bearer realm="http://127.0.0.1:1/"',
        "Basic",
        "</v2/>; rel=next",
        "Thu, 01 Jan 0001 00:00:00 -2359",
        "http://[",
        "/\x80",
        *MANIFESTS,
        *INDEXES,
    ]
)
headers = st.dictionaries(header_names, header_text | telling, max_size=4)
statuses = st.sampled_from([200, 200, 200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 416])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["digest", "size", "mediaType", "urls", "annotations", "platform", "os"]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def registry_and_store(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FaultyRegistry, Store, str, Manifest]]:
    """A registry with an image in it, and a store that stays empty."""
    place: Path = tmp_path_factory.mktemp("properties")
    with (
        running_faulty() as registry,
        Store(place / "made") as made,
        Store(place / "fresh") as fresh,
    ):
        image = make_image(made, "one")
        name = publish(registry, "app", made, image)
        yield registry, fresh, name, image


def is_an_error_or_right(store: Store, name: str, image: Manifest) -> None:
    """Pull; afterwards the store is whole in any case."""
    try:
        pulled = fetch(store, name, QUICK)
    except OakumError as error:
        assert error.what and "\n" not in error.what and "\x1b" not in error.what
    else:
        assert pulled.descriptor.digest == image.digest
        store.names.remove(parse_reference(name))
        for digest, _ in list(store.blobs.all()):
            store.blobs.remove(digest)
    assert is_untouched(store)


@pytest.mark.parametrize("part", ["HEAD", "manifests", "blobs"])
@MANY
@given(status=statuses, more=headers, body=st.binary(max_size=200))
def test_any_answer(
    registry_and_store: tuple[FaultyRegistry, Store, str, Manifest],
    part: str,
    status: int,
    more: dict[str, str],
    body: bytes,
) -> None:
    registry, fresh, name, image = registry_and_store
    registry.forget_faults()
    registry.answer(f"{part}.*/app|/app/{part}", Answer(status, more, body))
    is_an_error_or_right(fresh, name, image)


@pytest.mark.parametrize("part", ["HEAD", "manifests", "blobs"])
@MANY
@given(raw=st.binary(max_size=300), polite=st.booleans())
def test_any_bytes_on_the_wire(
    registry_and_store: tuple[FaultyRegistry, Store, str, Manifest],
    part: str,
    raw: bytes,
    polite: bool,
) -> None:
    registry, fresh, name, image = registry_and_store
    registry.forget_faults()
    registry.answer(f"{part}.*/app|/app/{part}", Answer(raw=b"HTTP/1.1 200 OK\r\n" * polite + raw))
    is_an_error_or_right(fresh, name, image)


@settings(MANY, max_examples=20)
@given(raw=st.binary(max_size=100))
def test_any_bytes_where_a_registry_was_looked_for(
    registry_and_store: tuple[FaultyRegistry, Store, str, Manifest], raw: bytes
) -> None:
    registry, fresh, name, image = registry_and_store
    registry.forget_faults()
    registry.answer("/v2/$", Answer(raw=raw))
    is_an_error_or_right(fresh, name, image)


@MANY
@given(
    kind=st.sampled_from([*MANIFESTS, *INDEXES]),
    fields=st.dictionaries(
        st.sampled_from(
            [
                "schemaVersion",
                "mediaType",
                "config",
                "layers",
                "manifests",
                "annotations",
                "subject",
            ]
        ),
        json_values,
        max_size=4,
    ),
)
def test_any_manifest(
    registry_and_store: tuple[FaultyRegistry, Store, str, Manifest],
    kind: str,
    fields: dict[str, object],
) -> None:
    registry, fresh, _, image = registry_and_store
    registry.forget_faults()
    raw = json.dumps({**json.loads(image.raw), **fields}).encode()
    registry.put_manifest("odd", "1", raw, kind)
    try:
        pulled = fetch(fresh, f"{registry.host}/odd:1", QUICK)
    except OakumError as error:
        assert error.what
    else:
        assert pulled.manifest is not None
        fresh.names.remove(parse_reference(f"{registry.host}/odd:1"))
    assert is_untouched(fresh)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_document(raw: bytes) -> None:
    for parse in (Manifest.parse, Index.parse):
        try:
            parsed = parse(raw)
        except OakumError as error:
            assert error.what
        else:
            assert parsed.raw == raw


@MANY
@given(status=statuses, more=headers, body=json_values)
@example(status=301, more={"Location": "sha256:" + "0" * 64}, body=None)
def test_any_list_of_tags(
    registry_and_store: tuple[FaultyRegistry, Store, str, Manifest],
    status: int,
    more: dict[str, str],
    body: object,
) -> None:
    registry, _, name, _ = registry_and_store
    registry.forget_faults()
    said = json.dumps({"tags": body}).encode()
    registry.answer("tags/list", Answer(status, more, said))
    try:
        tags = list_tags(parse_reference(name), QUICK)
    except OakumError as error:
        assert error.what
    else:
        assert all(tag.isascii() and tag.isprintable() for tag in tags)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_challenge(texts: list[str]) -> None:
    for challenge in parse_challenges(texts):
        assert challenge.scheme == challenge.scheme.lower()
