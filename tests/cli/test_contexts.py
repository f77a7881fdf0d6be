"""Contexts that are no directories, through the command: standard input, git, and being killed."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from cli.conftest import Ready
from support.busy import Context
from support.command import Oakum, finished
from support.git_server import TOKEN, GitServer, running_git_server
from support.search import files_with
from support.traces import eventually, half_made, processes_with


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    """A git server whose repositories build without a base."""
    with running_git_server(tmp_path / "server") as server:
        for name in ("main", "private"):
            server.change(name, "echo 'FROM scratch\nCOPY . /' > Dockerfile; git commit -qam new")
        yield server


def tar_of(place: Path) -> bytes:
    """A directory as a tar of root's files."""

    def roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        return member

    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        tar.add(place, ".", filter=roots)
    return made.getvalue()


def digest(oakum: Oakum, stdin: bytes, *words: str | Path) -> str:
    """What a build gives."""
    ended = oakum.piped(stdin, "build", *words, "--format", "json", "-q")
    assert ended.code == 0, ended.err
    return str(ended.document["digest"])


def test_one_context_in_three_ways_is_one_image(oakum: Oakum, context: Context) -> None:
    place = context.write("COPY f /f", "RUN cat /f > /g", f="f")
    right = digest(oakum, b"", place)
    assert digest(oakum, tar_of(place), "-") == right
    text = (place / "Dockerfile").read_bytes()
    assert digest(oakum, text, place, "-f", "-") == right
    assert half_made(oakum) == []


def test_a_dockerfile_alone_builds_without_files(oakum: Oakum) -> None:
    assert digest(oakum, b"FROM scratch\nCOPY . /x/\n", "-")
    ended = oakum.piped(b"FROM scratch\nCOPY f /\n", "build", "-", "-q")
    assert "'f': not found" in ended.complaint[0]


@pytest.mark.parametrize("closed", ["<&-", "</dev/null"])
def test_without_standard_input_a_directory_builds_all_the_same(
    oakum: Oakum, context: Context, closed: str
) -> None:
    place = context.write_all("FROM scratch", "COPY busybox /")
    for words, code in ((str(place), 0), ("-", 2)):
        script = f'exec "$@" {closed}'
        command = ["sh", "-c", script, "sh", oakum.python, "-m", "oakum", "build", "-q", words]
        done = subprocess.run(command, capture_output=True, text=True, env=oakum.environment())
        assert done.returncode == code, done.stderr
        assert code == 0 or "nothing on standard input" in done.stderr


def test_a_private_repository_builds_and_its_token_is_nowhere(oakum: Oakum, git: GitServer) -> None:
    words = ("build", f"{git.url}/private.git", "--secret", "id=GIT_AUTH_TOKEN,env=MINE")
    ended = oakum(*words, "--progress", "plain", "-t", "app:1", MINE=TOKEN)
    assert ended.code == 0, ended.err
    assert TOKEN not in ended.out + ended.err
    wrong = oakum(*words, "-q", MINE="not-the-token")
    assert wrong.code == 1
    assert "not-the-token" not in wrong.out + wrong.err
    debugged = oakum("--debug", *words, MINE="not-the-token")
    assert "not-the-token" not in debugged.out + debugged.err
    for text in (TOKEN, "not-the-token"):
        assert files_with(oakum.store, text.encode()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("bump", "--write"),
        ("rebuild", "--write"),
        ("lock",),
    ],
)
def test_what_cannot_be_written_is_not_begun(
    oakum: Oakum, git: GitServer, words: tuple[str, ...]
) -> None:
    verb, *more = words
    ended = oakum(verb, f"{git.url}/main.git", *more, "-q")
    assert ended.code == 2
    what, todo = ended.complaint
    assert f"came from {git.url}/main.git, where nothing can be written" in what
    assert "clone" in todo
    piped = oakum.piped(b"FROM scratch\nCOPY . /\n", verb, "-", *more, "-q")
    assert piped.code == 2
    assert "came from standard input" in piped.complaint[0]


