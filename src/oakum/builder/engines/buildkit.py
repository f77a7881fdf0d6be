"""BuildKit through ``docker buildx``: the builder that buildx uses, or one at an address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oakum.builder.engines.flags import docker_flags, listed
from oakum.builder.engines.interface import Job
from oakum.builder.engines.process import Peer
from oakum.builder.request import BuildRequest
from oakum.errors import EngineError, UsageError
from oakum.transport import Location

_ADDRESS = re.compile(r"(tcp|unix|ssh|docker-container|podman-container|kube-pod)://[^\s,]+")
_BUILDER = "oakum"
_ENVIRONMENT = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def make(address: str | None) -> BuildKit:
    """The builder that buildx uses, or the one at `address`."""
    if address is not None and not _ADDRESS.fullmatch(address):
        raise UsageError(
            f"not an address of a BuildKit: {address[:120]!r}",
            "write tcp://HOST:PORT, unix:///SOCKET or docker-container://NAME",
        )
    return BuildKit(address)


class BuildKit:
    """BuildKit."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self.name = f"buildkit={address}" if address else "buildkit"

    def version(self, peer: Peer) -> str:
        """The version of buildx; the builder itself is asked when it builds."""
        return buildx_version(peer)

    def refuse(self, request: BuildRequest) -> None:
        """All options can be handed over."""

    def build(self, job: Job, peer: Peer) -> Location:
        """Build into an archive with an OCI layout."""
        with self._builder(job, peer) as (chosen, env):
            words = ["docker", "buildx", "build", *chosen, *docker_flags(job, named_stages=True)]
            out = job.scratch / "image.tar"
            words.append(f"--output={oci_output(job.request, out)}")
            peer.build([*words, str(job.context)], {**_ENVIRONMENT, **env})
        return Location("oci-archive", path=out)

    @contextmanager
    def _builder(self, job: Job, peer: Peer) -> Iterator[tuple[list[str], dict[str, str | None]]]:
        """How a builder at an address is named; buildx's own notes of it are as short-lived."""
        if self._address is None:
            yield [], {}
            return
        env: dict[str, str | None] = {"BUILDX_CONFIG": str(job.scratch / "buildx")}
        make = ["docker", "buildx", "create", f"--name={_BUILDER}", "--driver=remote"]
        made = peer.ask([*make, self._address], env)
        if made.code:
            raise EngineError(
                f"docker buildx does not take the address {self._address}: {made.last[:300]}",
                "check the address",
            )
        yield [f"--builder={_BUILDER}"], env


def buildx_version(peer: Peer) -> str:
    """The version of ``docker buildx``; `EngineError` without it."""
    told = peer.ask(["docker", "buildx", "version"])
    if told.code:
        raise EngineError(
            "docker has no buildx, with which --engine buildkit builds",
            "install docker-buildx, or use --engine docker or --engine embedded",
        )
    words = told.last.split()
    return f"buildx {words[1]}" if len(words) > 1 else told.last[:60]


def oci_output(request: BuildRequest, out: Path) -> str:
    """The value of ``--output`` for an OCI layout in a tar."""
    fields = ["type=oci", f"dest={out}", f"compression={request.compression}"]
    if request.source_date_epoch is not None:
        fields.append("rewrite-timestamp=true")
    return listed(*fields)
