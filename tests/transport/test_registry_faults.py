"""A registry that is busy or cut off: what may pass is tried again, the rest is one error."""

from __future__ import annotations

import email.utils
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from oakum.errors import InvalidImage, NotFound, TransportError
from oakum.oci import Manifest, parse_reference
from oakum.progress import Event
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.transport.registry import RegistrySource
from support.faulty import Answer, FaultyRegistry
from support.images import copy, fetch, is_untouched, make_image, publish

ANYTHING = "/v2/app/"


def noise(size: int) -> str:
    """Text that does not compress well."""
    return random.Random(size).randbytes(size).hex()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_pull_goes_on_after_answers_that_pass(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, status: int
) -> None:
    name = publish(faulty, "app", store, image)
    for part in ("HEAD /v2/app/manifests", "GET /v2/app/manifests", "GET /v2/app/blobs"):
        faulty.answer(part, Answer(status, {"Retry-After": "0"}), times=2)
    assert fetch(fresh, name).descriptor.digest == image.digest


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_push_goes_on_after_answers_that_pass(
    faulty: FaultyRegistry, store: Store, image: Manifest, status: int
) -> None:
    for part in ("HEAD .*blobs", "POST ", "PUT .*uploads", "PUT .*manifests"):
        faulty.answer(part, Answer(status, {"Retry-After": "0"}), times=2)
    copy(store, f"store:{image.digest}", f"docker://{faulty.host}/app:1")
    assert faulty.manifests["app", "1"][0] == image.raw


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_registry_that_names_a_time_is_waited_for(
    faulty: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("oakum.transport.registry.client.time.sleep", waits.append)
    name = publish(faulty, "app", store, image)
    moment = "7" if form == "seconds" else email.utils.formatdate(time.time() + 8, usegmt=True)
    faulty.answer("HEAD /v2/app", Answer(503, {"Retry-After": moment}), times=1)
    fetch(fresh, name)
    assert len(waits) == 1 and 6 <= waits[0] <= 8


@pytest.mark.parametrize("when", ["soon", "-1", "Thu, 99 Foo", "99999999", "1e9", "\u0663"])
def test_a_time_that_is_none_or_too_long_is_not_waited_for(
    faulty: FaultyRegistry,
    store: Store,
    image: Manifest,
    fresh: Store,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("oakum.transport.registry.client.time.sleep", waits.append)
    name = publish(faulty, "app", store, image)
    header = when.encode().decode("latin-1")
    faulty.answer("HEAD /v2/app", Answer(503, {"Retry-After": header}), times=1)
    fetch(fresh, name)
    assert waits and waits[0] <= 60


@pytest.mark.parametrize("status", [500, 503, 429, 400, 405, 418, 301, 204])
def test_what_does_not_pass_ends_the_pull_and_leaves_nothing(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, status: int
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.answer("GET .*blobs", Answer(status, {"Retry-After": "0"}))
    with pytest.raises(TransportError, match=str(status)) as caught:
        fetch(fresh, name, RegistryOptions(retries=2))
    assert caught.value.todo and faulty.host in caught.value.what
    assert is_untouched(fresh)


def test_the_registrys_own_words_are_shown_on_one_line(
    faulty: FaultyRegistry, fresh: Store
) -> None:
    said = b'{"errors": [{"code": "DENIED", "message": "pay\\u001b[31m\\nfirst"}]}'
    faulty.answer(ANYTHING, Answer(400, {}, said))
    with pytest.raises(TransportError) as caught:
        fetch(fresh, f"{faulty.host}/app:1")
    assert "DENIED: pay [31m first" in caught.value.what


@pytest.mark.parametrize("part", ["HEAD .*manifests", "GET .*manifests", "GET .*blobs"])
@pytest.mark.parametrize("after", [0, 20])
def test_a_pull_survives_cut_connections(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store, part: str, after: int
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.cut(part, after, times=3)
    assert fetch(fresh, name).descriptor.digest == image.digest


def test_a_pull_that_is_always_cut_is_one_error_and_leaves_nothing(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:
    name = publish(faulty, "app", store, image)
    faulty.cut(f"GET .*{image.layers[0].digest}", 5, times=1000)
    with pytest.raises(TransportError, match="cut off 3 times"):
        fetch(fresh, name, RegistryOptions(retries=2))
    assert is_untouched(fresh)


def test_a_download_is_taken_up_where_it_was_cut(
    faulty: FaultyRegistry, store: Store, fresh: Store
) -> None:
    image = make_image(store, noise(300_000))
    name = publish(faulty, "app", store, image)
    blob = image.layers[0].digest
    faulty.cut(f"GET .*{blob}", 100_000, times=2)
    fetch(fresh, name)
    asked = [r.headers.get("range") for r in faulty.requests if r.line.endswith(blob)]
    assert asked == [None, "bytes=100000-", "bytes=200000-"]
    assert fresh.blobs.has(blob, image.layers[0].size)


def test_a_registry_without_ranges_is_read_again_from_the_start(
    faulty: FaultyRegistry, store: Store, fresh: Store
) -> None:
    image = make_image(store, noise(300_000))
    name = publish(faulty, "app", store, image)
    blob = store.blobs.path(image.layers[0].digest).read_bytes()
    faulty.answer(f"GET .*{image.layers[0].digest}", Answer(200, {}, blob))
    faulty.cut(f"GET .*{image.layers[0].digest}", 100_000, times=1)
    assert fetch(fresh, name).descriptor.digest == image.digest


@pytest.mark.parametrize("lie", ["place", "size", "absent", "garbage", "unit"])
def test_a_registry_that_lies_about_a_range_is_not_believed(
    faulty: FaultyRegistry, store: Store, fresh: Store, lie: str
) -> None:
    image = make_image(store, noise(300_000))
    name = publish(faulty, "app", store, image)
    size = image.layers[0].size
    header = {
        "place": f"bytes 0-{size - 1}/{size}",
        "size": f"bytes 100000-{size - 1}/{size + 1}",
        "absent": "",
        "garbage": "bytes 100000-",
        "unit": f"lines 100000-{size - 1}/{size}",
    }[lie]
    faulty.change(
        f"GET .*{image.layers[0].digest}",
        lambda request, right: right.having(Content_Range=header) if right.status == 206 else right,
    )
    faulty.cut(f"GET .*{image.layers[0].digest}", 100_000, times=1)
    with pytest.raises(TransportError, match="sent others"):
        fetch(fresh, name)
    assert is_untouched(fresh)


def test_a_range_with_other_bytes_is_found_out(
    faulty: FaultyRegistry, store: Store, fresh: Store
) -> None:
    image = make_image(store, noise(300_000))
    name = publish(faulty, "app", store, image)

    def garbage(request: object, right: Answer) -> Answer:
        headers = right.headers
        return right if right.status != 206 else Answer(206, headers, bytes(len(right.body)))

    faulty.change(f"GET .*{image.layers[0].digest}", garbage)
    faulty.cut(f"GET .*{image.layers[0].digest}", 100_000, times=1)
    with pytest.raises(InvalidImage, match="digest"):
        fetch(fresh, name)
    assert is_untouched(fresh)


def test_nobody_at_the_port_is_one_error(fresh: Store, faulty: FaultyRegistry) -> None:
    with pytest.raises(TransportError, match="cannot reach"):
        fetch(fresh, "127.0.0.1:1/app:1", RegistryOptions(retries=1))
    assert is_untouched(fresh)


def test_an_image_that_is_not_there_is_asked_for_once(fresh: Store, faulty: FaultyRegistry) -> None:
    with pytest.raises(NotFound, match=f"read {faulty.host}/app:1"):
        fetch(fresh, f"{faulty.host}/app:1")
    assert len(faulty.lines("manifests")) == 2
    assert is_untouched(fresh)


def test_blobs_are_fetched_side_by_side(faulty: FaultyRegistry, store: Store, fresh: Store) -> None:
    image = make_image(store, "a", "b", "c")
    name = publish(faulty, "app", store, image)
    meeting = threading.Barrier(3, timeout=20)
    digests = "|".join(layer.digest for layer in image.layers)

    def wait(request: object, right: Answer) -> Answer:
        meeting.wait()
        return right

    faulty.change(f"GET .*({digests})", wait)
    fetch(fresh, name, RegistryOptions(jobs=3))
    assert not meeting.broken


@pytest.mark.parametrize("answer", [Answer(403), Answer(400), Answer(200, {}, b"<html>")])
def test_the_command_says_it_in_two_lines(
    faulty: FaultyRegistry, tmp_path: Path, answer: Answer
) -> None:
    faulty.answer(ANYTHING, answer)
    command = [sys.executable, "-m", "oakum", "--store", str(tmp_path / "store"), "pull"]
    done = subprocess.run([*command, f"{faulty.host}/app:1"], capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == ""
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]


def test_waiting_is_told(
    faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store
) -> None:

    name = publish(faulty, "app", store, image)
    faulty.answer("HEAD /v2/app", Answer(503), times=1)
    told: list[Event] = []
    source = RegistrySource(parse_reference(name), RegistryOptions(), told.append)
    source.resolve()
    source.close()
    assert any("answered 503; trying again in" in event.text for event in told)
