"""The documented exit codes, each brought about once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Ready
from support.busy import Context
from support.command import Oakum
from support.lab import Deb, Lab


def test_0_is_done_and_also_nothing_to_do(ready: Ready) -> None:
    assert ready.oakum("push", ready.name).code == 0
    assert ready.oakum("tag", ready.name, ready.name).code == 0


def test_1_is_a_failure(ready: Ready) -> None:
    ended = ready.oakum("ls", ready.name, "/nowhere", "-q")
    assert ended.code == 1
    assert "/nowhere" in ended.complaint[0]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["build"],
        ["build", ".", "--nonsense"],
        ["build", ".", "--jobs", "many"],
        ["build", ".", "--jobs", "0"],
        ["build", "/nowhere"],
        ["build", ".", "--format", "xml"],
        ["build", ".", "--push"],
        ["build", ".", "--network", "bridge"],
        ["build", ".", "--label", "x"],
        ["build", ".", "--locked", "--no-lock"],
        ["build", ".", "-t", "Upper:1"],
        ["build", ".", "-t", "a@sha256:" + 64 * "0"],
        ["build", ".", "--output", "type=box,dest=x"],
        ["build", ".", "--output", "type=oci,dest=-"],
        ["build", ".", "--secret", "src=x"],
        ["build", ".", "--add-host", "x"],
        ["build", ".", "--call", "lint"],
        ["build", ".", "--call", "check,format=yaml"],
        ["build", ".", "--check", "--call", "outline"],
        ["rebuild", ".", "--push"],
        ["rebuild", ".", "--plan", "/nowhere"],
        ["rebuild", ".", "--bump-tags", "all"],
        ["scan", "app:1", "--fail-on", "some"],
        ["scan", "app:1", "--report", "/nowhere"],
        ["scan", "app:1", "--max-version", "x"],
        ["pull", "a b"],
        ["pull", "app:1", "--registry-mirror", "x"],
        ["pull", "app:1", "--platform", "a/b/c/d"],
        ["tag", "app:1", "a b"],
        ["store", "prune", "--older-than", "soon"],
        ["store", "nonsense"],
        ["--store"],
    ],
    ids=" ".join,
)
def test_2_is_a_usage_error_in_two_lines(oakum: Oakum, words: list[str]) -> None:
    ended = oakum(*words)
    assert ended.code == 2, ended.err
    assert ended.complaint
    assert ended.out == ""


def test_an_option_that_is_nearly_right_is_named(oakum: Oakum) -> None:
    what, todo = oakum("build", ".", "--no-cahce").complaint
    assert what.startswith("No such option '--no-cahce'.")
    assert "'--no-cache'" in what
    assert todo == "see 'oakum build --help'"
    assert oakum("biuld").complaint[0].count("Did you mean") == 1


def test_3_is_pending_edits_where_asked_for(ready: Ready) -> None:
    assert ready.oakum("lock", ready.context, "--check", "-q").code == 3
    assert not (ready.context / "oakum.lock").exists()


def test_4_is_a_proof_that_failed(ready: Ready) -> None:
    assert ready.oakum("verify", ready.name, "--run", "exit 0", "-q").code == 0
    assert ready.oakum("verify", ready.name, "--run", "exit 7", "-q").code == 4


@pytest.mark.parametrize("verb", ["pull NAME", "tag NAME NAME", "store check"])
def test_10_is_nothing_to_do_in_detail(ready: Ready, verb: str) -> None:
    words = [ready.name if word == "NAME" else word for word in verb.split()]
    assert ready.oakum(*words, "--detailed-exit-code").code == 10


def test_a_build_is_done_once_and_then_there_is_nothing_to_do(
    oakum: Oakum, context: Context
) -> None:
    build = ("build", context.write(), "-t", "app:1", "--detailed-exit-code")
    assert [oakum(*build).code, oakum(*build).code] == [0, 10]


def test_a_lock_that_is_up_to_date_is_nothing_to_do(oakum: Oakum, ready: Ready) -> None:
    place = Context(oakum.store.with_name("locked")).place
    (place / "Dockerfile").write_bytes((ready.context / "Dockerfile").read_bytes())
    lock = ("lock", place, "--detailed-exit-code", "-q")
    assert [oakum(*lock).code, oakum(*lock).code] == [0, 10]
    assert oakum("lock", place, "--check", "-q").code == 0


NAMES = ("cli-one", "cli-other")


@pytest.fixture(scope="session")
def outdated(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Oakum, Path]:
    """A context with two pinned packages that have a fix each."""
    place = tmp_path_factory.mktemp("outdated")
    lab.publish(*(Deb(name, "1.0-1") for name in NAMES))
    pins = " ".join(f"{name}=1.0-1" for name in NAMES)
    (place / "Dockerfile").write_text(
        f"FROM {lab.base}\nRUN apt-get update && apt-get install -y {pins}\n"
    )
    oakum = Oakum(lab.store.root, place)
    oakum.done("build", place, "-q")
    lab.publish(*(Deb(name, "1.0-2") for name in NAMES), suite="stable-security")
    return oakum, place


@pytest.mark.parametrize(("held", "code"), [((), 0), (NAMES[:1], 11), (NAMES, 12)])
def test_11_is_partly_done_and_12_is_not_possible(
    outdated: tuple[Oakum, Path], held: tuple[str, ...], code: int
) -> None:
    oakum, place = outdated
    words = [f"--only={name}" for name in NAMES] + [f"--max-version={n}=1.0-1" for n in held]
    fresh = ("--max-age", "0", "-q")
    bump = ("bump", place, "--detailed-exit-code", *fresh, *words)
    assert oakum(*bump).code == code


def test_3_is_findings_and_edits_that_there_would_be(outdated: tuple[Oakum, Path]) -> None:
    oakum, place = outdated
    only = ("--only", NAMES[0], "--max-age", "0", "-q")
    assert oakum("scan", place, "--fail-on", "any", *only).code == 3
    assert oakum("bump", place, "--check", *only).code == 3
    nothing = ("--only", "no-such-package", "-q")
    assert oakum("scan", place, "--fail-on", "any", *nothing).code == 0
    assert oakum("bump", place, "--check", *nothing).code == 0
