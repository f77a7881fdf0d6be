"""Opening places: which implementation a location means."""

from __future__ import annotations

from oakum.errors import UsageError
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport.interface import ImageSource, ImageTarget
from oakum.transport.location import Location
from oakum.transport.options import RegistryOptions


def open_source(
    location: Location,
    store: Store,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> ImageSource:
    """Something to read from; a bare name is the store's, if it has it, else its registry's."""
    from oakum.transport.store_place import StoreSource

    kind, reference, path = location.transport, location.reference, location.path
    if kind == "" and reference is not None:
        named = store.names.get(reference) if reference.digest is None else None
        if named is not None:
            return StoreSource(store, location, options, progress)
        kind = "docker"
    if kind == "store":
        return StoreSource(store, location, options, progress)
    if kind == "docker" and reference is not None:
        from oakum.transport.registry import RegistrySource

        return RegistrySource(reference, options, progress)
    if kind == "oci" and path is not None:
        from oakum.transport.oci_layout import LayoutSource

        return LayoutSource(path, location.tag)
    if kind == "oci-archive" and path is not None:
        from oakum.transport.archive import ArchiveSource

        return ArchiveSource(path, location.tag, None, store.place)
    if kind == "docker-archive" and path is not None:
        from oakum.transport.archive import ArchiveSource

        return ArchiveSource(path, None, reference, store.place)
    if kind == "docker-daemon" and reference is not None:
        from oakum.transport.docker_daemon import daemon_source

        return daemon_source(reference, store.place, progress)
    raise UsageError(f"{location} cannot be read from", "name an image")


def open_target(
    location: Location,
    store: Store,
    options: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> ImageTarget:
    """Something to write the image to; a bare name is its registry's."""
    kind, reference, path = location.transport, location.reference, location.path
    if kind in ("", "docker") and reference is not None:
        from oakum.transport.registry import RegistryTarget

        return RegistryTarget(reference, options, progress)
    if kind == "store" and reference is not None:
        from oakum.transport.store_place import StoreTarget

        return StoreTarget(store, reference)
    if kind == "oci" and path is not None:
        from oakum.transport.oci_layout import LayoutTarget

        return LayoutTarget(path, location.tag)
    if kind in ("oci-archive", "docker-archive") and path is not None:
        from oakum.transport.archive import ArchiveTarget

        return ArchiveTarget(
            path, location.tag, reference, store.place, docker=kind == "docker-archive"
        )
    if kind == "docker-daemon" and reference is not None:
        from oakum.transport.docker_daemon import DaemonTarget

        return DaemonTarget(reference, store.place)
    raise UsageError(f"{location} cannot be written to", "give it a name")
