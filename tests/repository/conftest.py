"""Real things to test against: a Debian root with its own apt, and a signed archive."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.archive import Archive, Key, Server

MADE = Path(os.environ.get("OAKUM_TEST_CACHE") or Path.home() / ".cache" / "oakum-tests")


class Files:
    """The files of a directory, with some laid over it."""

    def __init__(self, root: Path | None = None, **over: bytes) -> None:
        self.root = root
        self.over = dict(over)

    def put(self, path: str, content: str | bytes) -> None:
        self.over[path] = content.encode() if isinstance(content, str) else content

    def read(self, path: str) -> bytes | None:
        if path in self.over:
            return self.over[path]
        if self.root is None:
            return None
        place = self.root / path
        return place.read_bytes() if place.is_file() else None

    def list(self, path: str) -> list[str]:
        names = {p.rpartition("/")[2] for p in self.over if p.rpartition("/")[0] == path}
        if self.root is not None and (self.root / path).is_dir():
            names |= set(os.listdir(self.root / path))
        return sorted(names)


def _mirror() -> str:
    named = os.environ.get("OAKUM_TEST_MIRROR")
    if named:
        return named.rstrip("/")
    for path in [*sorted(Path("/etc/apt").glob("sources.list*/*")), Path("/etc/apt/sources.list")]:
        if path.is_file():
            found = re.search(r"https?://\S+/debian(?=/?\s)", path.read_text())
            if found:
                return found.group()
    pytest.skip("no Debian mirror in apt's configuration, and no OAKUM_TEST_MIRROR")


@pytest.fixture(scope="session")
def mirror() -> str:
    return _mirror()


@pytest.fixture(scope="session")
def bookworm(mirror: str) -> Iterator[Path]:
    """A root of the release suite alone, whose sources name updates, security and backports.

    It is this process's alone until its tests are done: another's apt would change it meanwhile.
    """
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap")
    root = MADE / "repository-bookworm"
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / "repository-bookworm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "made").exists():
            shutil.rmtree(root, ignore_errors=True)
            include = "--include=python3-minimal,curl,openssl,ca-certificates,git"
            command = ["mmdebstrap", "--variant=minbase", include, "bookworm", str(root), mirror]
            subprocess.run(command, check=True, capture_output=True)
            (root / "made").touch()
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(f"/etc/{name}", root / "etc" / name)
        (root / "etc/apt/sources.list").write_text(
            f"deb {mirror} bookworm main\n"
            f"deb {mirror} bookworm-updates main\n"
            f"deb {mirror}-security bookworm-security main\n"
            f"deb {mirror} bookworm-backports main\n"
        )
        command = ["chroot", str(root), "apt-get", "update", "-qq"]
        subprocess.run(command, check=True, capture_output=True)
        yield root


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory for the whole session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("key"), "archive")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("other"), "somebody else")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "www") as server:
        yield server


@pytest.fixture
def archive(server: Server, key: Key) -> Archive:
    """A signed suite ``stable`` with the component ``main``, not published yet."""
    return Archive(server, key)


@pytest.fixture
def image(archive: Archive, key: Key) -> Files:
    """An image that names the archive in its sources and trusts its key."""
    files = Files()
    files.put("etc/apt/sources.list", f"deb {archive.server.url} stable main\n")
    files.put("etc/apt/trusted.gpg.d/archive.asc", key.public)
    return files