def test_what_is_only_looked_at_needs_no_file(oakum: Oakum, git: GitServer, ready: Ready) -> None:
    text = f"FROM {ready.name}\nRUN true\n".encode()
    for verb in (("bump",), ("rebuild",), ("lock", "--check")):
        ended = ready.oakum.piped(text, *verb, "-", "-q")
        assert ended.code in (0, 3), ended.err


def test_a_lock_of_a_repository_counts(oakum: Oakum, git: GitServer, ready: Ready) -> None:
    asked = f"printf 'FROM {ready.name}\\nRUN true\\n' > Dockerfile"
    git.change("main", f"{asked}; git commit -qam base")
    place = f"{git.url}/main.git"
    assert ready.oakum("build", place, "--locked", "-q").code == 2
    clone = oakum.home / "clone"
    subprocess.run(["git", "clone", "-q", place, clone], check=True)
    ready.oakum.done("lock", clone, "-q")
    lock = (clone / "oakum.lock").read_text()
    git.change("main", f"cat > oakum.lock <<'END'\n{lock}END\ngit add .; git commit -qm lock")
    assert ready.oakum.done("build", place, "--locked", "-q")
    broken = lock.replace("sha256:", "sha256:0", 1)
    git.change("main", f"cat > oakum.lock <<'END'\n{broken}END\ngit commit -qam broken")
    assert "oakum.lock" in ready.oakum("build", place, "-q").complaint[0]


def test_a_dockerfile_of_this_machine_is_written_for_a_repository(
    oakum: Oakum, git: GitServer, ready: Ready
) -> None:
    file = oakum.home / "Mine"
    file.write_text(f"FROM {ready.name}\nCOPY docs /docs\nRUN true\n")
    ready.oakum.done("lock", f"{git.url}/main.git", "-f", file, "-q")
    assert (oakum.home / "oakum.lock").exists()


def test_a_killed_build_leaves_nothing_of_its_context(oakum: Oakum, context: Context) -> None:
    place = context.write_all("FROM scratch", "COPY busybox /")
    process = oakum.start("build", "-", "-q", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(tar_of(place)[:200_000])
    process.stdin.flush()
    # What came of the context lies in the store by now.
    assert eventually(lambda: not list((oakum.store / "tmp").glob("*/context-*/stdin")))
    process.kill()
    process.wait()
    assert half_made(oakum) != []
    oakum.done("store", "info")
    assert half_made(oakum) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_killed_build_leaves_no_git_behind(oakum: Oakum) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/silent.git"
        process = oakum.start("build", url, "-q")
        silent.settimeout(20)
        connection, _ = silent.accept()
        assert len(processes_with(url)) > 1
        process.kill()
        assert finished(process).code == -9
        assert eventually(lambda: processes_with(url))
        connection.close()


def test_a_build_that_is_interrupted_does_not_wait_for_git(oakum: Oakum) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/silent.git"
        process = oakum.start("build", url, "-q")
        silent.settimeout(20)
        connection, _ = silent.accept()
        began = time.monotonic()
        process.terminate()
        assert finished(process).code == 143
        assert time.monotonic() - began < 10
        assert eventually(lambda: processes_with(url))
        connection.close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_user_builds_from_everywhere_too(context: Context, git: GitServer, ranges: bool) -> None:
    from support.people import somebody

    place = context.write("COPY f /f", f="f")
    with somebody(ranges=ranges) as oakum:
        git.change(
            "with-sub", "echo 'FROM scratch\nCOPY . /' > Dockerfile; git add .; git commit -qm d"
        )
        words = (
            "build",
            f"{git.url}/with-sub.git",
            "-q",
            "--build-context",
            f"g={git.url}/sub.git",
        )
        oakum.done(*words)
        oakum.done(*words)
        ended = oakum.piped(tar_of(place), "build", "-", "-q")
        assert ended.code == 0, ended.err
