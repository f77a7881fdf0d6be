"""Two commands share one store at the same time."""

from __future__ import annotations

from pathlib import Path

from support.busy import Context
from support.command import Oakum, finished


def digest_alone(oakum: Oakum, place: Path) -> str:
    """What a build gives in a store of its own."""
    alone = Oakum(oakum.store.with_name(f"alone-{place.name}"), oakum.home)
    return alone.done("build", place, "--format", "json", "-q").document["digest"]


def test_two_builds_of_one_dockerfile_give_the_same_image(oakum: Oakum, context: Context) -> None:
    place = context.write("RUN echo 1 > /a && sleep 0.3", "RUN rm /a && mkdir /a")
    right = digest_alone(oakum, place)
    for _ in range(2):
        command = ("build", place, "-t", "app:1", "--no-cache", "--format", "json", "-q")
        both = [finished(process) for process in [oakum.start(*command), oakum.start(*command)]]
        assert [done.err for done in both] == ["", ""]
        assert [done.document["digest"] for done in both] == [right, right]
    assert oakum.done("store", "check", "--format", "json").document["damage"] == []


def test_builds_on_one_base_do_not_disturb_each_other(
    oakum: Oakum, context: Context, registry: str, tmp_path: Path
) -> None:
    base = f"{registry}/shared-base:1"
    oakum.done("build", context.write(), "-t", base, "--push", "-q")
    places = []
    for number in range(3):
        one = Context(tmp_path / f"context-{number}")
        places.append(one.write_all(f"FROM {base}", f"RUN echo {number} > /n", "RUN cat /n > /m"))
    right = [digest_alone(oakum, place) for place in places]
    shared = Oakum(tmp_path / "shared", oakum.home)
    running = [shared.start("build", place, "--format", "json", "-q") for place in places]
    ended = [finished(process) for process in running]
    assert [done.err for done in ended] == [""] * 3
    assert [done.document["digest"] for done in ended] == right
    assert len(set(right)) == 3


def test_a_prune_waits_for_no_build_and_harms_none(oakum: Oakum, context: Context) -> None:
    place = context.write("RUN sleep 0.5 && echo 1 > /a")
    building = oakum.start("build", place, "-t", "app:1", "-q")
    while not (oakum.store / "lock").exists():
        pass
    pruned = oakum("store", "prune", "--all")
    ended = finished(building)
    assert ended.code == 0, ended.err
    if pruned.code:
        assert "in use by another oakum" in pruned.complaint[0]
    assert oakum.done("build", place, "-q").out == ended.out
