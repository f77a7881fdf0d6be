"""Every engine makes what oakum's own makes, and the image is oakum's from then on."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from builder.differential.record import Record, image_record
from builder.engines.conftest import BuildWith
from oakum.builder import BuildRequest, Built, Images, Secret, build
from oakum.oci import parse_reference
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs import publish
from support.busy import Context
from support.peers import Peer

OLDER = ("old docker", "buildah")
MOUNT_POINTS = {"run", "run/secrets", "etc/hostname", "etc/hosts", "etc/resolv.conf"}
"""What these leave in a layer, empty, where they mounted something."""

_DOCKERFILE = """\
ARG TAG=1
FROM BASE AS tools
RUN mkdir /made && echo made > /made/tool && chmod 4755 /made/tool

FROM BASE AS ground
ARG COLOUR=blue
ENV SHADE="dark $COLOUR"
WORKDIR /srv/app
RUN echo "$SHADE" > shade && ln shade again && ln -s shade soft

FROM ground
COPY --from=tools --chown=1000:1000 /made /opt/made
COPY . /src
RUN --mount=type=secret,id=word test "$(cat /run/secrets/word)" = open && rm /src/gone
LABEL kind=test
EXPOSE 8080/tcp
USER user
HEALTHCHECK --interval=5s CMD true
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["cat /srv/app/shade"]
"""


def record_of(store: Store, built: Built) -> Record:
    """Files and config of an image, times left out."""
    Images(store, RegistryOptions()).fetch(built.image.layers)
    blobs = [store.blobs.path(one.digest).read_bytes() for one in built.image.manifest.layers]
    layers = [io.BytesIO(gzip.decompress(blob)) for blob in blobs]
    found = image_record(layers, built.image.config.document, {}, 0)
    files = {path: re.sub(r" @\d+$", "", text) for path, text in found.files.items()}
    return msgspec.structs.replace(found, files=files)


def without(config: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != name}


def peer_lacks(peer: Peer) -> str:
    """buildah gives a container's name, and not the mark that only Windows looks at."""
    return "ArgsEscaped" if peer.name == "buildah" else ""


def filled(context: Context, base: str) -> Path:
    place = context.write_all(
        _DOCKERFILE.replace("BASE", base.rpartition(":")[0] + ":$TAG"),
        **{"gone": "1", "left-out": "2", ".dockerignore": "left-out\n"},
    )
    (place / "oakum.lock").write_text("version = 1\n")
    return place


def test_files_and_config_are_those_of_the_embedded_engine(
    store: Store, context: Context, base: str, build_with: BuildWith, peer: Peer, tmp_path: Path
) -> None:
    place = filled(context, base)
    (tmp_path / "word").write_text("open")
    more = {
        "build_args": {"COLOUR": "green"},
        "labels": {"given": "yes"},
        "secrets": (Secret("word", tmp_path / "word"),),
    }
    own = build(store, BuildRequest(place, network="host", **more))  # type: ignore[arg-type]
    other = build_with(place, **more)
    expected, found = record_of(store, own), record_of(store, other)
    left = MOUNT_POINTS if peer.name in OLDER else set()
    assert {p: text for p, text in found.files.items() if p not in left} == expected.files
    assert without(found.config, "Hostname") == without(expected.config, peer_lacks(peer))
    assert "src/oakum.lock" not in found.files
    if peer.name not in OLDER:
        assert found.history == expected.history


def test_steps_and_lines_are_those_of_the_dockerfile(
    store: Store, context: Context, base: str, build_with: BuildWith, tmp_path: Path
) -> None:
    place = filled(context, base)
    (tmp_path / "word").write_text("open")
    secrets = (Secret("word", tmp_path / "word"),)
    built = build_with(place, secrets=secrets)
    layers = [layer.diff_id for layer in built.image.layers]
    own = [step for step in built.steps if step.layer]
    assert [step.line for step in own if not step.text.startswith("WORKDIR")] == [9, 12, 13, 14]
    assert [step.layer for step in own] == layers[-len(own) :]
    lines = [line for line in built.state.lines if line is not None]
    assert lines == [5] * (len(layers) - len(own)) + [step.line for step in own]
    assert built.stages["ground"].stack.layers == built.state.stack.layers[:-3]
    again = build_with(place, secrets=secrets)
    assert again.image.manifest.digest == built.image.manifest.digest
    assert (again.ran, again.cached) == (0, len(own))


def test_the_base_keeps_its_blobs_and_is_not_sent_again(
    store: Store, context: Context, base: str, build_with: BuildWith
) -> None:
    place = context.write_all(f"FROM {base}", "RUN echo more > /more")
    built = build_with(place)
    name = parse_reference(base).with_tag("2")
    published = publish(store, built.image, name, RegistryOptions())
    assert published.bytes_kept + published.bytes_mounted > 10 * published.bytes_sent
    command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"]
    subprocess.run(command, check=True, capture_output=True)


def test_a_stage_and_named_contexts_are_handed_over(
    context: Context, base: str, build_with: BuildWith, peer: Peer, store: Store, tmp_path: Path
) -> None:
    place = context.write_all(
        f"FROM {base} AS one", "RUN echo one > /one", "FROM one", "COPY --from=extra file /two"
    )
    built = build_with(place, target="one")
    assert "one" in record_of(store, built).files
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/file").write_text("two")
    contexts = {"extra": str(tmp_path / "extra")}
    if peer.name == "old docker":
        return
    assert "two" in record_of(store, build_with(place, contexts=contexts)).files


def test_time_is_the_one_that_was_asked_for(
    context: Context, base: str, build_with: BuildWith, peer: Peer
) -> None:
    place = context.write_all(f"FROM {base}", "RUN echo more > /more")
    built = build_with(place, source_date_epoch=1_700_000_000, no_cache=True)
    kept = str(built.image.config.document["created"]).startswith("2023-11-14T22:13:20")
    assert kept or any("SOURCE_DATE_EPOCH" in limit for limit in built.engine.limits)
    assert kept == (peer.name != "old docker")


def test_outside_the_store_nothing_is_written(
    context: Context, base: str, build_with: BuildWith, store: Store
) -> None:
    place = context.write_all(f"FROM {base}", "RUN true")
    before = listing(place)
    build_with(place)
    assert listing(place) == before
    assert not list(store.place.scratch.glob("engine-*"))


def listing(place: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in place.rglob("*"))
