"""Several platforms: an index of images; steps of a platform that cannot run here are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, build, build_index
from oakum.builder.foreign import runs_here
from oakum.errors import Unsupported, UsageError
from oakum.oci import Index, Platform, host_platform, parse_platform, parse_reference
from oakum.store import Store
from support.busy import Context
from support.command import Oakum

FOREIGN = "linux/riscv64" if host_platform().architecture != "riscv64" else "linux/arm64"
COPIES = ("FROM scratch", "ARG TARGETARCH", "COPY app /app", "LABEL arch=$TARGETARCH")


def test_every_platform_has_its_image_in_the_index(store: Store, context: Context) -> None:
    place = context.write_all(*COPIES, app="app")
    platforms = [parse_platform(p) for p in ("linux/amd64", "linux/arm64", "linux/arm/v7")]
    name = parse_reference("several:1")
    built = build_index(store, BuildRequest(place), platforms, tags=(name,))
    named = store.names.get(name)
    assert named is not None
    index = store.manifest(named.descriptor)
    assert isinstance(index, Index)
    assert [str(m.platform) for m in index.manifests] == [str(p) for p in platforms]
    labels = [one.image.config.runtime["Labels"]["arch"] for one in built.images]
    assert labels == ["amd64", "arm64", "arm"]
    layers = {one.image.manifest.layers for one in built.images}
    assert len(layers) == 1, "what does not depend on the platform is the same layer"
    again = build_index(store, BuildRequest(place), platforms, tags=(name,))
    assert again.root == built.root


def test_a_platform_twice_is_a_slip(store: Store, context: Context) -> None:
    place = context.write_all(*COPIES, app="app")
    with pytest.raises(UsageError, match="twice"):
        build_index(store, BuildRequest(place), [Platform("arm64"), parse_platform("linux/arm64")])


def test_a_foreign_step_is_refused_before_anything_starts(store: Store, context: Context) -> None:
    lines = ("FROM native AS first", "RUN touch /ran", "FROM scratch", "COPY app /app", "RUN true")
    context.write(app="app")
    build(store, BuildRequest(context.place), tags=(parse_reference("native"),))
    place = context.write_all(*lines, app="app")
    records = sorted(path for path in (store.root / "records").rglob("*") if path.is_file())
    with pytest.raises(Unsupported, match=r"Dockerfile:5: this machine runs no programs of"):
        build(store, BuildRequest(place, platform=parse_platform(FOREIGN), target=None))
    after = sorted(path for path in (store.root / "records").rglob("*") if path.is_file())
    assert after == records


def test_a_foreign_image_may_take_files_of_a_native_stage(store: Store, context: Context) -> None:
    place = context.write(
        "RUN echo made >/made",
        "FROM scratch",
        "COPY --from=0 /made /made",
    )
    text = (place / "Dockerfile").read_text()
    (place / "Dockerfile").write_text(
        text.replace("FROM scratch", "FROM --platform=$BUILDPLATFORM scratch", 1)
    )
    built = build(store, BuildRequest(place, platform=parse_platform(FOREIGN)))
    assert str(built.image.config.platform) == FOREIGN


def test_what_the_kernel_runs(tmp_path: Path) -> None:
    assert runs_here(host_platform())
    foreign = parse_platform(FOREIGN)
    handler = tmp_path / f"qemu-{foreign.architecture}"
    assert not runs_here(foreign, tmp_path)
    handler.write_text("enabled\ninterpreter /usr/bin/qemu\nflags: F\noffset 0\n")
    assert runs_here(foreign, tmp_path)
    handler.write_text("enabled\ninterpreter /usr/bin/qemu\nflags: \noffset 0\n")
    assert not runs_here(foreign, tmp_path)
    handler.write_text("disabled\ninterpreter /usr/bin/qemu\nflags: F\noffset 0\n")
    assert not runs_here(foreign, tmp_path)
    assert not runs_here(Platform("amd64", "windows"), tmp_path)


def test_the_command_pushes_an_index(
    oakum: Oakum, context: Context, registry: str, tmp_path: Path
) -> None:
    place = context.write_all(*COPIES, app="app")
    name = f"{registry}/several:2"
    words = ["build", str(place), "--platform", "linux/amd64,linux/arm64", "-t", name, "--push"]
    answer = oakum.done(*words, "--format", "json").document
    assert [one["platform"] for one in answer["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert answer["digest"] == answer["published"][0]["digest"]
    import urllib.request

    url = f"http://{registry}/v2/several/manifests/2"
    accept = "application/vnd.oci.image.index.v1+json"
    asked = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(asked) as response:
        found = json.load(response)
    assert [m["platform"]["architecture"] for m in found["manifests"]] == ["amd64", "arm64"]
    layout = tmp_path / "layout"
    oakum.done(*words[:-1], "--output", f"type=oci,dest={layout},tar=false")
    assert (layout / "index.json").exists()
    refused = oakum(*words[:-1], "--output", f"type=local,dest={tmp_path}/x")
    assert refused.code == 2
