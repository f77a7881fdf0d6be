"""``verify``: prove that an image is right, alone or against the image that it replaces."""

from __future__ import annotations

import re

import msgspec

from oakum.builder import Image, Images
from oakum.oci import Digest, Platform, host_platform
from oakum.packages import has_dpkg
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs.interface import Fix, Proof
from oakum.verbs.pending import Origins, find_fixes
from oakum.verbs.proof import Expectation, prove
from oakum.verbs.selection import Selection
from oakum.verbs.smoke import run_in_image
from oakum.verbs.sources import Content, RepositoryOptions, Shelves

_EXPECTED = "expected"
_VALUE = re.compile(r"=\S+")
_FIXES = re.compile(
    r"RUN (?:\|\d+ .*)?/bin/sh -c apt-get update && DEBIAN_FRONTEND=noninteractive\s+"
    r"apt-get install -y --no-install-recommends --only-upgrade\s+(?:[a-z0-9][^\s;&|]*=\S+\s+)+"
    r"&& rm -rf /var/lib/apt/lists/\* # buildkit"
)
"""History line of the block of fixes that a bump writes."""


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
        old_image, old = None, None
        if against:
            old_image, old = _read(images, shelves, against, image.config.platform)
        wanted = _wanted(store, shelves, image, content, selection) if pending else ()
    finally:
        shelves.close()
    rerun = rerun_layers(old_image, image) if old_image else None
    proof = prove(store, image, content, Expectation(wanted, old, rerun), progress)
    if not has_dpkg(content.files):
        note = "the image has no dpkg database: packages and their files were not checked"
        proof = msgspec.structs.replace(proof, notes=(*proof.notes, note))
    if command is not None:
        proof = run_in_image(store, image.layers, image.config, command, proof, progress)
    return proof


def rerun_layers(old: Image, new: Image) -> frozenset[str]:
    """Diff IDs of the layers of `new` that a step of `old` made anew, or oakum's block of fixes.

    A step is known again by its history line, versions (whatever stands behind a ``=``) aside.  A
    layer that was committed from a container has none.
    """
    known = {_step(line) for line in old.config.created_by()}
    before = {layer.diff_id for layer in old.layers}
    lines = new.config.created_by()
    return frozenset(
        str(layer.diff_id)
        for number, layer in enumerate(new.layers)
        if layer.diff_id not in before
        and number < len(lines)
        and (_step(lines[number]) in known or _FIXES.fullmatch(lines[number]))
    )


def _step(line: str) -> str:
    return " ".join(_VALUE.sub("=", line).split())


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
