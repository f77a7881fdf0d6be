"""``verify``: prove that an image is right, alone or against the image that it replaces."""

from __future__ import annotations

import msgspec

from oakum.build import Image, Images
from oakum.oci import Digest, Platform, host_platform
from oakum.packages import has_dpkg
from oakum.patch.interface import Fix, Proof
from oakum.patch.pending import Origins, find_fixes
from oakum.patch.proof import Expectation, prove
from oakum.patch.selection import Selection
from oakum.patch.smoke import run_in_image
from oakum.patch.sources import Content, RepositoryOptions, Shelves
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions

_EXPECTED = "expected"


def remember_expected(store: Store, manifest: Digest, fixes: tuple[Fix, ...]) -> None:
    """Keep which fixes an image was made to have."""
    store.records.put(_EXPECTED, manifest, msgspec.json.encode(fixes))


def expected_fixes(store: Store, manifest: Digest) -> tuple[Fix, ...] | None:
    """The fixes that an image was made to have; None when oakum did not make it here."""
    raw = store.records.get(_EXPECTED, manifest)
    return msgspec.json.decode(raw, type=tuple[Fix, ...]) if raw else None


def verify(
    store: Store,
    name: str,
    *,
    against: str | None = None,
    command: str | None = None,
    platform: Platform | None = None,
    pending: bool = True,
    selection: Selection | None = None,
    repositories: RepositoryOptions = RepositoryOptions(),
    registry: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Proof:
    """Check an image's fixes, package database and files; against an old one, every change.

    With `pending`, a fix that was to be applied and is not in is a problem: one of those that a
    rebuild recorded for the image, or, with a `selection` or without a record, any that the
    image's repositories offer now.
    """
    images = Images(store, registry, progress)
    shelves = Shelves(store, repositories, progress)
    try:
        image, content = _read(images, shelves, name, platform or host_platform())
        old = _read(images, shelves, against, image.config.platform)[1] if against else None
        wanted = _wanted(store, shelves, image, content, selection) if pending else ()
    finally:
        shelves.close()
    proof = prove(store, image, content, Expectation(wanted, old), progress)
    if not has_dpkg(content.files):
        note = "the image has no dpkg database: packages and their files were not checked"
        proof = msgspec.structs.replace(proof, notes=(*proof.notes, note))
    if command is not None:
        proof = run_in_image(store, image.layers, image.config, command, proof, progress)
    return proof


def _read(images: Images, shelves: Shelves, name: str, platform: Platform) -> tuple[Image, Content]:
    image = images.find(name, platform)
    images.fetch(image.layers)
    return image, shelves.content(image.layers, image.config.platform)


def _wanted(
    store: Store, shelves: Shelves, image: Image, content: Content, selection: Selection | None
) -> tuple[Fix, ...]:
    recorded = expected_fixes(store, image.manifest.digest)
    if recorded is not None and selection is None:
        return recorded
    if not has_dpkg(content.files):
        return ()
    origins = Origins(image.config.created_by(), ())
    repository = shelves.repository(content)
    return find_fixes(repository, content, origins, selection or Selection())[0]
