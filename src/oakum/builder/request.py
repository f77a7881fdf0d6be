"""What a build is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from oakum.builder.cache_format import CachePlace
from oakum.builder.sandbox.step import Limits, Ulimit
from oakum.dockerfile import Lock
from oakum.errors import BuildError
from oakum.oci import Compression, Platform, host_platform

Network = Literal["default", "host", "none"]


class Secret(msgspec.Struct, frozen=True):
    """A secret that steps may ask for by its id; its value is in no key, layer or log."""

    id: str
    """Name that ``--mount=type=secret,id=…`` uses."""
    file: Path | None = None
    """File that holds it."""
    env: str | None = None
    """Environment variable that holds it."""


class Agent(msgspec.Struct, frozen=True):
    """An ssh agent that steps may use by its id; it is in no key, layer or log."""

    id: str
    """Name that ``--mount=type=ssh,id=…`` uses."""
    paths: tuple[Path, ...]
    """The agent's socket, or files with private keys."""


class Disturbance(msgspec.Struct, frozen=True):
    """Circumstances that must not show in the image, for a build that is compared with another."""

    hostname: str
    """What ``hostname`` says in the steps."""
    scratch: Path | None = None
    """Directory that the steps' files are in while they run; None: the store's."""


class BuildRequest(msgspec.Struct, frozen=True):
    """A build: the sources, and what docker's flags of the same names mean."""

    context: Path | None
    """Directory of the build context; None for an empty one."""
    dockerfile: Path | None = None
    """The Dockerfile; by default ``Dockerfile`` in the context."""
    dockerfile_text: bytes | None = None
    """Text that stands in for the Dockerfile's, such as a planned edit."""
    lock_file: Path | None = None
    """The lock; by default ``oakum.lock`` beside the Dockerfile."""
    origin: str = ""
    """Where the Dockerfile came from, when it is no file of this machine that can be changed."""
    ignores: bool = True
    """Whether ``.dockerignore`` counts."""
    context_owners: bool = False
    """Whether the files of the context keep their owners; else all are root's."""
    build_args: Mapping[str, str] = {}
    """``--build-arg``."""
    target: str | None = None
    """``--target``: name or number of the stage to build."""
    platform: Platform = msgspec.field(default_factory=host_platform)
    """``--platform``."""
    labels: Mapping[str, str] = {}
    """``--label``."""
    secrets: tuple[Secret, ...] = ()
    """``--secret``."""
    agents: tuple[Agent, ...] = ()
    """``--ssh``."""
    network: Network = "default"
    """``--network`` of RUN steps."""
    add_hosts: tuple[tuple[str, str], ...] = ()
    """``--add-host``: (name, address)."""
    ulimits: tuple[Ulimit, ...] = ()
    """``--ulimit``: resource limits of RUN steps."""
    shm_size: int | None = None
    """``--shm-size``: bytes of /dev/shm; None: 64 MiB."""
    limits: Limits = Limits()
    """``--memory``, ``--cpu-quota`` and the like: what a RUN step may use."""
    cgroup_parent: str | None = None
    """``--cgroup-parent``: control group that those of RUN steps are made in."""
    no_cache: bool = False
    """``--no-cache``."""
    no_cache_filter: tuple[str, ...] = ()
    """``--no-cache-filter``: names of stages that are not taken from the cache."""
    rerun: frozenset[tuple[str, str]] = frozenset()
    """RUNs that are not taken from the cache: (name of the stage, mark of the command)."""
    pull: bool = False
    """``--pull``: ask the registry for the base images' current digests."""
    contexts: Mapping[str, str] = {}
    """``--build-context``: name → directory, ``docker-image://…``, ``oci-layout://…``, the address
    of a git repository or of a file."""
    ca_certificates: Path | None = None
    """PEM file of further certificate authorities, offered to steps without a trace."""
    lock: Lock | None = None
    """The lock to honour."""
    locked: bool = False
    """Fail when the lock is not exactly what the build resolves to."""
    compression: Compression = Compression.GZIP
    """How new layers are compressed."""
    whole: bool = False
    """Whether all layers of the image are to be in the store at the end, as an output needs."""
    source_date_epoch: int | None = None
    """Newest time of anything in a new layer; None: from base image and sources."""
    engine: str = "embedded"
    """What builds: ``embedded``, or the name of another engine, with ``=ADDRESS`` where it takes
    one."""
    reproducible: bool = False
    """``--reproducible``: the rules on noise are applied to what RUN steps write."""
    runtime: str | None = None
    """Sandbox to run steps in; None: the first that works."""
    offline: bool = False
    """Ask no registry and no archive: bases come from the store, packages as the lock recorded
    them, or else as the archives gave them last."""
    cache_from: tuple[CachePlace, ...] = ()
    """``--cache-from``: caches that are asked for what this store's lacks."""
    cache_to: tuple[CachePlace, ...] = ()
    """``--cache-to``: where the results of the steps are written."""
    only_cached: bool = False
    """Run nothing: stop at the first step that is not in the cache."""
    disturbance: Disturbance | None = None
    """Run every step under these circumstances; the cache gets nothing of it."""
    jobs: int = msgspec.field(default_factory=lambda: max(2, os.cpu_count() or 2))
    """Most steps that run side by side."""

    def secret(self, name: str) -> bytes | None:
        """The value of a secret; None where none has that id.

        `BuildError` when its file cannot be read.
        """
        for secret in self.secrets:
            if secret.id != name:
                continue
            if secret.env is not None:
                text = os.environ.get(secret.env)
                return None if text is None else text.encode("utf-8", "surrogateescape")
            try:
                return (secret.file or Path(name)).read_bytes()
            except OSError as error:
                raise BuildError(
                    f"cannot read the file of secret {name}: {error.strerror}", "check --secret"
                ) from error
        return None

    @property
    def beside(self) -> Path | None:
        """The file beside which a Dockerfile's own ignore file stands."""
        if self.dockerfile is None and self.context is not None and not self.origin:
            return self.context / "Dockerfile"
        return self.dockerfile

    @property
    def project(self) -> tuple[str, ...]:
        """What tells the builds of one Dockerfile from those of others."""
        places = (self.dockerfile, self.context)
        return (*(str(one and one.absolute()) for one in places), str(self.platform))
