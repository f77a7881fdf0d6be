"""Base images: what a name stands for, and their layers when a step needs them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from oakum.builder.request import BuildRequest
from oakum.errors import (
    AccessDenied,
    InvalidImage,
    NotFound,
    OakumError,
    TransportError,
)
from oakum.layer import IndexingTee, Layer
from oakum.layer.read import Unpacker
from oakum.oci import (
    Config,
    Descriptor,
    Digest,
    Index,
    Manifest,
    Platform,
    Reference,
    choose,
    parse_reference,
)
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import (
    RegistryOptions,
    ensure_layers,
    open_source,
    parse_location,
    pull,
)


class Image(msgspec.Struct, frozen=True):
    """An image for one platform, its documents in the store, its layers perhaps not."""

    name: str
    """The reference that was asked for."""
    root: Descriptor
    """What the name stands for: a manifest, or an index."""
    manifest: Manifest
    """The manifest for the platform."""
    config: Config
    """Its config."""
    origin: str | None = None
    """Registry reference of the name, where it came from one."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Its layers, the lowest first."""
        if len(self.manifest.layers) != len(self.config.diff_ids):
            raise InvalidImage(
                f"{self.name} has {len(self.manifest.layers)} layers and "
                f"{len(self.config.diff_ids)} diff IDs",
                "the image is damaged; fetch it from a source you trust",
            )
        pairs = zip(self.manifest.layers, self.config.diff_ids, strict=True)
        return tuple(Layer(descriptor, diff_id, 0) for descriptor, diff_id in pairs)


def images_for(
    store: Store, request: BuildRequest, options: RegistryOptions | None, progress: Progress
) -> Images:
    """What finds the images of a build, which asks no registry where the build is offline."""
    options = options or RegistryOptions()
    if request.offline:
        options = msgspec.structs.replace(options, offline=True)
    return Images(store, options, progress)


class Images:
    """Finds images by name: in the store first, then where the name says."""

    def __init__(self, store: Store, options: RegistryOptions, progress: Progress = silent) -> None:
        self.store = store
        self.options = options
        self.progress = progress
        self._lock = threading.Lock()
        self.lent: set[Digest] = set()
        """Layers of results of the build cache that were not in the store."""
        self.gone: set[Digest] = set()
        """Those of them that could not be fetched."""

    def find(
        self,
        name: str,
        platform: Platform,
        *,
        refresh: bool = False,
        digest: Digest | None = None,
    ) -> Image:
        """The image that `name` (a reference or a location) stands for on `platform`.

        The store answers for a bare name that it has, as docker does, unless `refresh` asks the
        registry for what the name stands for now.  `digest` is used instead of the name's own.
        """
        location = parse_location(name)
        reference = location.reference
        if digest and reference is not None:
            reference = reference.with_digest(digest)
            location = parse_location(str(reference))
        if reference is not None and location.transport in ("", "store") and not refresh:
            known = self._known(name, reference, platform)
            if known is not None:
                return known
        if location.transport == "" and reference is not None:
            # What the store knows of the name, if anything, is not for this platform.
            location = parse_location(f"docker://{reference}")
        source = open_source(location, self.store, self.options, self.progress)
        try:
            keep = reference if reference is not None and reference.tag else None
            pulled = pull(
                self.store,
                source,
                platform=platform,
                name=keep,
                layers="none" if source.origin() is not None else "all",
                progress=self.progress,
            )
            origin = source.origin()
        finally:
            source.close()
        root = pulled.descriptor
        return self._image(name, root, platform, str(origin) if origin else None)

    def _known(self, name: str, reference: Reference, platform: Platform) -> Image | None:
        """The image as the store has it, when its documents are all there."""
        descriptor = self._descriptor(reference)
        if descriptor is None:
            return None
        try:
            return self._image(name, descriptor, platform, str(reference))
        except NotFound:
            return None

    def _descriptor(self, reference: Reference) -> Descriptor | None:
        if reference.digest is None:
            named = self.store.names.get(reference)
            return named.descriptor if named else None
        try:
            return self.store.described(reference.digest)
        except (NotFound, InvalidImage):
            return None

    def _image(self, name: str, root: Descriptor, platform: Platform, origin: str | None) -> Image:
        document = self.store.manifest(root)
        manifest = (
            self.manifest_for(name, document, platform) if isinstance(document, Index) else document
        )
        return Image(name, root, manifest, self.store.config(manifest), origin)

    def manifest_for(self, name: str, index: Index, platform: Platform) -> Manifest:
        """The manifest of an index that `platform` runs; `NotFound` names those there are."""
        images = [m for m in index.manifests if "vnd.docker.reference.type" not in _notes(m)]
        number = choose(platform, [m.platform for m in images])
        if number is None:
            offered = ", ".join(sorted(str(m.platform) for m in images if m.platform))
            raise NotFound(
                f"{name} has no image for {platform}", f"it has: {offered or 'no platforms'}"
            )
        chosen = self.store.manifest(images[number])
        if not isinstance(chosen, Manifest):
            raise InvalidImage(f"{name} is an index of indexes", "name one of its manifests")
        return chosen

    def fetch(
        self,
        layers: Sequence[Layer],
        unpacker: Callable[[Digest], Unpacker] | None = None,
    ) -> None:
        """Bring the layers that are not in the store, indexing them while they come.

        With an `unpacker` for a blob's digest they are unpacked in the same pass.
        """
        missing = {
            layer.descriptor.digest: layer
            for layer in layers
            if not self.store.blobs.has(layer.descriptor.digest, layer.descriptor.size)
        }
        if not missing:
            return
        with self._lock, ThreadPoolExecutor(self.options.jobs) as pool:
            still = [
                layer
                for digest, layer in missing.items()
                if not self.store.blobs.has(digest, layer.descriptor.size)
            ]
            promised = {layer.descriptor.digest: layer.diff_id for layer in still}

            def tee(descriptor: Descriptor) -> IndexingTee:
                digest = descriptor.digest
                unpack = functools.partial(unpacker, digest) if unpacker else None
                return IndexingTee(self.store, descriptor, promised[digest], pool, unpack)

            try:
                ensure_layers(
                    self.store,
                    [layer.descriptor for layer in still],
                    None,
                    self.options,
                    progress=self.progress,
                    consumer=tee,
                )
            except (InvalidImage, NotFound, AccessDenied, TransportError):
                self._forget(digest for digest in promised if digest in self.lent)
                raise

    def _forget(self, lent: Iterable[Digest]) -> None:
        """Where layers of the cache were to be had; they are made again when they are not."""
        for digest in lent:
            if not self.store.blobs.has(digest):
                self.store.records.remove("origin", digest)
                self.gone.add(digest)

    def current_digest(self, reference: Reference) -> Digest | None:
        """What the registry has under a tag now; None when it cannot be told."""
        source = open_source(
            parse_location(f"docker://{reference}"), self.store, self.options, self.progress
        )
        try:
            return source.resolve().digest
        except OakumError:
            return None
        finally:
            source.close()


def _notes(descriptor: Descriptor) -> dict[str, str]:
    return descriptor.annotations or {}


def reference_of(name: str) -> Reference:
    """The reference in a name that may carry ``docker-image://``."""
    return parse_reference(name.removeprefix("docker-image://"))
