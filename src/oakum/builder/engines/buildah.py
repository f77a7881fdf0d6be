"""buildah: no daemon, its own storage as cache."""

from __future__ import annotations

from oakum.builder.engines.docker import image_id
from oakum.builder.engines.flags import shared_flags
from oakum.builder.engines.interface import Job
from oakum.builder.engines.process import Peer
from oakum.builder.request import BuildRequest, Secret
from oakum.errors import EngineError, UsageError
from oakum.transport import Location

_NO_LOGINS: dict[str, str | None] = {"DOCKER_CONFIG": None, "REGISTRY_AUTH_FILE": None}
"""Writing an archive takes no login, and a file of them that is not there is an error to it."""


def make(address: str | None) -> Buildah:
    """The buildah of this machine."""
    return Buildah()


class Buildah:
    """buildah."""

    name = "buildah"

    def version(self, peer: Peer) -> str:
        """Its version."""
        told = peer.ask(["buildah", "--version"])
        words = told.last.split()
        if told.code or len(words) < 3:
            raise EngineError(f"buildah does not answer: {told.last[:300]}", "try it by hand")
        return words[2]

    def refuse(self, request: BuildRequest) -> None:
        """Options that buildah has no word for."""
        if request.no_cache_filter:
            raise UsageError("buildah does not know --no-cache-filter", "use --no-cache")
        for name, to in request.contexts.items():
            if to.startswith("oci-layout://"):
                raise UsageError(
                    f"buildah cannot take --build-context {name} from an OCI layout",
                    "give it a directory or docker-image://…",
                )
        for secret in request.secrets:
            if "," in f"{secret.id}{secret.file or ''}{secret.env or ''}":
                raise UsageError(
                    f"buildah cannot take --secret {secret.id}: there is a comma in it",
                    "give it another name or place",
                )

    def build(self, job: Job, peer: Peer) -> Location:
        """Build, one layer an instruction, and write the image as docker's archive.

        Only that keeps what OCI's config has no field for: HEALTHCHECK, SHELL, ONBUILD.
        """
        note = job.scratch / "id"
        words = ["buildah", "build", "--layers", "--format=docker", "--identity-label=false"]
        words += [f"--iidfile={note}", *_flags(job)]
        peer.build([*words, str(job.context)])
        built = image_id(note.read_text())
        push = ["buildah", "push", "--quiet", built, "docker-archive:image.tar"]
        pushed = peer.run(push, env=_NO_LOGINS, cwd=job.scratch)
        if pushed.code:
            raise EngineError(f"buildah push failed: {pushed.last[:300]}", "try it by hand")
        return Location("docker-archive", path=job.scratch / "image.tar")


def _flags(job: Job) -> list[str]:
    request = job.request
    flags = [f"--file={job.dockerfile}", f"--ignorefile={job.ignore}"]
    flags += [f"--platform={request.platform}", *shared_flags(request)]
    if request.source_date_epoch is not None:
        flags.append(f"--timestamp={request.source_date_epoch}")
    flags += [f"--secret={_secret(secret)}" for secret in request.secrets]
    if request.no_cache or job.fresh:
        flags.append("--no-cache")
    if job.plain_hosts:
        _require_all_plain(job)
        flags.append("--tls-verify=false")
    return flags


def _require_all_plain(job: Job) -> None:
    if job.hosts != job.plain_hosts:
        raise UsageError(
            "buildah speaks to all registries with TLS or to all without; the images need both: "
            + ", ".join(sorted(job.hosts)),
            "use another engine, or images of one kind of registry",
        )


def _secret(secret: Secret) -> str:
    if secret.file is not None:
        return f"id={secret.id},src={secret.file.absolute()}"
    return f"id={secret.id},src={secret.env},type=env"
