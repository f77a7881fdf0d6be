"""Putting an image together: config and manifest of a finished stage, deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from oakum.builder.images import Image
from oakum.builder.state import StageState
from oakum.layer import Layer
from oakum.oci import Config, Descriptor, Manifest
from oakum.oci.media import OCI_CONFIG, layer_compression, layer_media_type
from oakum.store import Store

_RUNTIME_ORDER = (
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "NetworkDisabled",
    "MacAddress",
    "OnBuild",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Shell",
)


LAST_SECOND = 253_402_300_799
"""The last one of the year 9999, which configs can name (RFC 3339)."""


def rfc3339(seconds: int) -> str:
    """A time as configs have it; one that they cannot have is the nearest that they can."""
    named = datetime.fromtimestamp(min(max(seconds, 0), LAST_SECOND), UTC)
    return named.strftime("%Y-%m-%dT%H:%M:%SZ")


def assemble(
    store: Store,
    state: StageState,
    labels: Mapping[str, str],
    epoch: int | None,
    annotations: Mapping[str, str] = {},
) -> Image:
    """Write config and manifest of a finished stage into the store.

    Everything that carries a time carries `epoch`, or else the newest time of the base image and
    of the sources, so the same inputs give the same digest.
    """
    created = rfc3339(state.epoch if epoch is None else epoch)
    config = Config.make(_document(state, labels, created))
    store.blobs.put(config.raw)
    descriptor = Descriptor(OCI_CONFIG, config.digest, len(config.raw))
    layers = tuple(oci_descriptor(layer) for layer in state.stack.layers)
    manifest = Manifest.make(descriptor, layers, annotations)
    store.blobs.put(manifest.raw)
    return Image("", manifest.descriptor(), manifest, config)


def oci_descriptor(layer: Layer) -> Descriptor:
    """The descriptor of a layer in OCI's words: Docker's media types name the same bytes."""
    found = layer.descriptor
    kind = layer_media_type(layer_compression(found.media_type))
    return Descriptor(kind, found.digest, found.size)


def _document(state: StageState, labels: Mapping[str, str], created: str) -> dict[str, Any]:
    runtime = dict(state.runtime)
    if labels:
        runtime["Labels"] = {**(runtime.get("Labels") or {}), **labels}
    ordered = {key: runtime[key] for key in _RUNTIME_ORDER if key in runtime}
    ordered.update({key: value for key, value in runtime.items() if key not in ordered})
    document: dict[str, Any] = {"created": created}
    if state.document.get("author"):
        document["author"] = state.document["author"]
    platform = state.image_platform.normalised()
    document["architecture"] = platform.architecture
    document["os"] = platform.os
    if platform.variant and platform.architecture != "amd64":
        document["variant"] = platform.variant
    document["config"] = ordered
    document["rootfs"] = {
        "type": "layers",
        "diff_ids": [layer.diff_id for layer in state.stack.layers],
    }
    document["history"] = [_dated(line, created) for line in state.history]
    return document


def _dated(line: dict[str, Any], created: str) -> dict[str, Any]:
    if "created" in line:
        return line
    return {"created": created, **line}
