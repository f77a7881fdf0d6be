"""Processes share a store: what one has half-made is its own, and is found when it is killed."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from oakum.errors import StoreError
from oakum.oci import digest_of
from oakum.store import Store, check_store
from oakum.store.place import Place
from support.store_users import end, holding, working


def test_a_live_process_keeps_its_half_made_things(store: Store) -> None:
    process, scratch = holding(store.root)
    assert len([path for path in scratch.iterdir() if path.name != "lock"]) == 1
    assert store.place.abandoned() == []
    store.clean_abandoned()
    assert len(list(scratch.iterdir())) == 2
    end(process)
    assert not scratch.exists()


def test_a_killed_process_leaves_what_the_next_one_finds(store: Store) -> None:
    process, scratch = holding(store.root)
    process.kill()
    process.wait()
    assert store.place.abandoned() == [scratch]
    found = check_store(store)
    assert [damage.kind for damage in found.damage] == ["temporary"]
    assert found.outcome == "failed" and scratch.exists()
    assert check_store(store, repair=True).outcome == "done"
    assert not scratch.exists()
    assert check_store(store).outcome == "nothing-to-do"


def test_a_store_that_is_being_made_leaves_no_file_of_its_own_beside_scratches(
    tmp_path: Path,
) -> None:
    """A file in ``tmp`` belongs to nobody: a kill while the version was written left one."""
    with Store(tmp_path / "new") as store:
        (store.root / "tmp" / "half").write_bytes(b"1")
        store.clean_abandoned()
        assert not (store.root / "tmp" / "half").exists()
        assert (store.root / "version").read_bytes() == b"1"


def test_a_scratch_is_never_seen_before_its_owner_has_locked_it(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with Store(root) as store:
        process = working(root, 60)
        reader = threading.Thread(target=lambda: process.stdout.read())  # type: ignore[union-attr]
        reader.start()
        while process.poll() is None:
            for path in store.place.abandoned():
                raise AssertionError(f"{path} was taken for abandoned")
        reader.join()
        assert process.returncode == 0
        assert len(list(store.names.all())) == 61


def test_two_stores_of_one_process_do_not_clean_each_other(store: Store) -> None:
    scratch = store.place.scratch
    with Store(store.root) as other:
        assert other.place.scratch != scratch
        assert other.place.abandoned() == store.place.abandoned() == []
    assert scratch.exists()


def test_threads_share_one_scratch(tmp_path: Path) -> None:
    place = Place(tmp_path / "store")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(place.scratch)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    place.close()
    assert [p.name for p in (place.root / "tmp").iterdir()] == ["serial-scratch"]


def test_who_removes_things_is_alone(store: Store) -> None:
    process, _ = holding(store.root)
    with pytest.raises(StoreError, match="in use"), store.place.exclusive():
        raise AssertionError("two at once")
    with pytest.raises(StoreError, match="in use"):
        check_store(store, repair=True)
    end(process)
    with store.place.exclusive():
        pass
    process, _ = holding(store.root)
    end(process)


def test_two_processes_fill_one_store(store: Store) -> None:
    both = [working(store.root, 8), working(store.root, 8)]
    for process in both:
        end(process)
    found = check_store(store)
    assert found.outcome == "nothing-to-do" and found.names == 9
    assert store.blobs.has(digest_of(bytes([7]) * 4096 * 40))


@pytest.mark.parametrize("seed", range(5))
def test_a_kill_at_any_moment_leaves_whole_things_only(store: Store, seed: int) -> None:
    process = working(store.root, 30)
    assert process.stdout is not None
    for _ in range(random.Random(seed).randrange(1, 400)):
        process.stdout.readline()
    process.kill()
    process.wait()
    found = check_store(store)
    assert {damage.kind for damage in found.damage} <= {"temporary"}
    check_store(store, repair=True)
    assert check_store(store).outcome == "nothing-to-do"
    end(working(store.root, 2))
    assert check_store(store).outcome == "nothing-to-do"
