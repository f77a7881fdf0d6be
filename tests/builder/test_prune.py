"""What a pruning removes, by age, size and kind, and what it never removes."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from oakum.builder import KINDS, BuildRequest, prune
from oakum.builder import build as build_image
from oakum.builder.cache_mounts import cache_mounts, remove_cache_mount
from oakum.builder.holdings import store_info
from oakum.builder.prune import kept_results, used
from oakum.errors import StoreError
from oakum.oci import parse_reference
from oakum.store import Store, check_store
from support.busy import Context
from support.command import Oakum

DAY = 86400.0
MIB = "head -c 1048576 /dev/urandom"
MOUNT = "RUN --mount=type=cache,id={0},target=/m,sharing={1} " + MIB + " >/m/f"


def build(store: Store, context: Context, *lines: str, tag: str = "") -> list[str]:
    tags = (parse_reference(tag),) if tag else ()
    built = build_image(store, BuildRequest(context.write(*lines)), tags=tags)
    return [step.status for step in built.steps if step.status != "config"]


def age(store: Store, days: float) -> None:
    """Everything so far was made and used so much longer ago."""
    import msgspec

    for key, result in list(kept_results(store)):
        made = msgspec.structs.replace(result, made=result.made - days * DAY)
        store.records.put("step-2", key, msgspec.msgpack.encode([made]))
    for part in ("records", "cache"):
        for path in (store.root / part).rglob("*"):
            then = path.lstat().st_mtime - days * DAY
            os.utime(path, (then, then), follow_symlinks=False)


def test_what_was_used_of_late_stays(store: Store, context: Context) -> None:
    build(store, context, "RUN echo 1 >/f", "RUN echo 2 >/g")
    age(store, 10)
    build(store, context, "RUN echo 1 >/f")
    assert prune(store).steps == 1
    assert build(store, context, "RUN echo 1 >/f", "RUN echo 2 >/g")[-2:] == ["cached", "ran"]
    assert check_store(store).outcome == "nothing-to-do"


def test_the_least_recently_used_goes_first(store: Store, context: Context) -> None:
    for number in range(4):
        build(store, context, f"RUN {MIB} >/f{number}")
        age(store, 1)
    build(store, context, f"RUN {MIB} >/f0")
    before = store_info(store)
    prune(store, older_than=1e9, keep_bytes=before.total_bytes - (3 << 20))
    assert store_info(store).total_bytes <= before.total_bytes - (3 << 20)
    kept = [build(store, context, f"RUN {MIB} >/f{n}")[-1] for n in (0, 3, 1)]
    assert kept == ["cached", "cached", "ran"]


def test_no_size_is_small_enough_for_what_a_name_needs(store: Store, context: Context) -> None:
    build(store, context, f"RUN {MIB} >/f", tag="kept:1")
    build(store, context, f"RUN {MIB} >/g")
    age(store, 100)
    prune(store, older_than=0, keep_bytes=0)
    assert build(store, context, f"RUN {MIB} >/f")[-1] == "cached"
    assert check_store(store).outcome == "nothing-to-do"
    prune(store, older_than=None)
    assert not [*kept_results(store)]
    assert check_store(store).outcome == "nothing-to-do"
    assert store_info(store).kinds[0].bytes > 1 << 20


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind(store: Store, context: Context, kind: str) -> None:
    build(store, context, "RUN echo 1 >/f", MOUNT.format("a", "shared"))
    for room, part in (("archives", "files"), ("apt", "packages"), ("apt", "indexes")):
        (store.cache(room) / part).mkdir()
        (store.cache(room) / part / "x").write_bytes(b"x")
    (store.root / "blobs/sha256" / ("a" * 64)).write_bytes(b"")
    removed = prune(store, older_than=None, kinds=(kind,))
    counts = {
        "steps": removed.steps,
        "layers": removed.blobs,
        "mounts": removed.mounts,
        "downloads": removed.downloads,
        "indexes": removed.indexes,
    }
    assert [name for name, count in counts.items() if count] == [kind]
    status = build(store, context, "RUN echo 1 >/f")[-1]
    assert status == ("ran" if kind == "steps" else "cached")


def test_downloads_of_a_kept_result_stay(store: Store, context: Context) -> None:
    import msgspec

    build(store, context, "RUN echo 1 >/f")
    files = store.cache("archives") / "files"
    files.mkdir()
    for name in ("ab", "cd"):
        (files / (name * 32)).write_bytes(b"deb")
    (key, result) = next(kept_results(store))
    named = msgspec.structs.replace(result, files={"http://x/y.deb": "ab" * 32})
    store.records.put("step-2", key, msgspec.msgpack.encode([named]))
    assert prune(store, older_than=0, kinds=("downloads",)).downloads == 1
    assert prune(store, older_than=1e9, keep_bytes=0, kinds=("downloads",)).downloads == 0
    assert [path.name for path in files.iterdir()] == ["ab" * 32]
    assert prune(store, older_than=None).downloads == 1


def test_cache_mounts_by_id(store: Store, context: Context) -> None:
    build(store, context, MOUNT.format("old", "shared"), MOUNT.format("b", "private"))
    age(store, 10)
    build(store, context, MOUNT.format("new", "locked"))
    assert [one.id for one in cache_mounts(store)] == ["old", "b", "new"]
    assert all(one.bytes >= 1 << 20 and not one.in_use for one in cache_mounts(store))
    prune(store, kinds=("mounts",), mounts=("old",))
    assert [one.id for one in cache_mounts(store)] == ["b", "new"]
    assert prune(store).mounts == 1
    assert [one.id for one in cache_mounts(store)] == ["new"]


@pytest.mark.parametrize("lock", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_cache_mount_in_use_stays(store: Store, context: Context, lock: int) -> None:
    build(store, context, MOUNT.format("a", "shared"))
    (path,) = store.cache("mounts").glob("*/0.lock")
    with path.open() as file:
        fcntl.flock(file, lock)
        assert cache_mounts(store)[0].in_use
        assert remove_cache_mount(store, "a") == 0
        assert prune(store, older_than=None).mounts == 0
    assert prune(store, older_than=None).mounts == 1


@pytest.mark.parametrize("sharing", ["shared", "locked", "private"])
def test_a_running_step_holds_its_cache(oakum: Oakum, context: Context, sharing: str) -> None:
    mount = f"RUN --mount=type=cache,id=a,target=/m,sharing={sharing} touch /m/begun && sleep 15"
    process = oakum.start("build", context.write(mount + " && test -e /m/begun"))
    until = time.monotonic() + 60
    while not [*(oakum.store / "cache/mounts").glob("*/0/begun")]:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    listed = oakum.done("store", "mounts", "--format", "json").document["mounts"]
    assert [(one["id"], one["in_use"]) for one in listed] == [("a", True)]
    assert "removed" in oakum.done("store", "prune", "--mounts", "a").out
    refused = oakum("store", "prune")
    assert refused.code and "in use by another oakum" in refused.err
    process.communicate()
    assert process.returncode == 0
    assert "1 cache mounts" in oakum.done("store", "prune", "--mounts", "a").out
    assert oakum.done("store", "mounts", "--format", "json").document["mounts"] == []


def test_only_cache_mounts_go_beside_another(store: Store, context: Context) -> None:
    build(store, context, MOUNT.format("a", "shared"))
    with Store(store.root) as other:
        with pytest.raises(StoreError, match="in use"):
            prune(store, older_than=None)
        assert prune(other, older_than=None, kinds=("mounts",)).mounts == 1


def test_what_could_be_freed_is_what_is_freed(store: Store, context: Context) -> None:
    build(store, context, f"RUN {MIB} >/f", tag="kept:1")
    build(store, context, f"RUN {MIB} >/g", MOUNT.format("a", "shared"))
    before = {one.kind: one for one in store_info(store).kinds}
    assert before["images"].reclaimable == 0
    assert before["mounts"].reclaimable == before["mounts"].bytes >= 1 << 20
    prune(store, older_than=None)
    after = {one.kind: one for one in store_info(store).kinds}
    for kind in ("images", "layers", "snapshots", "mounts"):
        assert after[kind].reclaimable == 0
        assert after[kind].bytes == before[kind].bytes - before[kind].reclaimable


def test_a_result_taken_from_the_cache_is_used(store: Store, context: Context) -> None:
    build(store, context, "RUN echo 1 >/f")
    age(store, 10)
    assert all(used(store, one) < time.time() - 9 * DAY for _, one in kept_results(store))
    build(store, context, "RUN echo 1 >/f")
    assert all(used(store, one) > time.time() - DAY for _, one in kept_results(store))


@pytest.mark.parametrize(
    "words",
    [
        ("--keep-bytes", "much"),
        ("--keep-bytes", "-1"),
        ("--older-than", "9" * 40 + "d"),
        ("--kind", "images"),
        ("--mounts", "a", "--kind", "steps"),
    ],
)
def test_mistakes(oakum: Oakum, words: tuple[str, ...], tmp_path: Path) -> None:
    assert oakum("store", "prune", *words).code == 2
