"""``scan``: what is installed in an image, and what of it has a fix."""

from __future__ import annotations

import msgspec

from oakum.builder import BuildRequest, Built, Image, Images, build, lock_path, read_lock
from oakum.layer import known_index
from oakum.oci import Platform, host_platform
from oakum.packages import Package
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs.current import current_image
from oakum.verbs.interface import InstalledPackage, Scan
from oakum.verbs.pending import Origins, find_fixes, origins_of, remember_lines
from oakum.verbs.selection import Selection
from oakum.verbs.sources import Content, RepositoryOptions, Shelves


def scan(
    store: Store,
    name: str,
    *,
    platform: Platform | None = None,
    selection: Selection = Selection(),
    repositories: RepositoryOptions = RepositoryOptions(),
    registry: RegistryOptions = RegistryOptions(),
    refresh: bool = False,
    progress: Progress = silent,
) -> Scan:
    """Scan the image that `name` stands for; layers that were read before are not fetched again.

    Raises `RepositoryError` when an index cannot be read: that is never "no fixes".
    """
    images = Images(store, registry, progress)
    image = images.find(name, platform or host_platform(), refresh=refresh)
    return _scan(images, image, name, selection, repositories)


def scan_sources(
    store: Store,
    request: BuildRequest,
    *,
    use_lock: bool = True,
    selection: Selection = Selection(),
    repositories: RepositoryOptions = RepositoryOptions(),
    registry: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Scan:
    """Scan the image that a Dockerfile builds: from the build cache, else it is built first."""
    built = _built(store, request, use_lock, registry, progress)
    images = Images(store, registry, progress)
    name = str(request.context or request.dockerfile)
    return _scan(images, built.image, name, selection, repositories)


def _built(
    store: Store,
    request: BuildRequest,
    use_lock: bool,
    registry: RegistryOptions,
    progress: Progress,
) -> Built:
    """The image of the sources as they stand, carried out only where the cache lacks a step."""
    lock = read_lock(lock_path(request)) if use_lock else None
    built = current_image(store, request, lock, registry)
    if built is None:
        wanted = msgspec.structs.replace(request, lock=lock)
        built = build(store, wanted, options=registry, progress=progress)
    remember_lines(store, built.image.manifest.digest, built.state.lines)
    return built


def _scan(
    images: Images,
    image: Image,
    name: str,
    selection: Selection,
    repositories: RepositoryOptions,
) -> Scan:
    store = images.store
    images.fetch([layer for layer in image.layers if known_index(store, layer.diff_id) is None])
    origins = origins_of(store, image)
    shelves = Shelves(store, repositories, images.progress)
    try:
        content = shelves.content(image.layers, image.config.platform)
        repository = shelves.repository(content)
        found, unfixed = find_fixes(repository, content, origins, selection)
        sources = tuple(f"{s.uri} {s.suite} {' '.join(s.components)}" for s in repository.sources)
        notes = tuple(repository.notes)
    finally:
        shelves.close()
    return Scan(
        fixes=found,
        image=name,
        digest=image.manifest.digest,
        platform=str(content.platform),
        unfixed=unfixed,
        packages=tuple(_row(package, content, origins) for package in content.packages),
        sources=sources,
        notes=notes,
    )


def _row(package: Package, content: Content, origins: Origins) -> InstalledPackage:
    created_by, line = origins.of(package.layer)
    return InstalledPackage(
        package.name,
        package.version,
        package.architecture,
        package.source,
        content.layers[package.layer].diff_id if package.layer >= 0 else None,
        created_by,
        line,
        package.state,
    )
