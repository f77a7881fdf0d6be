"""kill -9 at random moments: the store stays whole, and the next run gives the right result."""

from __future__ import annotations

import os
import random
import shutil
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.busy import Context
from support.command import Oakum, finished
from support.search import files_with
from support.slow import Line, slow_line
from support.traces import eventually, groups_of, half_made, mounts_below, processes_with

KILLS = range(12)
SEED = 20240229
MEGABYTE = 1 << 20


def noise(number: int, count: int = MEGABYTE // 2) -> bytes:
    """Bytes that do not compress."""
    return random.Random(number).randbytes(count)


def killed(oakum: Oakum, moment: float, *words: str | Path) -> int:
    """Start it and kill it after a while; its exit status."""
    process = oakum.start(*words)
    time.sleep(moment)
    process.kill()
    return finished(process).code


def assert_whole(oakum: Oakum) -> None:
    """The check, which cleans up what was half-made as every command does, finds no damage."""
    checked = oakum.done("store", "check", "--format", "json", "--progress", "quiet")
    assert checked.document["damage"] == []
    assert checked.document["outcome"] == "nothing-to-do"
    assert mounts_below(oakum.store) == []


def digest_in(registry: str, repository: str) -> str:
    """Digest of the manifest that the tag 1 stands for; a registry has all of its blobs."""
    url = f"http://{registry}/v2/{repository}/manifests/1"
    accepted = "application/vnd.oci.image.manifest.v1+json"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Accept": accepted})
    ) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def empty(oakum: Oakum) -> None:
    shutil.rmtree(oakum.store, ignore_errors=True)


@pytest.fixture
def many_layers(oakum: Oakum, context: Context) -> Path:
    """A context with layers that are copied and layers that are made by steps."""
    copies = [f"COPY noise{number} /" for number in range(2)]
    files = {f"noise{number}": noise(number) for number in range(2)}
    return context.write(
        *copies,
        "RUN mkdir /a && echo 1 > /a/b && sleep 0.05",
        "RUN rm -r /a && mkdir /a && touch /a/c",
        **files,
    )


def test_a_build_survives_being_killed(oakum: Oakum, many_layers: Path) -> None:
    build = ("build", many_layers, "-t", "app:1", "--format", "json", "-q")
    began = time.monotonic()
    right = oakum.done(*build).document["digest"]
    length = time.monotonic() - began
    moments = random.Random(SEED)
    for _ in KILLS:
        empty(oakum)
        killed(oakum, moments.uniform(0.1, length), *build)
        assert eventually(lambda: processes_with(f"OAKUM_STORE={oakum.store}"))
        assert_whole(oakum)
        assert half_made(oakum) == []
        assert os.listdir(oakum.home) == []
        assert oakum.done(*build).document["digest"] == right


@pytest.fixture
def published(oakum: Oakum, registry: str, many_layers: Path) -> Iterator[tuple[Line, str]]:
    """An image in a registry on a slow line, and its digest."""
    name = f"{registry}/killed:1"
    built = oakum.done("build", many_layers, "-t", name, "--push", "--format", "json", "-q")
    with slow_line(registry, 4 * MEGABYTE) as line:
        yield line, built.document["digest"]


def test_a_pull_survives_being_killed(oakum: Oakum, published: tuple[Line, str]) -> None:
    line, right = published
    pull = ("pull", f"{line.host}/killed:1", "--format", "json", "-q")
    other = Oakum(oakum.store.with_name("other"), oakum.home)
    began = time.monotonic()
    assert other.done(*pull).document["digest"] == right
    length = time.monotonic() - began
    moments = random.Random(SEED)
    for _ in KILLS:
        empty(other)
        killed(other, moments.uniform(0.1, length), *pull)
        assert_whole(other)
        assert other.done(*pull).document["digest"] == right
        assert half_made(other) == []


