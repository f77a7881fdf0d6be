"""What a build is asked to do, in the words of docker's command line.

Every value stands in one word with its option, so that none is taken for an option itself.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from oakum.builder.engines.interface import Job
from oakum.builder.request import BuildRequest, Secret


def listed(*fields: str) -> str:
    """Fields joined by commas, quoted where one of them has a comma or a quote (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(fields)
    return out.getvalue()


def docker_flags(job: Job, *, named_stages: bool) -> list[str]:
    """The options of ``docker build`` and ``docker buildx build``.

    `named_stages` says whether the command knows ``--no-cache-filter`` and ``--build-context``.
    """
    request = job.request
    flags = ["--progress=plain", f"--file={job.dockerfile}", f"--platform={request.platform}"]
    flags += shared_flags(request)
    if request.source_date_epoch is not None:
        flags.append(f"--build-arg=SOURCE_DATE_EPOCH={request.source_date_epoch}")
    flags += [f"--secret={_secret(secret)}" for secret in request.secrets]
    if request.no_cache or (job.fresh and not named_stages):
        flags.append("--no-cache")
    else:
        flags += [f"--no-cache-filter={stage}" for stage in sorted(job.fresh)]
    return flags


def shared_flags(request: BuildRequest) -> list[str]:
    """The options that docker and buildah have the same words for."""
    flags = [f"--build-arg={name}={value}" for name, value in request.build_args.items()]
    if request.target is not None:
        flags.append(f"--target={request.target}")
    flags += [f"--label={name}={value}" for name, value in request.labels.items()]
    if request.network != "default":
        flags.append(f"--network={request.network}")
    flags += [f"--add-host={name}:{address}" for name, address in request.add_hosts]
    flags += [f"--build-context={name}={_place(to)}" for name, to in request.contexts.items()]
    return flags


def _place(context: str) -> str:
    """The place of a named context; a directory by its whole path."""
    return context if "://" in context else str(Path(context).absolute())


def _secret(secret: Secret) -> str:
    if secret.file is not None:
        return listed(f"id={secret.id}", f"src={secret.file.absolute()}")
    return listed(f"id={secret.id}", "type=env", f"env={secret.env}")
