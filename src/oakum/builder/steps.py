"""What every kind of step shares: where it runs, what it may use, what it reports."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from oakum.builder.cache import BuildCache, StepResult
from oakum.builder.cache_import import ImportedCache
from oakum.builder.context import Directory
from oakum.builder.downloads import Downloads
from oakum.builder.images import Images
from oakum.builder.layering import Layering
from oakum.builder.memory import Inputs, Memory
from oakum.builder.repositories import Repositories
from oakum.builder.request import BuildRequest
from oakum.builder.sandbox import Runtime, find_runtime
from oakum.builder.snapshot import Snapshots
from oakum.builder.state import StageState
from oakum.builder.step_downloads import StepDownloads
from oakum.dockerfile import Dockerfile, Instruction, Mention, mentions
from oakum.errors import OakumError, Unsupported
from oakum.layer import Layer, LayerIndex
from oakum.oci import Descriptor, Digest
from oakum.progress import Event, Progress
from oakum.store import Store
from oakum.transport import Origins
from oakum.tree import ImageTree, Tree

NOT_TO_BE_USED = "the cache was not to be used"


class StepReport(msgspec.Struct, frozen=True):
    """What became of one instruction."""

    stage: str
    """Name of the stage, or its number."""
    line: int
    """Line of the Dockerfile."""
    text: str
    """The instruction, on one line."""
    status: Literal["ran", "cached", "config"]
    """Whether it was run, taken from the cache, or changes no files."""
    seconds: float = 0.0
    """How long it took now."""
    layer: str | None = None
    """Diff ID of its layer."""
    packages: dict[str, str] = {}
    """Packages that it installed or changed."""
    files: dict[str, str] = {}
    """What package archives gave it: URL → SHA-256."""
    run: int = 0
    """Number of the RUN among the stage's, from 1; 0 for other instructions."""
    command: str = ""
    """Mark of a RUN's command, for the lock."""
    why: str = ""
    """Why it was run."""
    key: str = ""
    """Its key in the build cache; empty for what changes no files."""
    changed: tuple[str, ...] = ()
    """Which of its inputs changed since the project was built the last time, when it was run."""


class NotCached(OakumError):
    """A step is not in the cache, and nothing was to be run."""

    def __init__(self, stage: str, instruction: Instruction) -> None:
        super().__init__(
            f"line {instruction.first_line} of the Dockerfile was not built here yet",
            "run 'oakum build' first",
        )
        self.stage = stage
        self.instruction = instruction


class Stages(Protocol):
    """The other stages of the build, and what else can be copied from."""

    def state_of(self, name: str) -> StageState | None:
        """The finished stage of that name or number; waits for it; None if there is none."""

    def directory_of(self, name: str) -> Directory | None:
        """The named build context, when it is a directory; the main one for an empty name."""

    def image_of(self, name: str) -> StageState:
        """An image that is neither: pulled."""


