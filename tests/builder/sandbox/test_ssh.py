"""``RUN --mount=type=ssh``: a step uses keys that it never gets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.sandbox.conftest import Box
from support.search import files_with
from support.traces import eventually, processes_with

PROGRAMS = ("ssh-add", "ssh-keygen")


def key_in(directory: Path, name: str = "key", passphrase: str = "") -> Path:
    path = directory / name
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", f"the {name}", "-f", path)
    subprocess.run(words, check=True)
    return path


@contextmanager
def running_agent(directory: Path, key: Path, owner: int) -> Iterator[Path]:
    """A user's ssh-agent with one key; its socket."""
    path = directory / "agent.sock"
    os.chown(key, owner, owner)
    words = ["setpriv", "--reuid", str(owner), "--regid", str(owner), "--clear-groups"]
    process = subprocess.Popen([*words, "ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        assert eventually(lambda: not path.is_socket())
        env = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run([*words, "ssh-add", "-q", str(key)], check=True, env=env)
        yield path
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def agent(prison: Box) -> Iterator[Path]:
    """An agent of the user who builds, with the key ``key``."""
    if not all(shutil.which(program) for program in PROGRAMS):
        pytest.skip("needs openssh-client")
    owner = prison.oakum.home.stat().st_uid
    os.chown(prison.place, owner, owner)
    with running_agent(prison.place, key_in(prison.place), owner) as path:
        yield path


def with_client(prison: Box, *lines: str) -> Path:
    """A context whose steps have ssh's programs, with the libraries that they need."""
    context = prison.context()
    for program in (shutil.which(name) or "" for name in PROGRAMS):
        shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for file in (program, *re.findall(r"(/\S+) \(0x", shown)):
            place = context.place / "tree" / file.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    return context.write("COPY tree /", *lines)


def test_a_step_uses_an_agent_and_changes_nothing_in_it(prison: Box, agent: Path) -> None:
    place = with_client(
        prison,
        "COPY key.pub more /",
        "RUN --mount=type=ssh ssh-add -l && test $SSH_AUTH_SOCK = /run/buildkit/ssh_agent.0 "
        "&& test $(stat -c %a $SSH_AUTH_SOCK) = 600 && ls /run/buildkit | grep -cv ssh_agent.0; "
        "echo text > /text && ssh-keygen -q -Y sign -n oakum -f /key.pub /text && "
        "chmod 600 /more && ! ssh-add /more 2>&1 && ! ssh-add -D 2>&1 && "
        "! SSH_ASKPASS=/bin/true SSH_ASKPASS_REQUIRE=force ssh-add -x 2>&1 && ssh-add -l",
        "RUN test ! -e /run/buildkit && test -z $SSH_AUTH_SOCK",
        "USER user",
        "RUN --mount=type=ssh,id=default,target=/tmp/agent,uid=1000,mode=0620 ssh-add -l; "
        "stat -c %u:%a /tmp/agent",
        "RUN --mount=type=ssh ! ssh-add -l 2>&1",
    )
    key_in(place, "more").chmod(0o644)
    shutil.copy(prison.place / "key.pub", place)
    said = prison.output(place, "--ssh", "default", "-t", "app:1", SSH_AUTH_SOCK=str(agent))
    assert said.count(" the key (ED25519)") == 3
    assert "the more" not in said
    assert " 1000:620\n" in said
    listed = prison.oakum.done("ls", "app:1", "/", "-R", "--format", "json").document["files"]
    paths = {file["path"] for file in listed}
    assert "/text.sig" in paths
    assert not paths & {"/run", "/tmp/agent"}
    assert files_with(prison.oakum.store, str(agent).encode()) == []
    assert "0 steps run" in prison.build(place, "--ssh", f"default={agent}").out
    assert "0 steps run" in prison.build(place).out


def test_keys_in_files_are_used_and_leave_no_trace(prison: Box, agent: Path) -> None:
    key = prison.place / "key"
    secret = key.read_bytes().splitlines()[2]
    place = with_client(prison, "RUN --mount=type=ssh,id=deploy,required ssh-add -l")
    assert "the key" in prison.output(place, "--ssh", f"deploy={key}")
    assert files_with(prison.oakum.store, secret) == []
    assert eventually(lambda: processes_with(f"OAKUM_STORE={prison.oakum.store}"))
    locked = key_in(prison.place, "locked", "a passphrase")
    os.chown(locked, key.stat().st_uid, key.stat().st_gid)
    ended = prison.build(place, "--ssh", f"deploy={locked}", "--no-cache-filter", "0")
    assert ended.code == 1
    assert "the keys of --ssh deploy cannot be used: " in ended.err


def test_an_agent_that_is_not_given(prison: Box) -> None:
    place = prison.context().write(
        'RUN --mount=type=ssh test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 '
        "&& test ! -e $SSH_AUTH_SOCK",
        "ENV SSH_AUTH_SOCK=/mine",
        "RUN --mount=type=ssh test $SSH_AUTH_SOCK = /mine",
        "RUN --mount=type=ssh,id=other,required true",
    )
    ended = prison.build(place)
    assert ended.code == 1
    assert "ssh agent other: not found, and the step requires it" in ended.err


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("default", "SSH_AUTH_SOCK names no agent"),
        ("default=/nowhere", "/nowhere is no socket and no key"),
        ("a=/etc", "/etc is no socket and no key"),
    ],
)
def test_what_is_no_agent_is_said(prison: Box, word: str, why: str) -> None:
    ended = prison.build(prison.context().write("RUN true"), "--ssh", word, SSH_AUTH_SOCK="")
    assert why in ended.complaint[0]
