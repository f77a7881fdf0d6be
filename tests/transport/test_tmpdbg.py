"""Transfers side by side: all are done, or the first failure ends them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from oakum.errors import AccessDenied, OakumError
from oakum.oci import Manifest
from oakum.store import Store, check_store
from oakum.transport.together import Stop, side_by_side
from support.faulty import Answer, FaultyRegistry
from support.images import fetch, is_untouched, make_image, publish


def test_every_task_is_done_by_at_most_so_many_threads() -> None:
    done: list[int] = []
    names: set[int] = set()

    def task(number: int, stop: Stop) -> None:
        done.append(number)
        names.add(threading.get_ident())

    side_by_side([lambda stop, n=n: task(n, stop) for n in range(50)], 3)  # type: ignore[misc]
    assert sorted(done) == list(range(50))
    assert len(names) <= 3
    side_by_side([], 3)


def test_the_first_failure_ends_a_transfer_that_would_never_end() -> None:
    begun = threading.Event()
    passed = itertools.count()

    def endless(stop: Stop) -> None:
        for _ in stop.checked(iter(lambda: b"chunk", b"")):
            begun.set()
            next(passed)

    def failing(stop: Stop) -> None:
        begun.wait()
        raise AccessDenied("no", "ask")

    with pytest.raises(AccessDenied):
        side_by_side([endless, failing], 2)
    first = next(passed)
    assert next(passed) == first + 1


def test_a_layer_that_fails_ends_the_download_of_the_others(
    faulty: FaultyRegistry, store: Store, fresh: Store
) -> None:
    image = make_image(store, "one", "two")
    name = publish(faulty, "app", store, image)
    never = threading.Event()

    def hang(request: object, right: Answer) -> Answer:
        never.wait(60)
        return right

    faulty.change(f"GET .*{image.layers[0].digest}", hang)
    faulty.answer(f"GET .*{image.layers[1].digest}", Answer(403))
    try:
        with pytest.raises(AccessDenied):
            fetch(fresh, name)
        assert not never.is_set()
        assert is_untouched(fresh)
    finally:
        never.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", ["pull", "push"])
def test_an_interrupt_does_not_wait_for_a_registry_that_hangs(
    faulty: FaultyRegistry,
    store: Store,
    image: Manifest,
    tmp_path: Path,
    number: signal.Signals,
    verb: str,
) -> None:
    name = publish(faulty, "app", store, image)
    reached, never = threading.Event(), threading.Event()

    def hang(request: object, right: Answer) -> Answer:
        reached.set()
        never.wait(60)
        return right

    part = "GET .*" + image.layers[0].digest if verb == "pull" else "PUT .*uploads"
    faulty.change(part, hang)
    root = tmp_path / "other"
    with Store(root) as other:
        if verb == "push":
            for blob in (*image.layers, image.config):
                other.blobs.put(store.blobs.path(blob.digest).read_bytes())
            other.blobs.put(image.raw)
    words = [name] if verb == "pull" else [f"store:{image.digest}", f"docker://{faulty.host}/b:1"]
    command = [sys.executable, "-m", "oakum", "--debug", "--store", str(root), verb, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert reached.wait(30)
        os.kill(process.pid, number)
        said, _ = process.communicate(timeout=30)
    finally:
        never.set()
        process.kill()
        process.wait()
    assert process.returncode == (130 if number is signal.SIGINT else 143), said
    with Store(root) as other:
        assert check_store(other).outcome == "nothing-to-do"
        assert list(other.names.all()) == []
    assert ("b", "1") not in faulty.manifests


def test_an_error_is_the_first_one(faulty: FaultyRegistry, store: Store, fresh: Store) -> None:
    image = make_image(store, *"abcdefgh")
    name = publish(faulty, "app", store, image)
    for layer in image.layers:
        faulty.answer(f"GET .*{layer.digest}", Answer(403))
    with pytest.raises(OakumError, match="403"):
        fetch(fresh, name)