class Workshop:
    """The tools that steps are carried out with; one for a build, shared by its stages."""

    def __init__(
        self,
        store: Store,
        request: BuildRequest,
        images: Images,
        dockerfile: Dockerfile,
        progress: Progress,
        caches: Sequence[ImportedCache] = (),
    ) -> None:
        self.store = store
        self._caches = caches
        self._dockerfile = dockerfile
        self._mentions: tuple[Mention, ...] | None = None
        self.request = request
        self.images = images
        self.progress = progress
        self._origins = Origins(store, images.options)
        self._reached: dict[Digest, bool] = {}
        self.cache = BuildCache(store, caches, self._reachable)
        self.snapshots = Snapshots(store, images.fetch, self._told)
        self.layering = Layering(store, request.compression)
        self.step_downloads = StepDownloads(store, request)
        self.cancelled = threading.Event()
        self.downloads = Downloads(store, request, progress, self.cancelled.is_set)
        self.repositories = Repositories(store, request, progress, self.cancelled.is_set)
        self._runtime: Runtime | None = None
        self._runtime_lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(request.jobs)
        self.memory = Memory(store, request.project)
        self.judged: set[tuple[int, str]] = set()
        """RUNs whose pins were looked up in the archive."""

    def files(self, layers: Sequence[Layer], tree: Tree | None = None) -> ImageTree:
        """The files of a stack, to be read."""
        indexes = self.snapshots.indexes(layers)
        descriptors = [layer.descriptor for layer in layers]
        return ImageTree(self.store, indexes, descriptors, tree=tree)

    def _reachable(self, layer: Descriptor) -> bool:
        """Whether a layer of the cache that is not here can be fetched; asked once in a build."""
        if layer.digest not in self._reached:
            gone = layer.digest in self.images.gone
            self._reached[layer.digest] = not gone and self._origins.holds(layer)
        if self._reached[layer.digest]:
            self.images.lent.add(layer.digest)
        return self._reached[layer.digest]

    def _told(self, diff_id: Digest) -> LayerIndex | None:
        """What a cache from elsewhere says that a layer holds."""
        told = (cache.index(diff_id) for cache in self._caches)
        return next((index for index in told if index is not None), None)

    def has_files(self, digests: Collection[str]) -> bool:
        """Whether all these files of archives are here, or could be fetched from a cache."""
        archive = self.step_downloads.files
        return all(
            archive.path(digest).exists()
            or any(cache.bring_file(archive, digest) for cache in self._caches)
            for digest in digests
        )

    def mentions(self) -> tuple[Mention, ...]:
        """The packages that the Dockerfile's scripts install; read once."""
        if self._mentions is None:
            self._mentions = mentions(self._dockerfile, build_args=dict(self.request.build_args))
        return self._mentions

    def following(self, instruction: Instruction) -> tuple[Instruction, ...]:
        """The instructions of the Dockerfile behind one, to the end of its stage."""
        written = self._dockerfile.instructions
        place = place_of(instruction)
        at = next((n for n, other in enumerate(written) if place_of(other) == place), None)
        behind = written[at + 1 :] if at is not None else ()
        return tuple(itertools.takewhile(lambda one: one.keyword != "FROM", behind))

    def uncached(self, stage: str) -> bool:
        """Whether the steps of a stage are not to be taken from the cache."""
        request = self.request
        return request.no_cache or bool(request.disturbance) or stage in request.no_cache_filter

    def remember(self, key: str, result: StepResult) -> None:
        """Keep a step's result in the cache, unless it was made under strange circumstances."""
        if self.request.disturbance is None:
            self.cache.put(key, result)

    @property
    def scratch(self) -> Path:
        """Where steps have their files while they run."""
        disturbance = self.request.disturbance
        return (disturbance and disturbance.scratch) or self.store.place.scratch

    def runtime(self) -> Runtime:
        """What runs steps on this machine; found once."""
        with self._runtime_lock:
            if self._runtime is None:
                self._runtime = find_runtime(self.request.runtime, self.store.place.scratch)
                if self.snapshots.refusal:
                    slow = f"every step works on a copy of its root: {self.snapshots.refusal}"
                    self.progress(Event("snapshots", "note", slow))
            return self._runtime

    def close(self) -> None:
        """Let go of threads and servers."""
        self.step_downloads.close()
        self.layering.close()
        self._origins.close()


def place_of(instruction: Instruction) -> tuple[int, str]:
    """What tells an instruction of a Dockerfile from all others, an ONBUILD trigger's too."""
    return instruction.first_line, instruction.original


def check_flags(instruction: Instruction, known: Collection[str]) -> None:
    """`Unsupported` for a flag of the instruction that is not among the `known` ones."""
    for flag in instruction.flags:
        if flag.name not in known:
            raise Unsupported(
                f"line {instruction.first_line}: {instruction.keyword} --{flag.name} is not "
                f"built yet: {instruction.original}",
                "build this Dockerfile with docker for now",
            )


class Found(msgspec.Struct, frozen=True):
    """A step's result and how it was come by."""

    result: StepResult
    """What the step gave."""
    cached: bool
    """Whether it was taken from the cache."""
    seconds: float
    """How long it took now."""
    why: str = ""
    """Why it was run, when that is not for its inputs."""
    command: str = ""
    """Mark of a RUN's command, for the lock."""
    key: str = ""
    """Its key in the build cache."""
    inputs: Callable[[], Inputs] = dict
    """What the key was made of, in words."""
