"""What goes wrong with another engine is said with the line, or with what to do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from builder.engines.conftest import BuildWith
from oakum.builder import BuildRequest, Secret, build, parse_cache_place
from oakum.errors import BuildError, EngineError, UsageError
from oakum.oci import parse_reference
from oakum.store import Store
from support.busy import Context
from support.command import Oakum, finished
from support.images import is_untouched
from support.peers import Peer, Peers
from support.search import files_with

ONLY_EMBEDDED: dict[str, dict[str, object]] = {
    "--sandbox": {"runtime": "runc"},
    "--offline": {"offline": True},
    "--cache-from": {"cache_from": (parse_cache_place("127.0.0.1:1/x", "--cache-from"),)},
    "--cache-to": {"cache_to": (parse_cache_place("type=inline", "--cache-to"),)},
}

SECRET = "kept-from-everyone-4711"


def test_a_step_that_fails_is_named_by_its_line(
    context: Context, base: str, build_with: BuildWith
) -> None:
    place = context.write_all(f"FROM {base}", "RUN true", "RUN echo because >&2; \\", "    exit 3")
    with pytest.raises(BuildError) as caught:
        build_with(place)
    assert "Dockerfile, line 3: " in caught.value.what
    assert "RUN echo because" in caught.value.what
    assert "3" in caught.value.what.partition("line 3")[2]


def test_a_file_that_is_not_there_is_named(
    context: Context, base: str, build_with: BuildWith
) -> None:
    place = context.write_all(f"FROM {base}", "COPY nowhere /")
    with pytest.raises(BuildError, match=r"line 2: .*nowhere"):
        build_with(place)


def test_a_step_with_an_image_in_it_is_shown_as_it_was_written(
    context: Context, base: str, build_with: BuildWith
) -> None:
    """The engine gets digests for names; the user's own words come back."""
    place = context.write_all(
        f"FROM {base}", "RUN true", f"COPY --from={base} /bin/nowhere /", "RUN true"
    )
    with pytest.raises(BuildError, match="line 3: ") as caught:
        build_with(place)
    assert caught.value.what.endswith(f": COPY --from={base} /bin/nowhere /")


def test_no_name_is_set_by_a_build_that_fails(
    context: Context, base: str, peer: Peer, store: Store
) -> None:
    place = context.write_all(f"FROM {base}", "RUN exit 1")
    request = BuildRequest(place, network="host", engine=peer.engine)
    with pytest.raises(BuildError):
        build(store, request, tags=(parse_reference("app"),))
    assert store.names.get(parse_reference("app")) is None
    assert not list(store.place.scratch.glob("engine-*"))


@pytest.mark.parametrize("engine", ["buildkit", "docker", "buildah"])
def test_a_program_that_is_missing(
    engine: str, context: Context, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        build(store, BuildRequest(context.write(), engine=engine))
    program = "buildah" if engine == "buildah" else "docker"
    assert f"there is no {program} on this machine" in caught.value.what
    assert "--engine embedded" in caught.value.todo
    assert is_untouched(store)


@pytest.mark.parametrize("engine", ["docker", "buildkit", "buildkit=unix:///nowhere/sock"])
def test_a_daemon_that_is_not_there(
    engine: str, context: Context, peers: Peers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in peers["buildkit"].env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/sock")
    with pytest.raises(EngineError) as caught:
        build(store, BuildRequest(context.write(), engine=engine))
    assert "--engine embedded" in caught.value.todo
    assert is_untouched(store)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("podman", "unknown engine"),
        ("docker=tcp://x", "takes none"),
        ("buildkit=", "no address"),
        ("buildkit=--help", "not an address"),
        ("buildkit=file:///etc", "not an address"),
    ],
)
def test_an_engine_that_is_no_engine(
    engine: str, words: str, context: Context, store: Store
) -> None:
    with pytest.raises(UsageError, match=words):
        build(store, BuildRequest(context.write(), engine=engine))


def test_options_that_cannot_be_kept_are_errors_that_name_them(
    context: Context, base: str, build_with: BuildWith, peer: Peer, tmp_path: Path
) -> None:
    place = context.write_all(f"FROM {base} AS one", "RUN true")
    for option, more in ONLY_EMBEDDED.items():
        with pytest.raises(UsageError, match=option):
            build_with(place, **more)
    if peer.name in ("old docker", "buildah"):
        with pytest.raises(UsageError, match="--no-cache-filter"):
            build_with(place, no_cache_filter=("one",))
    else:
        build_with(place, no_cache_filter=("one",))
    if peer.name == "old docker":
        with pytest.raises(UsageError, match="--build-context"):
            build_with(place, contexts={"more": str(tmp_path)})
    if peer.name == "buildah":
        with pytest.raises(UsageError, match="--build-context more"):
            build_with(place, contexts={"more": f"oci-layout://{tmp_path}"})


def test_a_name_is_never_taken_for_an_option(
    context: Context, base: str, build_with: BuildWith
) -> None:
    """Whatever begins with dashes stays a value: it is unknown, or it is kept as it is."""
    place = context.write_all(f"FROM {base}", "ARG X", "RUN echo $X > /x")
    built = build_with(
        place, build_args={"X": "--privileged"}, labels={"--pull": "--output=/nowhere"}
    )
    assert built.image.config.runtime["Labels"]["--pull"] == "--output=/nowhere"
    with pytest.raises(UsageError, match="--help"):
        build_with(place, target="--help")


@pytest.mark.parametrize("where", ["file", "env"])
def test_a_secret_is_in_no_byte_of_the_store(
    where: str,
    context: Context,
    base: str,
    build_with: BuildWith,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "a secret"
    file.write_text(SECRET)
    monkeypatch.setenv("THE_WORD", SECRET)
    secret = Secret("word", file) if where == "file" else Secret("word", env="THE_WORD")
    place = context.write_all(
        f"FROM {base}", f"RUN --mount=type=secret,id=word wc -c < /run/secrets/word > /{where}"
    )
    built = build_with(place, secrets=(secret,), no_cache=True)
    assert built.steps[-1].layer
    assert files_with(store.root, SECRET.encode()) == []
    bad = context.write_all(f"FROM {base}", "RUN --mount=type=secret,id=word exit 1")
    with pytest.raises(BuildError) as caught:
        build_with(bad, secrets=(secret,))
    assert SECRET not in f"{caught.value.what}{caught.value.todo}"
    assert files_with(store.root, SECRET.encode()) == []


def test_an_interrupted_build_stops_the_engine(
    context: Context, base: str, peer: Peer, oakum: Oakum
) -> None:
    mark = f"sleep 9{os.getpid() % 1000:03}"
    place = context.write_all(f"FROM {base}", f"RUN {mark}")
    env = {**peer.env, "HOME": str(oakum.home)}
    words = ["build", place, "--engine", peer.engine, "--network", "host"]
    process = oakum.start(*words, **env)
    wait_for(lambda: running(mark))
    process.send_signal(signal.SIGTERM)
    assert finished(process).code == 143
    wait_for(lambda: not running(mark))


def wait_for(done: object) -> None:
    assert callable(done)
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about in a minute")


def running(command: str) -> bool:
    """Whether a process runs exactly this command."""
    wanted = command.replace(" ", "\0") + "\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_text(errors="replace") == wanted:
                return True
        except OSError:
            continue
    return False
