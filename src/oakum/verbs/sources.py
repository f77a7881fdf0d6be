"""The package repositories of an image, opened once for each distinct set of layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from oakum.errors import NoRepository
from oakum.layer import Layer, index_blob
from oakum.oci import Platform
from oakum.packages import Package, has_dpkg, read_dpkg
from oakum.progress import Progress, silent
from oakum.repository import AptRepository, open_apt
from oakum.store import Store
from oakum.tree import ImageTree


class RepositoryOptions(msgspec.Struct, frozen=True):
    """How package repositories are read."""

    max_age: float = 300.0
    """Seconds for which an index that was fetched is taken as current."""
    with_security: bool = False
    """Whether to look into the distribution's security suite even if the image does not."""
    sources: tuple[str, ...] = ()
    """Package sources beside the image's own, as lines of sources.list(5)."""
    keyrings: tuple[Path, ...] = ()
    """Further keyrings that may sign a repository."""
    ca_certificates: Path | None = None
    """Certificate authorities for https sources."""
    offline: bool = False
    """Use only what was fetched before."""


class Content(msgspec.Struct, frozen=True):
    """An image's files, packages and repositories."""

    files: ImageTree
    """Its files."""
    layers: tuple[Layer, ...]
    """Its layers."""
    packages: tuple[Package, ...]
    """Its packages."""
    platform: Platform
    """Its platform."""


class Shelves:
    """Reads images and opens their repositories, each once."""

    def __init__(
        self, store: Store, options: RepositoryOptions, progress: Progress = silent
    ) -> None:
        self.store = store
        self.options = options
        self.progress = progress
        self._began = time.time()
        """What was asked since then is current, however short `max_age` is."""
        self._contents: dict[tuple[str, ...], Content] = {}
        self._opened: dict[tuple[object, ...], AptRepository] = {}
        self._own: Shelves | None = None

    def content(self, layers: Sequence[Layer], platform: Platform) -> Content:
        """The files and packages of a stack whose layers are in the store."""
        key = tuple(layer.diff_id for layer in layers)
        if key not in self._contents:
            indexes = [index_blob(self.store, x.descriptor, x.diff_id) for x in layers]
            files = ImageTree(self.store, indexes, [layer.descriptor for layer in layers])
            packages = read_dpkg(self.store, indexes, files)
            self._contents[key] = Content(files, tuple(layers), packages, platform)
        return self._contents[key]

    def repository(self, content: Content, architecture: str | None = None) -> AptRepository:
        """The apt repositories that the image is configured for.

        Raises `NoRepository` for an image without dpkg or without package sources,
        `RepositoryError` for a source that cannot be read or trusted.
        """
        if not has_dpkg(content.files):
            raise NoRepository(
                "the image has no dpkg database: " + what_is(content.files),
                "oakum finds fixes for Debian's and Ubuntu's packages so far",
            )
        wanted = architecture or content.platform.debian_architecture()
        key = (tuple(layer.diff_id for layer in content.layers), wanted)
        if key not in self._opened:
            self._opened[key] = open_apt(
                content.files,
                wanted,
                self.store.cache("apt"),
                max_age=max(self.options.max_age, time.time() - self._began),
                with_security=self.options.with_security,
                more_sources=self.options.sources,
                keyrings=self.options.keyrings,
                ca_certificates=self.options.ca_certificates,
                offline=self.options.offline,
                progress=self.progress,
            )
        if not self._opened[key].sources:
            raise NoRepository(
                f"the image names no package sources ({what_is(content.files)}), so nothing is "
                "known about fixes",
                "name them: --apt-source 'deb http://MIRROR/debian SUITE main' --keyring FILE",
            )
        return self._opened[key]

    def of_images(self) -> Shelves:
        """The same, without suites that only ``with_security`` looks into.

        What is in none of an image's own sources, no step of its Dockerfile can install.
        """
        if not self.options.with_security:
            return self
        if self._own is None:
            options = msgspec.structs.replace(self.options, with_security=False)
            self._own = Shelves(self.store, options, self.progress)
        return self._own

    def close(self) -> None:
        """Let go of connections."""
        if self._own is not None:
            self._own.close()
        for repository in self._opened.values():
            repository.close()


def what_is(files: ImageTree) -> str:
    """What distribution an image is of, in a few words."""
    raw = files.read("etc/os-release") or files.read("usr/lib/os-release") or b""
    for line in raw.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            shown = value.strip().strip("\"'")
            return f"it is {''.join(c for c in shown if c.isprintable())[:80]}"
    return "it names no distribution"
