"""Layers that come for a step are unpacked as they come, into what unpacking them later gives."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, build
from oakum.errors import OakumError
from oakum.oci import Manifest, parse_reference
from oakum.store import Store
from oakum.transport import RegistryOptions, open_source, parse_location, pull
from oakum.verbs import publish
from support.busy import Context

LAYERS = """FROM scratch
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /a/b /c && echo one >/a/b/one && echo two >/a/two && ln /a/two /a/link && chmod 4750 /c
RUN rm /a/b/one && rm -r /c && mkdir /c && echo new >/c/new
RUN true
RUN true
COPY --link --chown=7:8 made /x/y/made
"""


def tree(root: Path) -> list[tuple[object, ...]]:
    """Everything below the unpacked layers, each by its name."""
    found: list[tuple[object, ...]] = []
    for place, _, files in os.walk(root):
        for path in [Path(place), *(Path(place) / name for name in files)]:
            info = path.lstat()
            regular = path.is_file() and not path.is_symlink()
            timed = len(path.relative_to(root).parts) > 2 and not stat.S_ISCHR(info.st_mode)
            text = path.read_bytes() if regular else b""
            names = os.listxattr(path, follow_symlinks=False)
            kept = [n for n in names if not n.startswith("trusted.overlay.u")]
            attributes = {n: os.getxattr(path, n, follow_symlinks=False) for n in kept}
            found.append(
                (
                    str(path.relative_to(root)),
                    (info.st_mode, info.st_uid, info.st_gid, info.st_rdev),
                    info.st_mtime_ns if timed else 0,
                    text,
                    os.readlink(path) if path.is_symlink() else "",
                    attributes,
                )
            )
    return sorted(found, key=str)


@pytest.fixture
def name(registry: str, tmp_path: Path) -> str:
    """An image of many layers in the registry."""
    context = Context(tmp_path / "many").write(LAYERS, made="made\n")
    found = f"{registry}/fetched/{tmp_path.name.replace('_', '-').lower()}"
    with Store(tmp_path / "maker") as store:
        built = build(store, BuildRequest(context))
        publish(store, built.image, parse_reference(found), RegistryOptions())
    return found


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "other") as store:
        yield store


def test_they_are_what_unpacking_from_the_store_gives(
    store: Store, other: Store, name: str, tmp_path: Path
) -> None:
    project = Context(tmp_path / "project").write(f"FROM {name}\nRUN ls -R / >/seen\n")
    build(store, BuildRequest(project))
    source = open_source(parse_location(f"docker://{name}"), other, RegistryOptions())
    try:
        pull(other, source, name=parse_reference(name))
    finally:
        source.close()
    build(other, BuildRequest(project))
    assert tree(store.root / "snapshots") == tree(other.root / "snapshots")
    assert len(list((store.root / "snapshots").iterdir())) >= 5


def test_a_damaged_layer_leaves_nothing(
    store: Store, other: Store, registry: str, name: str, tmp_path: Path
) -> None:
    context = Context(tmp_path / "project").write(f"FROM {name}\nRUN ls / >/seen\n")
    source = open_source(parse_location(f"docker://{name}"), other, RegistryOptions())
    try:
        pulled = pull(other, source, name=parse_reference(name))
    finally:
        source.close()
    manifest = other.manifest(pulled.descriptor)
    assert isinstance(manifest, Manifest)
    largest = max(manifest.layers, key=lambda layer: layer.size)
    blob = _registry_blob(registry, tmp_path.parent, largest.digest)
    raw = blob.read_bytes()
    blob.write_bytes(raw[: len(raw) // 2] + bytes(64) + raw[len(raw) // 2 + 64 :])
    try:
        with pytest.raises(OakumError):
            build(store, BuildRequest(context))
        assert list((store.root / "snapshots").iterdir()) == []
        left = [path.name for path in (store.root / "tmp").rglob("fs")]
        assert left == []
    finally:
        blob.write_bytes(raw)
    assert build(store, BuildRequest(context)).ran == 1


def _registry_blob(registry: str, place: Path, digest: str) -> Path:
    """A blob as the registry has it on disk."""
    (config,) = [
        path
        for path in place.parent.rglob("config.yml")
        if f"addr: '{registry}'" in path.read_text()
    ]
    hexadecimal = digest.partition(":")[2]
    blobs = config.parent / "data/docker/registry/v2/blobs/sha256"
    return blobs / hexadecimal[:2] / hexadecimal / "data"
