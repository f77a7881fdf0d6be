"""Layers that the store never fetched, out of the registries that are known to have them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from oakum.errors import AccessDenied, NotFound, OakumError, TransportError
from oakum.oci import Descriptor
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport.options import RegistryOptions

if TYPE_CHECKING:
    from oakum.transport.oci_layout import LayoutSource
    from oakum.transport.registry import RegistrySource

_LAYOUT = "oci:"


def layout_origin(path: Path) -> str:
    """The name of an OCI layout among origins; no repository of a registry is called so."""
    return f"{_LAYOUT}{path.absolute()}"


def is_layout_origin(name: str) -> bool:
    """Whether an origin is an OCI layout rather than a repository of a registry."""
    return name.startswith(f"{_LAYOUT}/")


class Origins:
    """Every registry and layout that a store knows of; connections are kept until `close`."""

    def __init__(self, store: Store, options: RegistryOptions, progress: Progress = silent) -> None:
        self._store = store
        self._options = options
        self._progress = progress
        self._lock = threading.Lock()
        self._opened: dict[str, RegistrySource | LayoutSource] = {}
        self._silent: set[str] = set()

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `offset` on; where one registry fails, the next one goes on.

        Raises the error of the last one, or `NotFound` when none is known.
        """
        names = self._store.origins(descriptor.digest)
        position = offset
        for number, name in enumerate(names):
            try:
                for chunk in self._source(name).blob(descriptor, position):
                    position += len(chunk)
                    yield chunk
                return
            except (NotFound, AccessDenied, TransportError):
                if number == len(names) - 1:
                    raise
        raise NotFound(
            f"layer {descriptor.digest} is not in the store, and no registry is known to have it",
            "pull the image again",
        )

    def holds(self, descriptor: Descriptor) -> bool:
        """Whether one of them has the blob now, as far as it says without sending it.

        One that does not answer is not asked again.
        """
        for name in self._store.origins(descriptor.digest):
            try:
                if name not in self._silent and self._source(name).holds(descriptor):
                    return True
            except OakumError:
                self._silent.add(name)
        return False

    def _source(self, name: str) -> RegistrySource | LayoutSource:
        from oakum.transport.oci_layout import LayoutSource
        from oakum.transport.registry import RegistrySource

        with self._lock:
            if name not in self._opened:
                self._opened[name] = (
                    LayoutSource(Path(name.removeprefix(_LAYOUT)), None)
                    if is_layout_origin(name)
                    else RegistrySource.for_repository(name, self._options, self._progress)
                )
            return self._opened[name]

    def origin(self) -> None:
        """No single one."""
        return

    def close(self) -> None:
        """Let go of connections."""
        for source in self._opened.values():
            source.close()
