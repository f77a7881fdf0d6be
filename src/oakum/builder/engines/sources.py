"""The sources as another builder gets them: bases by their digests, nothing in the user's tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from oakum.builder.engines.interface import Job
from oakum.builder.images import Image, Images, reference_of
from oakum.builder.request import BuildRequest
from oakum.builder.stage_builder import global_args
from oakum.builder.stage_graph import StageGraph, references
from oakum.dockerfile import (
    LOCK_NAME,
    Dockerfile,
    Edit,
    Instruction,
    Lock,
    LockedBase,
    Span,
    Stage,
    apply_edits,
    base_word,
    expand,
    stages,
)
from oakum.errors import BuildError, OakumError
from oakum.oci import Digest, Platform, Reference, parse_platform
from oakum.store import guarded
from oakum.transport.registry.address import may_be_plain


class Pins(msgspec.Struct, frozen=True):
    """A Dockerfile whose images are named by digests, and what is known of them."""

    text: bytes
    """The Dockerfile for the engine; lines are where they were."""
    contexts: dict[str, str]
    """The named contexts for it."""
    bases: tuple[LockedBase, ...]
    """What the names of images resolved to."""
    root: Image | None
    """The image below the target; None for scratch, and for one that is not known."""
    loose: tuple[str, ...]
    """Names of images that no digest is known for: the engine takes what it has for them."""
    hosts: frozenset[str]
    """Registries that images come from."""


class Outline:
    """The stages of a build that is left to an engine."""

    def __init__(self, dockerfile: Dockerfile, request: BuildRequest) -> None:
        self.dockerfile = dockerfile
        self.request = request
        before, self.stages = stages(dockerfile)
        self._args = global_args(request, before, dockerfile.escape)
        self.graph = StageGraph(self.stages, self.base_name, request.contexts, dockerfile.name)
        self.graph.check()
        self.target = self.graph.target(request.target)
        needed = self.graph.needed(self.target)
        self.needed = tuple(stage for stage in self.stages if stage.index in needed)
        self.chain = tuple(self._chain())
        """From the stage on an image (or scratch) to the target."""

    def _chain(self) -> list[Stage]:
        chain: list[Stage] = []
        stage: Stage | None = self.target
        while stage is not None:
            chain.insert(0, stage)
            stage = self.graph.base(stage)
        return chain

    @property
    def aside(self) -> tuple[Stage, ...]:
        """The needed stages whose layers are not the target's."""
        chain = {stage.index for stage in self.chain}
        return tuple(stage for stage in self.needed if stage.index not in chain)

    def base_name(self, stage: Stage) -> str:
        """What a stage is built from, variables replaced."""
        return expand(stage.base, self._args, stage.from_.escape)

    def platform(self, stage: Stage) -> Platform:
        """The platform that a stage's base is taken for."""
        if not stage.platform:
            return self.request.platform
        return parse_platform(expand(stage.platform, self._args, stage.from_.escape))

    def images(self) -> Iterator[tuple[Stage, Instruction, str, Platform]]:
        """Every image that a needed stage names, with the instruction that does."""
        for stage in self.needed:
            name = self.base_name(stage)
            if self.graph.base(stage) is None and name != "scratch":
                yield stage, stage.from_, name, self.platform(stage)
            for instruction in stage.instructions:
                for other in references(instruction):
                    if self.graph.source(stage, other) is None and other != "scratch":
                        yield stage, instruction, other, self.request.platform


def pinned(outline: Outline, images: Images, lock: Lock | None) -> Pins:
    """Name every image by the digest that the lock, or else its registry, has for it."""
    request = outline.request
    edits: list[Edit] = []
    bases: dict[tuple[str, str], LockedBase] = {}
    contexts = dict(request.contexts)
    loose: set[str] = set()
    hosts: set[str] = set()
    root: Image | None = None
    for stage, instruction, name, platform in outline.images():
        wanted = request.contexts.get(name, name)
        if "://" in wanted and not wanted.startswith("docker-image://"):
            continue
        if name in request.contexts and "://" not in wanted:
            continue
        plain = wanted.removeprefix("docker-image://")
        reference = reference_of(plain)
        hosts.add(reference.host)
        digest = _digest(images, reference, lock.base(plain, str(platform)) if lock else None)
        if digest is None:
            loose.add(plain)
            continue
        bases[plain, str(platform)] = LockedBase(plain, str(platform), digest)
        exact = f"{reference.name}@{digest}"
        if name in request.contexts:
            contexts[name] = f"docker-image://{exact}"
        else:
            edits += _edits(outline.dockerfile, stage, instruction, name, exact)
        if instruction is outline.chain[0].from_:
            root = _found(images, plain, platform, digest)
    text = apply_edits(outline.dockerfile.raw, edits)
    found = tuple(base for _, base in sorted(bases.items()))
    return Pins(text, contexts, found, root, tuple(sorted(loose)), frozenset(hosts))


def _digest(images: Images, reference: Reference, locked: Digest | None) -> Digest | None:
    """The digest to build on; what the store pulled before counts where no registry answers."""
    known = reference.digest or locked or images.current_digest(reference)
    if known is None:
        named = images.store.names.get(reference)
        known = named.descriptor.digest if named is not None and named.origin else None
    return known


def _found(images: Images, name: str, platform: Platform, digest: Digest) -> Image | None:
    """The image, where its registry or the store gives its documents."""
    try:
        return images.find(name, platform, digest=digest)
    except OakumError:
        return None


def _edits(
    dockerfile: Dockerfile, stage: Stage, instruction: Instruction, name: str, exact: str
) -> list[Edit]:
    why = f"{name} by its digest"
    if instruction is stage.from_:
        word = base_word(stage)
        span = Span(word.offset(0), word.offset(len(word.text)))
        return [Edit(span, exact.encode(), why)]
    starts = [0, *(match.end() for match in re.finditer(rb"\n", dockerfile.raw))]
    begin = starts[instruction.first_line - 1]
    flags = dockerfile.raw[begin : instruction.body.offset(0)]
    mention = re.compile(rb"from=[\"']?(" + re.escape(name.encode()) + rb")(?=[\"',\s\\`])")
    return [
        Edit(Span(begin + match.start(1), begin + match.end(1)), exact.encode(), why)
        for match in mention.finditer(flags)
    ]


def written(
    outline: Outline, pins: Pins, file: Path, scratch: Path, insecure: tuple[str, ...]
) -> Job:
    """Write Dockerfile and ignore file for the engine; `file` is where the user has them.

    oakum.lock is no part of a context, so that a new version in it is not a new file.
    """
    sources, empty = scratch / "sources", scratch / "empty"
    request = outline.request
    with guarded("write the sources for another builder"):
        sources.mkdir()
        empty.mkdir()
        dockerfile = sources / file.name
        dockerfile.write_bytes(pins.text)
        ignore = sources / f"{file.name}.dockerignore"
        ignore.write_bytes(_ignored(file, request.context) + f"\n{LOCK_NAME}\n".encode())
    return Job(
        msgspec.structs.replace(request, contexts=pins.contexts),
        dockerfile,
        ignore,
        request.context or empty,
        scratch,
        pins.hosts,
        frozenset(host for host in pins.hosts if may_be_plain(host, insecure)),
        frozenset(),
    )


def _ignored(file: Path, context: Path | None) -> bytes:
    """The patterns of what a context leaves out, as the user has them."""
    places = [file.with_name(f"{file.name}.dockerignore")]
    places += [context / ".dockerignore"] if context is not None else []
    for place in places:
        try:
            return place.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BuildError(f"cannot read {place}: {error.strerror}", "check it") from error
    return b""
