"""Caches on another machine: nothing runs that is known there, and only what is needed comes."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from oakum.builder import BuildRequest, Built, build
from oakum.builder.cache_format import (
    ARTIFACT,
    CacheDocument,
    decode_document,
    encode_document,
    of_annotation,
    parse_cache_place,
    to_annotation,
)
from oakum.errors import InvalidImage, OakumError, UsageError
from oakum.oci import parse_reference
from oakum.progress import Event
from oakum.store import Store
from oakum.verbs import publish
from support.busy import Context
from support.lab import Deb, Lab

BASE = 'FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\nRUN ["/bin/busybox", "ln", "-s", '
BASE += '"busybox", "/bin/sh"]\n'
TEXT = (
    "FROM {base} AS tools\nRUN echo built >/tool && head -c 300000 /dev/urandom >/big\n"
    "FROM {base}\nRUN head -c 200000 /dev/urandom >/random\n"
    "COPY app /srv/app\nCOPY --from=tools /tool /srv/tool\nRUN cat /srv/app /srv/tool >/both\n"
)


@pytest.fixture
def base(registry: str, tmp_path: Path) -> str:
    """A base image in the registry."""
    context = Context(tmp_path / "base")
    (context.place / "Dockerfile").write_text(BASE)
    name = f"{registry}/cache/{tmp_path.name.replace('_', '-')}"
    with Store(tmp_path / "base store") as store:
        built = build(store, BuildRequest(context.place))
        from oakum.transport import RegistryOptions

        publish(store, built.image, parse_reference(name), RegistryOptions())
    return name


@pytest.fixture
def project(tmp_path: Path, base: str) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    (place / "Dockerfile").write_text(TEXT.format(base=base))
    (place / "app").write_text("app\n")
    return place


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Store]]:
    """Two machines that share nothing."""
    with Store(tmp_path / "one") as one, Store(tmp_path / "other") as other:
        yield [one, other]


def made(store: Store, place: Path, **more: object) -> Built:
    for name, option in (("cache_from", "--cache-from"), ("cache_to", "--cache-to")):
        if name in more:
            texts = more[name]
            more[name] = tuple(parse_cache_place(t, option) for t in texts)  # type: ignore[attr-defined]
    return build(store, BuildRequest(place, **more))  # type: ignore[arg-type]


def statuses(built: Built) -> list[str]:
    return [step.status for step in built.steps if step.status != "config"]


def here(store: Store, built: Built) -> list[bool]:
    return [store.blobs.has(x.descriptor.digest) for x in built.image.layers]


@pytest.mark.parametrize("kind", ["registry", "local"])
def test_nothing_runs_that_another_machine_knows(
    kind: str, machines: list[Store], project: Path, base: str, tmp_path: Path
) -> None:
    place = (
        f"type=registry,ref={base}-cache" if kind == "registry" else f"type=local,X={tmp_path}/c"
    )
    first = made(machines[0], project, cache_to=[place.replace("X=", "dest=") + ",mode=max"])
    assert statuses(first) == ["ran"] * 5
    second = made(machines[1], project, cache_from=[place.replace("X=", "src=")])
    assert statuses(second) == ["cached"] * 5
    assert second.image.manifest.digest == first.image.manifest.digest
    assert here(machines[1], second) == [False] * len(second.image.layers)


def test_only_what_a_change_needs_comes(machines: list[Store], project: Path, base: str) -> None:
    place = f"type=registry,ref={base}-cache,mode=max"
    made(machines[0], project, cache_to=[place])
    (project / "app").write_text("another\n")
    second = made(machines[1], project, cache_from=[place])
    assert statuses(second) == ["cached", "cached", "ran", "cached", "ran"]
    tools = second.stages["tools"].stack.layers[-1]
    assert not machines[1].blobs.has(tools.descriptor.digest)
    assert all(here(machines[1], second))


def test_the_smaller_mode_keeps_the_images_own_steps(
    machines: list[Store], project: Path, base: str
) -> None:
    place = f"type=registry,ref={base}-cache"
    made(machines[0], project, cache_to=[place])
    second = made(machines[1], project, cache_from=[place])
    assert statuses(second) == ["ran", "cached", "cached", "cached", "cached"]


def test_an_image_carries_its_own_cache(machines: list[Store], project: Path, base: str) -> None:
    from oakum.transport import RegistryOptions

    first = made(machines[0], project, cache_to=["type=inline"])
    again = made(machines[0], project, cache_to=["type=inline"])
    assert again.image.manifest.digest == first.image.manifest.digest
    name = parse_reference(f"{base}-image")
    publish(machines[0], first.image, name, RegistryOptions())
    second = made(machines[1], project, cache_from=[str(name)])
    assert statuses(second) == ["ran", "cached", "cached", "cached", "cached"]
    assert [x.digest for x in second.image.manifest.layers] == [
        x.digest for x in first.image.manifest.layers
    ]


def test_an_image_from_a_cache_can_be_pushed_without_its_layers(
    machines: list[Store], project: Path, base: str, registry: str
) -> None:
    from oakum.transport import RegistryOptions

    place = f"type=registry,ref={base}-cache,mode=max"
    made(machines[0], project, cache_to=[place])
    second = made(machines[1], project, cache_from=[place])
    name = parse_reference(f"{base}-pushed")
    sent = publish(machines[1], second.image, name, RegistryOptions())
    assert sent.bytes_sent < 10_000
    assert sent.bytes_mounted > 0


def test_a_cache_that_is_not_there_is_told_and_no_more(
    machines: list[Store], project: Path, base: str, tmp_path: Path
) -> None:
    told: list[Event] = []
    places = [f"{base}-nothing", f"type=local,src={tmp_path}/nothing", base]
    request = BuildRequest(
        project, cache_from=tuple(parse_cache_place(p, "--cache-from") for p in places)
    )
    built = build(machines[1], request, progress=told.append)
    assert statuses(built) == ["ran"] * 5
    notes = [event.text for event in told if event.kind == "note" and event.task == "cache"]
    assert len(notes) == 3
    assert "has no cache of oakum's" in notes[2]


@pytest.mark.parametrize("again", [True, False])
def test_steps_run_when_their_cache_is_gone(
    machines: list[Store], project: Path, tmp_path: Path, again: bool
) -> None:
    made(machines[0], project, cache_to=[f"type=local,dest={tmp_path}/c,mode=max"])
    found = [f"type=local,src={tmp_path}/c"]
    assert statuses(made(machines[1], project, cache_from=found)) == ["cached"] * 5
    shutil.rmtree(tmp_path / "c")
    (project / "Dockerfile").write_text((project / "Dockerfile").read_text() + "RUN cat /both\n")
    built = made(machines[1], project, cache_from=found if again else [])
    assert statuses(built) == ["ran"] * 6
    assert all(here(machines[1], built))


def test_a_cache_that_lies_does_no_harm_to_later_builds(
    machines: list[Store], project: Path, tmp_path: Path
) -> None:
    """What it says of its layers counts for the build that reads it, and no longer."""
    made(machines[0], project, cache_to=[f"type=local,dest={tmp_path}/c,mode=max"])
    _swap_diff_ids(tmp_path / "c")
    with contextlib.suppress(OakumError):
        made(machines[1], project, cache_from=[f"type=local,src={tmp_path}/c"])
    built = made(machines[1], project)
    assert "ran" in statuses(built) and all(here(machines[1], built))
    assert statuses(made(machines[1], project)) == ["cached"] * 5


@pytest.mark.parametrize("harm", ["remove", "flip"])
def test_steps_run_when_a_layer_of_their_cache_is_not_what_it_says(
    machines: list[Store], project: Path, tmp_path: Path, harm: str
) -> None:
    first = made(machines[0], project, cache_to=[f"type=local,dest={tmp_path}/c,mode=max"])
    layer = first.stages["tools"].stack.layers[-1].descriptor.digest
    path = tmp_path / "c/blobs/sha256" / layer.partition(":")[2]
    raw = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
    found = [f"type=local,src={tmp_path}/c"]
    notes: list[Event] = []
    parsed = tuple(parse_cache_place(text, "--cache-from") for text in found)
    text = (project / "Dockerfile").read_text()
    (project / "Dockerfile").write_text(
        text.replace("RUN cat /srv/app", "COPY --from=tools /big /big\nRUN cat /srv/app")
    )
    built = build(
        machines[1],
        BuildRequest(project, cache_from=parsed),
        progress=notes.append,
    )
    assert statuses(built)[0] == "ran"
    assert built.image.layers and all(here(machines[1], built))
    assert statuses(made(machines[1], project)) == ["cached"] * 6


def test_an_output_needs_layers_that_are_what_the_cache_says(
    machines: list[Store], project: Path, tmp_path: Path
) -> None:
    first = made(machines[0], project, cache_to=[f"type=local,dest={tmp_path}/c,mode=max"])
    layer = first.image.layers[-1].descriptor.digest
    path = tmp_path / "c/blobs/sha256" / layer.partition(":")[2]
    raw = path.read_bytes()
    path.write_bytes(raw[:40] + bytes([raw[40] ^ 1]) + raw[41:])
    built = made(machines[1], project, cache_from=[f"type=local,src={tmp_path}/c"], whole=True)
    assert statuses(built).count("ran") == 1 and all(here(machines[1], built))


def _swap_diff_ids(place: Path) -> None:
    """Let every result of a cache promise what another one is."""
    from oakum.oci import Index, Manifest, digest_of

    blobs = place / "blobs/sha256"

    def read(digest: str) -> bytes:
        return (blobs / digest.partition(":")[2]).read_bytes()

    def write(raw: bytes) -> str:
        (blobs / digest_of(raw).partition(":")[2]).write_bytes(raw)
        return digest_of(raw)

    index = Index.parse((place / "index.json").read_bytes())
    root = index.manifests[0]
    manifest = Manifest.parse(read(root.digest), root.media_type)
    document = decode_document(read(manifest.config.digest), "the cache")
    results = [step.result for step in document.steps]
    swapped = tuple(
        msgspec.structs.replace(
            step,
            result=msgspec.structs.replace(
                step.result,
                layer=msgspec.structs.replace(
                    step.result.layer, diff_id=results[number - 1].layer.diff_id
                ),
            ),
        )
        for number, step in enumerate(document.steps)
    )
    config = encode_document(msgspec.structs.replace(document, steps=swapped))
    changed = json.loads(manifest.raw)
    changed["config"] |= {"digest": write(config), "size": len(config)}
    raw = json.dumps(changed).encode()
    whole = json.loads((place / "index.json").read_bytes())
    whole["manifests"][0] |= {"digest": write(raw), "size": len(raw)}
    (place / "index.json").write_text(json.dumps(whole))


def test_a_cache_that_cannot_be_written_fails_the_build(
    machines: list[Store], project: Path, registry: str
) -> None:
    place = "type=registry,ref=127.0.0.1:1/x"
    with pytest.raises(OakumError):
        made(machines[0], project, cache_to=[place])
    assert statuses(made(machines[0], project, cache_to=[f"{place},ignore-error=true"]))


def test_what_steps_were_installed_from_travels_along(
    lab: Lab, tmp_path: Path, registry: str
) -> None:
    place = tmp_path / "project"
    place.mkdir()
    lab.publish(Deb("traveller", "1.0-1"))
    (place / "Dockerfile").write_text(
        f"FROM {lab.base}\nRUN apt-get update && apt-get install -y traveller\n"
    )
    where = f"type=registry,ref={registry}/cache/packages"
    first = made(lab.store, place, no_cache=True, cache_to=[f"{where},mode=max"])
    lab.withdraw("traveller", "1.0-1")
    with Store(tmp_path / "other") as other:
        again = made(other, place, lock=first.lock, no_cache=True, cache_from=[where])
        assert [step.packages for step in again.lock.steps] == [
            step.packages for step in first.lock.steps
        ]
        assert again.lock.steps[0].files == first.lock.steps[0].files


def test_the_artifact_is_one_of_its_own_kind(
    machines: list[Store], project: Path, base: str
) -> None:
    from oakum.transport import RegistryOptions, open_source, parse_location

    made(machines[0], project, cache_to=[f"type=registry,ref={base}-cache,mode=max"])
    source = open_source(parse_location(f"docker://{base}-cache"), machines[1], RegistryOptions())
    from oakum.oci import Manifest

    manifest = Manifest.parse(source.document(source.resolve()))
    assert manifest.artifact_type == ARTIFACT
    document = decode_document(source.document(manifest.config), "it")
    digests = {blob.digest for blob in manifest.layers}
    assert {step.result.layer.descriptor.digest for step in document.steps} <= digests
    assert set(document.indexes.values()) <= digests
    source.close()


def test_documents_come_back_as_they_were(machines: list[Store], project: Path) -> None:
    built = made(machines[0], project)
    from oakum.builder.cache import BuildCache
    from oakum.builder.cache_export import inline_document

    document = inline_document(BuildCache(machines[0]), built.steps, built.state)
    assert decode_document(encode_document(document), "it") == document
    assert of_annotation(to_annotation(document), "it") == document
    older = msgspec.structs.replace(document, version="0")
    with pytest.raises(InvalidImage, match="version '0'"):
        decode_document(encode_document(older), "it")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"version":2,"steps":[]}'])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidImage):
        decode_document(raw, "it")


def test_an_annotation_without_end_is_refused() -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b" " * (65 << 20), 9)).decode()
    for text in (bomb, "?", "AAAA", base64.b64encode(b"x").decode()):
        with pytest.raises(InvalidImage):
            of_annotation(text, "it")
    assert of_annotation(to_annotation(CacheDocument("2", ())), "it").steps == ()


@pytest.mark.parametrize(
    "text",
    ["type=gha", "type=registry", "type=local", "type=inline", "ref=", "mode=most,ref=a", "x=y"],
)
def test_places_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_cache_place(text, "--cache-from")
