"""Records: facts that can be made again, so a damaged one is an absent one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oakum.oci import Digest, digest_of
from oakum.store import Store

KEY = digest_of(b"key")


def test_a_record_is_kept_replaced_and_forgotten(store: Store) -> None:
    assert store.records.get("kind", KEY) is None
    store.records.put("kind", KEY, b"body")
    assert store.records.get("kind", KEY) == b"body"
    assert store.records.get("other", KEY) is None
    store.records.put("kind", KEY, b"")
    assert store.records.get("kind", KEY) == b""
    assert [name for name, _ in store.records.keys("kind")] == [KEY.replace(":", "-")]
    store.records.remove("kind", KEY)
    store.records.remove("kind", KEY)
    assert store.records.get("kind", KEY) is None
    assert list(store.records.keys("nothing")) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.data())
def test_a_damaged_record_is_absent(store: Store, body: bytes, data: st.DataObject) -> None:
    store.records.put("kind", KEY, body)
    path = store.records.path("kind", KEY)
    raw = path.read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = bytes([raw[at] ^ data.draw(st.integers(1, 255))])
    for damaged in (raw[:at], raw[:at] + changed + raw[at + 1 :], raw + b"x"):
        path.write_bytes(damaged)
        assert store.records.get("kind", KEY) is None
        assert list(store.records.damaged()) == [path]
    store.records.put("kind", KEY, body)
    assert store.records.get("kind", KEY) == body
    assert list(store.records.damaged()) == []


def test_a_blobs_diff_id_and_origins_are_remembered(store: Store) -> None:
    assert store.diff_id_of(KEY) is None and store.origins(KEY) == ()
    store.remember_diff_id(KEY, digest_of(b"tar"))
    assert store.diff_id_of(KEY) == digest_of(b"tar")
    for number in [*range(10), 9]:
        store.remember_origin(KEY, f"example.org/{number}")
    origins = store.origins(KEY)
    assert origins[0] == "example.org/9" and len(origins) == len(set(origins)) == 8


@pytest.mark.parametrize("key", [KEY, "ab" * 32, "a", Digest("sha512:" + "ab" * 64)])
def test_a_key_stays_inside_its_kind(store: Store, key: str) -> None:
    store.records.put("kind", key, b"body")
    assert store.records.path("kind", key).parents[1] == store.root / "records" / "kind"
    assert store.records.get("kind", key) == b"body"


def test_a_decoded_record_is_decoded_again_when_it_changed(store: Store) -> None:
    decoded: list[bytes] = []

    def decode(body: bytes) -> bytes:
        decoded.append(body)
        return body[::-1]

    assert store.records.decoded("kind", KEY, decode) is None
    store.records.put("kind", KEY, b"one")
    assert [store.records.decoded("kind", KEY, decode) for _ in range(3)] == [b"eno"] * 3
    assert store.records.touch("kind", KEY)
    assert store.records.decoded("kind", KEY, decode) == b"eno" and decoded == [b"one"]
    store.records.put("kind", KEY, b"two")
    assert store.records.decoded("kind", KEY, decode) == b"owt"
    store.records.path("kind", KEY).write_bytes(b"damaged, and as absent as any")
    assert store.records.decoded("kind", KEY, decode) is None
    store.records.remove("kind", KEY)
    assert store.records.decoded("kind", KEY, decode) is None and decoded == [b"one", b"two"]


def test_decoded_records_make_room_for_others(store: Store) -> None:
    decoded: list[bytes] = []

    def decode(body: bytes) -> bytes:
        decoded.append(body[:1])
        return body

    for name in (b"a", b"b"):
        store.records.put("kind", name.decode() * 8, name * 100)
    for name in ("a", "a", "b", "a"):
        store.records.decoded("kind", name * 8, decode, growth=400_000)
    assert decoded == [b"a", b"b", b"a"]
    store.records.decoded("kind", "a" * 8, decode, growth=4_000_000)
    assert len(decoded) == 3
