"""Bad days: no room, no permission, no network, no runtime.  One clear error, nothing half-made."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from support.busy import Context
from support.command import Done, Oakum, finished
from support.people import somebody

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
MEGABYTE = 1 << 20


def after(oakum: Oakum, script: str) -> Oakum:
    """The command, run in mounts of its own after a script; the store is ``$STORE``."""
    begin = ("unshare", "--mount", "sh", "-ec", f'{script}; exec "$@"', "sh")
    return Oakum(oakum.store, oakum.home, "env", f"STORE={oakum.store}", *begin)


def complaint(ended: Done) -> tuple[str, str]:
    assert ended.code == 1
    assert ended.out == ""
    return ended.complaint


# A full disk.


@pytest.fixture
def small(oakum: Oakum) -> Oakum:
    """The command with a store of four megabytes that it does not keep; tells what is left."""
    oakum.store.mkdir()
    script = (
        'mount -t tmpfs -o size=4m none "$STORE"; '
        '"$@" || code=$?; find "$STORE/tmp" -mindepth 1 -not -name "serial-*" > "$HOME/left"; '
        'find "$STORE/names" -mindepth 1 >> "$HOME/left"; exit ${code:-0}'
    )
    return after(oakum, script)


@needs_root
@pytest.mark.parametrize("line", ["COPY noise /", "RUN cat /dev/urandom > /noise"])
def test_a_full_disk_says_so_and_leaves_nothing_half_made(
    small: Oakum, context: Context, line: str
) -> None:
    noise = random.Random(7).randbytes(8 * MEGABYTE)
    if line.startswith("COPY"):
        place = context.write_all("FROM scratch", line, noise=noise)
    else:
        place = context.write(line)
    ended = small("build", place, "-t", "app:1", "-q")
    what, todo = complaint(ended)
    if line.startswith("COPY"):
        assert "No space left on device" in what
        assert "store prune" in todo
    assert (small.home / "left").read_text() == ""


@needs_root
def test_a_pull_into_a_full_disk_names_nothing(
    oakum: Oakum, small: Oakum, context: Context, registry: str, tmp_path: Path
) -> None:
    noise = random.Random(8).randbytes(8 * MEGABYTE)
    name = f"{registry}/large:1"
    place = context.write_all("FROM scratch", "COPY noise /", noise=noise)
    Oakum(tmp_path / "large", oakum.home).done("build", place, "-t", name, "--push", "-q")
    what, todo = complaint(small("pull", name, "-q"))
    assert "No space left on device" in what
    assert "store prune" in todo
    assert (small.home / "left").read_text() == ""


# No permission.


def test_a_store_that_belongs_to_somebody_else(tmp_path: Path) -> None:
    with somebody() as oakum:
        place = oakum.home.parent / "store"
        place.mkdir(mode=0o700)
        ended = oakum("--store", place, "images")
    what, todo = complaint(ended)
    assert "Permission denied" in what
    assert str(place) in what
    assert "--store" in todo


@needs_root
def test_a_store_that_is_read_only(oakum: Oakum, context: Context) -> None:
    oakum.done("images")
    readonly = 'mount --bind "$STORE" "$STORE"; mount -o remount,ro,bind "$STORE"'
    for words in (["images"], ["build", context.write(), "-q"]):
        what, todo = complaint(after(oakum, readonly)(*words))
        assert "Read-only file system" in what
        assert "--store" in todo


def test_a_context_with_a_file_that_may_not_be_read() -> None:
    with somebody() as oakum:
        context = Context(oakum.home.parent / "context")
        place = context.write_all("FROM scratch", "COPY secret /", secret="x")
        (place / "secret").chmod(0o600)
        what, _ = complaint(oakum("build", place, "-q"))
    assert "secret" in what
    assert "Permission denied" in what
    assert "line 2" in what


# No runtime.

HIDE = (
    "for place in /usr/local/sbin /usr/sbin /sbin /usr/local/bin /usr/bin /bin; do "
    "for name in runc crun bwrap; do "
    'test ! -e "$place/$name" || mount --bind /dev/null "$place/$name"; done; done'
)


@needs_root
def test_without_a_runtime_a_step_names_what_to_install(oakum: Oakum, context: Context) -> None:
    what, todo = complaint(after(oakum, HIDE)("build", context.write(), "-q"))
    assert "no way to run a step on this machine" in what
    for name in ("runc", "crun", "bwrap"):
        assert f"{name} is not installed" in what
    assert "install runc, crun or bubblewrap" in todo


@needs_root
def test_without_a_runtime_what_runs_nothing_still_works(oakum: Oakum, context: Context) -> None:
    place = context.write_all("FROM scratch", "COPY busybox /", "WORKDIR /a", 'CMD ["/busybox"]')
    after(oakum, HIDE).done("build", place, "-q")


@needs_root
def test_a_runtime_that_does_not_work_is_passed_over(oakum: Oakum, context: Context) -> None:
    broken = (
        'runc="$(PATH=$PATH:/usr/sbin command -v runc)"; '
        'printf "#!/bin/sh\\necho no container for you >&2\\nexit 1\\n" > "$HOME/runc"; '
        'chmod 755 "$HOME/runc"; mount --bind "$HOME/runc" "$runc"'
    )
    ended = after(oakum, broken)("build", context.write(), "-q", "--sandbox", "runc")
    assert "no container for you" in complaint(ended)[0]
    after(oakum, broken).done("build", context.write(), "-q")


def test_an_unknown_runtime_is_refused(oakum: Oakum, context: Context) -> None:
    what, _ = complaint(oakum("build", context.write(), "-q", "--sandbox", "docker"))
    assert "docker is not one of runc, crun, bubblewrap" in what


# No network.


@needs_root
def test_without_a_network_each_verb_says_what_it_could_not_reach(
    oakum: Oakum, context: Context
) -> None:
    offline = Oakum(oakum.store, oakum.home, "unshare", "--net")
    base = context.write_all("FROM debian:12", "COPY busybox /")
    stages = Context(context.place.with_name("stages"))
    copied = stages.write_all("FROM scratch AS base", "FROM scratch", "COPY --from=bas /x /y")
    running = {
        "pull": offline.start("pull", "debian:12", "-q"),
        "build": offline.start("build", base, "-q"),
        "scan": offline.start("scan", "debian:12", "-q"),
        "stage": offline.start("build", copied, "-q"),
    }
    said = {name: complaint(finished(process)) for name, process in running.items()}
    for what, _ in said.values():
        assert "cannot reach docker.io" in what
    assert "network" in said["pull"][1]
    assert "Dockerfile, line 1" in said["build"][0]
    assert said["stage"][1] == "no stage is called 'bas'; stages: base"


@needs_root
def test_without_a_network_what_needs_none_still_works(oakum: Oakum, context: Context) -> None:
    Oakum(oakum.store, oakum.home, "unshare", "--net").done("build", context.write(), "-q")