def test_a_push_survives_being_killed(
    oakum: Oakum, registry: str, published: tuple[Line, str]
) -> None:
    line, right = published
    name = f"{registry}/killed:1"
    moments = random.Random(SEED)
    length = 1.0
    for number in range(-1, len(KILLS)):
        place = f"docker://{line.host}/killed-push-{number}:1"
        if number >= 0:
            killed(oakum, moments.uniform(0.1, length), "push", name, place, "-q")
        assert_whole(oakum)
        began = time.monotonic()
        assert oakum.done("push", name, place, "-q").out.strip() == right
        length = time.monotonic() - began if number < 0 else length
        assert digest_in(registry, f"killed-push-{number}") == right


def content(archive: Path) -> list[tuple[str, bytes]]:
    """Everything in a tar, which is read to its end."""
    with tarfile.open(archive) as tar:
        files = [(one.name, tar.extractfile(one) if one.isreg() else None) for one in tar]
        return sorted((name, file.read() if file else b"") for name, file in files)


PHASES = {
    "many files": ("COPY many /many", "RUN touch /done"),
    "a large layer": ("RUN head -c 15000000 /dev/urandom > /large",),
    "an archive": ("ADD many.tar /many",),
    "mounts": (
        "RUN --mount=type=secret,id=one --mount=type=cache,target=/c --mount=type=tmpfs,target=/t "
        "--mount=type=bind,source=many,target=/m cp -r /m /c/$$ && test -s /run/secrets/one "
        "&& setsid sleep 30 & sleep 0.3",
    ),
}
"""What takes most of the time, and the lines that do it."""


@pytest.fixture
def many(context: Context) -> Context:
    """A context with a directory of a thousand files, and the same as an archive."""
    (context.place / "many").mkdir()
    for number in range(1000):
        (context.place / "many" / str(number)).write_bytes(noise(number, 2000))
    with tarfile.open(context.place / "many.tar", "w") as tar:
        tar.add(context.place / "many", "many")
    return context


@pytest.mark.parametrize("phase", PHASES)
def test_a_build_survives_being_killed_in_each_phase(
    oakum: Oakum, many: Context, phase: str
) -> None:
    """What was on its way is gone after the next start: files, mounts, processes, secrets."""
    secret = "the-secret-of-kills-77ae"
    place = many.write(*PHASES[phase])
    build = ("build", place, "-q", "--no-cache", "--secret", "id=one,env=ONE")
    began = time.monotonic()
    oakum.done(*build, ONE=secret)
    length = time.monotonic() - began
    moments = random.Random(f"{SEED} {phase}")
    killed_ones = []
    for _ in range(5):
        process = oakum.start(*build, ONE=secret)
        time.sleep(moments.uniform(0.2, length))
        process.kill()
        finished(process)
        assert eventually(lambda: processes_with(f"OAKUM_STORE={oakum.store}"))
        assert files_with(oakum.store, secret.encode()) == []
        assert_whole(oakum)
        assert half_made(oakum) == []
        killed_ones.append(process.pid)
    oakum.done(*build, ONE=secret)
    assert [group for pid in killed_ones for group in groups_of(pid)] == []


@pytest.mark.parametrize("kind", ["oci", "docker", "tar"])
def test_what_is_written_elsewhere_is_whole_or_not_there(
    oakum: Oakum, many_layers: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    build = ("build", many_layers, "-q", "-t", "app:1", "-o", f"type={kind},dest={out / 'app.tar'}")
    oakum.done(*build)
    right = content(out / "app.tar")
    began = time.monotonic()
    oakum.done(*build)
    length = time.monotonic() - began
    moments = random.Random(f"{SEED} {kind}")
    for _ in range(5):
        (out / "app.tar").unlink(missing_ok=True)
        killed(oakum, moments.uniform(length / 2, length), *build)
        if (out / "app.tar").exists():
            assert content(out / "app.tar") == right
        assert set(os.listdir(out)) <= {"app.tar"}
        assert_whole(oakum)
    oakum.done(*build)
    assert content(out / "app.tar") == right
