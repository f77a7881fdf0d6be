"""The other builders, real ones: BuildKit with its daemon and at an address, docker, buildah."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.daemon import DOCKER, running_daemon
from support.reference import docker_root, running_reference

NAMES = ("buildkit", "address", "docker", "old docker", "buildah")
"""What `Peers` can give: an ``old docker`` is Debian's 20.10, whose images must be saved."""

_UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


@dataclass(frozen=True)
class Peer:
    """One engine, and the environment in which oakum finds it."""

    name: str
    engine: str
    env: dict[str, str] = field(default_factory=dict)


class Peers:
    """Starts each engine when it is first asked for."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._known: dict[str, Peer] = {}
        self._sockets: dict[str, str] = {}

    def __getitem__(self, name: str) -> Peer:
        if name not in self._known:
            make = {
                "buildkit": self._buildkit,
                "address": self._address,
                "docker": self._docker,
                "old docker": self._old_docker,
                "buildah": self._buildah,
            }[name]
            self._known[name] = make(name)
        return self._known[name]

    def _recent(self) -> dict[str, str]:
        """The environment of a newer Debian's client and daemon."""
        root = docker_root()
        if "recent" not in self._sockets:
            place = self._place / "recent"
            self._stack.enter_context(running_reference(place))
            self._sockets["recent"] = f"{place}/sock"
        programs = self._programs("recent", root / "usr/bin/docker")
        home = self._home("recent")
        plugin = root / "usr/libexec/docker/cli-plugins/docker-buildx"
        (home / "cli-plugins").mkdir(exist_ok=True)
        if not (home / "cli-plugins/docker-buildx").exists():
            (home / "cli-plugins/docker-buildx").symlink_to(plugin)
        return {
            "DOCKER_HOST": f"unix://{self._sockets['recent']}",
            "DOCKER_CONFIG": str(home),
            "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def _programs(self, name: str, docker: Path) -> Path:
        place = self._place / f"bin-{name}"
        place.mkdir(exist_ok=True)
        if not (place / "docker").exists():
            (place / "docker").symlink_to(docker)
        return place

    def _home(self, name: str) -> Path:
        place = self._place / f"home-{name}"
        place.mkdir(exist_ok=True)
        (place / "config.json").write_text("{}")
        return place

    def _buildkit(self, name: str) -> Peer:
        return Peer(name, "buildkit", self._recent())

    def _address(self, name: str) -> Peer:
        env = self._recent()
        socket = self._place / "buildkit.sock"
        self._stack.enter_context(buildkit_socket(socket, env["DOCKER_HOST"][len("unix://") :]))
        return Peer(name, f"buildkit=unix://{socket}", {**env, "DOCKER_HOST": "unix:///nowhere"})

    def _docker(self, name: str) -> Peer:
        return Peer(name, "docker", self._recent())

    def _old_docker(self, name: str) -> Peer:
        place = self._place / "old"
        place.mkdir()
        daemon = self._stack.enter_context(running_daemon(place))
        env = {"DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(self._home("old"))}
        programs = self._programs("old", Path(DOCKER))
        return Peer(name, "docker", {**env, "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin"})

    def _buildah(self, name: str) -> Peer:
        if shutil.which("buildah") is None:
            pytest.skip("needs buildah")
        place = self._place / "buildah"
        place.mkdir()
        storage = place / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{place}/root"\nrunroot = "{place}/run"\n'
        )
        env = {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot"}
        return Peer(name, "buildah", {**env, "DOCKER_CONFIG": str(self._home("buildah"))})


@contextmanager
def running_peers(place: Path) -> Iterator[Peers]:
    """The engines, each started when it is asked for."""
    with ExitStack() as stack:
        yield Peers(place, stack)


@contextmanager
def buildkit_socket(path: Path, daemon: str) -> Iterator[None]:
    """A socket on which the BuildKit of a docker daemon speaks as buildkitd does.

    docker has it behind a request to upgrade the connection (``POST /grpc``).
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_serve, args=(server, daemon), daemon=True).start()
        yield


def _serve(server: socket.socket, daemon: str) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(daemon)
        upstream.sendall(_UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += upstream.recv(1)
        for one, other in ((client, upstream), (upstream, client)):
            threading.Thread(target=_pipe, args=(one, other), daemon=True).start()


def _pipe(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
