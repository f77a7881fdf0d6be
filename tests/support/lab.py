"""A small world: a Debian base image whose apt asks a signed archive of the test's own."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from oakum.builder import BuildRequest, Built, build
from oakum.oci import parse_reference
from oakum.store import Store
from support.archive import Archive, Key, Server

SECURITY = "dists/stable-security"


@dataclass
class Deb:
    """A package to be put into the archive."""

    name: str
    version: str
    changes: str = "Initial release."
    depends: str = ""
    source: str = ""
    files: tuple[tuple[str, str], ...] = ()


def make_deb(directory: Path, deb: Deb) -> Path:
    """A real .deb: a program that prints its version, md5sums, a changelog."""
    root = directory / f"{deb.name}_{deb.version}"
    program = root / "usr/bin" / deb.name
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho {deb.name} {deb.version}\n")
    program.chmod(0o755)
    for path, text in deb.files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    doc = root / "usr/share/doc" / deb.name
    doc.mkdir(parents=True)
    source = deb.source or deb.name
    log = (
        f"{source} ({deb.version}) stable; urgency=medium\n\n  * {deb.changes}\n\n"
        " -- Test <test@example.org>  Mon, 01 Jan 2024 00:00:00 +0000\n"
    )
    (doc / "changelog.Debian.gz").write_bytes(gzip.compress(log.encode(), mtime=0))
    sums = [
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
        for path in sorted(root.rglob("*"))
        if path.is_file()
    ]
    control = root / "DEBIAN"
    control.mkdir()
    (control / "md5sums").write_text("".join(sums))
    fields = {
        "Package": deb.name,
        "Version": deb.version,
        "Architecture": "amd64",
        "Maintainer": "Test <test@example.org>",
        "Depends": deb.depends,
        "Source": deb.source,
        "Description": "a test",
    }
    text = "".join(f"{key}: {value}\n" for key, value in fields.items() if value)
    (control / "control").write_text(text)
    made = directory / f"{deb.name}_{deb.version.replace(':', '%3a')}_amd64.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(root), str(made)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, check=True, capture_output=True, env=env)
    return made


class Lab:
    """The archive, the registry and a store; `base` names the base image in the registry."""

    def __init__(
        self, place: Path, store: Store, registry: str, key: Key, server: Server, root: Path
    ) -> None:
        self.place = place
        self.store = store
        self.registry = registry
        self.key = key
        self.server = server
        self.suites = {
            "stable": Archive(server, key),
            "stable-security": Archive(server, key, SECURITY),
        }
        self.suites["stable-security"].fields |= {
            "Suite": "stable-security",
            "Codename": "test-security",
            "Label": "Test-Security",
        }
        for suite in self.suites.values():
            suite.packages = []
        self._made = 0
        self._root = root
        self.base = f"{registry}/base:12"

    def publish(self, *debs: Deb, suite: str = "stable") -> None:
        """Add packages to a suite and sign it anew."""
        for deb in debs:
            self._made += 1
            directory = self.place / f"deb-{self._made}"
            directory.mkdir()
            made = make_deb(directory, deb)
            data = made.read_bytes()
            path = f"pool/{suite}/{made.name}"
            self.server.write(path, data)
            control = subprocess.run(
                ["dpkg-deb", "-f", str(made)], check=True, capture_output=True, text=True
            ).stdout
            extra = (
                f"Filename: {path}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            )
            self.suites[suite].packages.append(control.rstrip("\n") + "\n" + extra)
        for archive in self.suites.values():
            archive.date += 1
            archive.publish()

    def withdraw(self, name: str, version: str, suite: str = "stable") -> None:
        """Take a version out of a suite's index."""
        archive = self.suites[suite]
        archive.packages = [
            text
            for text in archive.packages
            if not (f"Package: {name}\n" in text and f"Version: {version}\n" in text)
        ]
        self.publish()

    def sources(self) -> str:
        """The image's sources.list."""
        return f"deb {self.server.url} stable main\ndeb {self.server.url} stable-security main\n"

    def make_base(self, name: str = "base:12", *extra: str) -> str:
        """Build the base image and push it; its name."""
        from oakum.verbs import publish

        context = self.place / name.replace(":", "-").replace("/", "-")
        context.mkdir(exist_ok=True)
        tar = context / "root.tar"
        if not tar.exists():
            tar.hardlink_to(self._root) if _same_disk(self._root, context) else _copy(
                self._root, tar
            )
        (context / "sources.list").write_text(self.sources())
        (context / "archive.asc").write_bytes(self.key.public)
        lines = [
            "FROM scratch",
            "ADD root.tar /",
            "COPY --link sources.list /etc/apt/sources.list",
            "COPY --link archive.asc /etc/apt/trusted.gpg.d/archive.asc",
            *extra,
        ]
        (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        reference = parse_reference(f"{self.registry}/{name}")
        built = build(self.store, BuildRequest(context), tags=(reference,))
        publish(self.store, built.image, reference, _options())
        return str(reference)

    def build(self, context: Path, **more: object) -> Built:
        """Build a directory in the lab's store."""
        return build(self.store, BuildRequest(context, **more))  # type: ignore[arg-type]


def _options() -> object:
    from oakum.transport import RegistryOptions

    return RegistryOptions()


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
