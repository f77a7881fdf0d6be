"""``build --verify-reproducible``: build again under other circumstances, and name what differs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import msgspec

from oakum.builder import (
    FIRST_HOSTNAME,
    BuildRequest,
    Built,
    Circumstances,
    StepReport,
    build,
    disturbed,
    rule_of,
)
from oakum.builder.disturbance import HOSTNAME
from oakum.layer import Layer, known_index
from oakum.oci import Digest
from oakum.progress import Event, Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs.content_differences import Cause, Finding, explain
from oakum.verbs.interface import SCHEMA
from oakum.verbs.layer_differences import Aspect, Differing, contents, differing

_MOST = 100
_ADVICE: dict[Cause, str] = {
    "time": "have the program take SOURCE_DATE_EPOCH, or remove the file in the step",
    "order": "have the step sort what it lists: it takes names in the order of a directory or hash",
    "random": "give the program a fixed seed or name, or remove the file in the step",
    "host name": "have the step not write the host name down",
    "processors": "give the program a fixed number of jobs",
    "key": "remove it in the step, and make it when the container starts: all containers of an "
    "image would share it",
    "build ID": "link without a build ID (-Wl,--build-id=none), or build in a fixed directory",
    "unknown": "look at what the step writes there; remove the file if nothing needs it",
}
_PACKAGES = frozenset((b"var/lib/dpkg/status", b"lib/apk/db/installed"))


class PathDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A path that a step made differently in two builds."""

    path: str
    """The path; empty when only the layer's form differs."""
    stage: str
    """Stage of the step."""
    line: int
    """Its line in the Dockerfile."""
    step: str
    """The instruction."""
    follows: bool
    """Whether an earlier step of the stage differs, of which this may be a consequence."""
    aspects: tuple[Aspect, ...]
    """In what it differs; ``added`` is in the second build alone, ``missing`` in the first."""
    detail: str
    """The values, or the place within the content."""
    cause: Cause
    """What it looks like it comes from."""
    excerpt: tuple[str, ...]
    """The beginning of what differs in a content, ``-`` for the first build, ``+`` the second."""
    advice: str
    """What can be done about it."""


class Reproducibility(msgspec.Struct, frozen=True, kw_only=True):
    """Whether two builds of the same sources gave the same image."""

    schema: int = SCHEMA
    """Version of this document's shape."""
    identical: bool
    """Whether they did."""
    platform: str
    """Platform of the image."""
    digest: Digest
    """Digest of the manifest of the first build."""
    other_digest: Digest
    """Digest of the manifest of the second."""
    from_cache: int
    """Steps of the first build that were made before, by an earlier build."""
    varied: tuple[str, ...]
    """What was different during the second build."""
    not_varied: tuple[str, ...]
    """What could not be made different, and why."""
    differences: tuple[PathDifference, ...]
    """What differs, in the order of the steps; of stages that are not in the image, too."""
    more: int = 0
    """How many differences there are beyond those."""


def verify_reproducible(
    store: Store,
    request: BuildRequest,
    *,
    first: Built | None = None,
    registry: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Reproducibility:
    """Build twice and compare.

    `first` is the build to compare with; without one it is built, out of the cache where that has
    the steps.  The second build runs every step at another time, with another host name, one
    processor, another umask of this process and, where that can be had, on another file system; it
    leaves nothing in the build cache and gives no names.
    """
    built = first or build(store, request, options=registry, progress=progress)
    size = sum(layer.size for layer in _layers(built).values())
    with disturbed(store, size) as around:
        again = msgspec.structs.replace(
            request,
            pull=False,
            cache_to=(),
            cache_from=(),
            disturbance=around.disturbance,
        )
        text = f"{request.platform}: built again, with other {'; '.join(around.varied)}"
        progress(Event("verify", "note", text))
        second = build(store, again, options=registry, progress=progress)
    found = list(_differences(store, request, built, second, around))
    return Reproducibility(
        identical=built.image.manifest.digest == second.image.manifest.digest,
        platform=str(built.image.config.platform),
        digest=built.image.manifest.digest,
        other_digest=second.image.manifest.digest,
        from_cache=built.cached,
        varied=around.varied,
        not_varied=around.same,
        differences=tuple(found[:_MOST]),
        more=max(0, len(found) - _MOST),
    )


def _layers(built: Built) -> dict[str, Layer]:
    """The layers of all stages, by diff ID."""
    stacks = [built.state.stack.layers, *(one.stack.layers for one in built.stages.values())]
    return {str(layer.diff_id): layer for layers in stacks for layer in layers}


def _differences(
    store: Store, request: BuildRequest, built: Built, second: Built, around: Circumstances
) -> Iterator[PathDifference]:
    swapped = {FIRST_HOSTNAME.encode(): HOSTNAME.encode()}
    if around.processors[0] != around.processors[1]:
        swapped |= {b"%d" % around.processors[0]: b"%d" % around.processors[1]}
    layers = _layers(built), _layers(second)
    before: set[str] = set()
    for step, other in zip(built.steps, second.steps):
        if step.layer is None or other.layer is None or step.layer == other.layer:
            continue
        pair = layers[0][step.layer], layers[1][other.layer]
        yield from _of_step(store, request, step, pair, swapped, step.stage in before)
        before.add(step.stage)


def _of_step(
    store: Store,
    request: BuildRequest,
    step: StepReport,
    pair: tuple[Layer, Layer],
    swapped: Mapping[bytes, bytes],
    follows: bool,
) -> Iterator[PathDifference]:
    one, other = (known_index(store, layer.diff_id) for layer in pair)
    found = differing(one, other) if one and other else []
    read = contents(store, pair, found)
    for item in found or [Differing(b"", (), None, None)]:
        finding = _finding(item, read, swapped)
        yield PathDifference(
            path=os.fsdecode(b"/" + item.path).encode("utf-8", "replace").decode()
            if item.path
            else "",
            stage=step.stage,
            line=step.line,
            step=step.text[:300],
            follows=follows,
            aspects=item.aspects,
            detail="; ".join(text for text in (finding.what, item.detail) if text),
            cause=finding.cause,
            excerpt=finding.excerpt,
            advice=_advice(request, item, finding),
        )


def _finding(
    item: Differing, read: Mapping[bytes, tuple[bytes, bytes]], swapped: Mapping[bytes, bytes]
) -> Finding:
    if "content" in item.aspects and item.path in read:
        return explain(item.path, *read[item.path], swapped)
    if item.aspects == ("mtime",):
        return Finding("", "time")
    if not item.path:
        return Finding("the layers hold the same files in another form")
    return Finding("")


def _advice(request: BuildRequest, item: Differing, finding: Finding) -> str:
    rule = rule_of(item.path)
    if rule is not None and not request.reproducible:
        return f"build with --reproducible, which deals with {rule.why}"
    if item.path in _PACKAGES:
        return "other packages or versions came: hold them with 'oakum lock' or pins"
    if "content" not in item.aspects and finding.cause == "unknown":
        return "have the step set it, or make the path, in the same way each time"
    return _ADVICE[finding.cause]
