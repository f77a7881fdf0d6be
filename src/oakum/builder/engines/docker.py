"""The BuildKit of a docker daemon, through ``docker build``."""

from __future__ import annotations

import re

from oakum.builder.engines.buildkit import oci_output
from oakum.builder.engines.flags import docker_flags
from oakum.builder.engines.interface import Job
from oakum.builder.engines.process import Peer
from oakum.builder.request import BuildRequest
from oakum.errors import EngineError, UsageError
from oakum.transport import Location

_ENVIRONMENT = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
_CONTAINERD = "io.containerd.snapshotter"
_BUILDX_SINCE = 23
"""First docker whose ``docker build`` is buildx's, and whose daemon knows what that asks for."""
_ID = re.compile(r"sha256:[0-9a-f]{64}")


def make(address: str | None) -> Docker:
    """The daemon that docker's client speaks to (``DOCKER_HOST``, or docker's context)."""
    return Docker()


class Docker:
    """docker."""

    name = "docker"

    def __init__(self) -> None:
        self._recent = False

    def version(self, peer: Peer) -> str:
        """The versions of client and daemon."""
        told = peer.ask(["docker", "version", "--format={{.Client.Version}} {{.Server.Version}}"])
        words = told.last.split()
        if told.code or len(words) != 2:
            raise EngineError(
                f"no docker daemon answers: {told.last[:300]}",
                "start docker, set DOCKER_HOST, or let oakum build itself: --engine embedded",
            )
        self._recent = all(_major(word) >= _BUILDX_SINCE for word in words)
        return words[1]

    def refuse(self, request: BuildRequest) -> None:
        """What a docker before 23 does not know."""
        if self._recent:
            return
        for given, option in (
            (request.no_cache_filter, "--no-cache-filter"),
            (request.contexts, "--build-context"),
        ):
            if given:
                raise UsageError(
                    f"this docker does not know {option}", "use --engine buildkit, or --no-cache"
                )

    def build(self, job: Job, peer: Peer) -> Location:
        """Build into an archive where the daemon can, else into its images, and save that."""
        words = ["docker", "build", *docker_flags(job, named_stages=self._recent)]
        out = job.scratch / "image.tar"
        if self._gives_layouts(peer):
            words.append(f"--output={oci_output(job.request, out)}")
            peer.build([*words, str(job.context)], _ENVIRONMENT)
            return Location("oci-archive", path=out)
        note = job.scratch / "id"
        words.append(f"--iidfile={note}")
        peer.build([*words, str(job.context)], _ENVIRONMENT)
        saved = peer.run(["docker", "save", f"--output={out}", image_id(note.read_text())])
        if saved.code:
            raise EngineError(f"docker save failed: {saved.last[:300]}", "see docker's log")
        return Location("docker-archive", path=out)

    def _gives_layouts(self, peer: Peer) -> bool:
        """Whether the daemon keeps images in containerd: then its builder writes OCI layouts."""
        told = peer.ask(["docker", "info", "--format={{json .DriverStatus}}"])
        return self._recent and _CONTAINERD in told.last


def _major(version: str) -> int:
    digits = re.match(r"\d{1,4}", version)
    return int(digits[0]) if digits else 0


def image_id(text: str) -> str:
    """The image ID that a builder wrote into a file, checked."""
    found = text.strip()
    if not _ID.fullmatch(found):
        raise EngineError(f"not the ID of an image: {found[:100]!r}", "see what was built above")
    return found
