"""What is asked of a Dockerfile without building it: checks, outline, targets."""

from __future__ import annotations

from oakum.builder.build import read_dockerfile
from oakum.builder.checking import around, check_before, finding, graph_of
from oakum.builder.images import images_for
from oakum.builder.request import BuildRequest
from oakum.dockerfile import Checked, Outline, Target, targets
from oakum.dockerfile import outline as outline_of
from oakum.progress import Progress, silent
from oakum.store import Store
from oakum.transport import RegistryOptions


def check(
    store: Store,
    request: BuildRequest,
    *,
    options: RegistryOptions | None = None,
    progress: Progress = silent,
) -> Checked:
    """What BuildKit's build checks find in a Dockerfile; nothing is built.

    Without a target every stage is checked.  Raises `DockerfileError` for a file that cannot be
    parsed; what stops a build later, such as a base that is not there, is in the result.
    """
    images = images_for(store, request, options, progress)
    return check_before(request, read_dockerfile(request), images)


def outline(
    store: Store,
    request: BuildRequest,
    *,
    options: RegistryOptions | None = None,
    progress: Progress = silent,
) -> Outline:
    """What the target of a build can be given: arguments, secrets, sockets, caches."""
    dockerfile = read_dockerfile(request)
    images = images_for(store, request, options, progress)
    base = finding(images, request, must=False)
    outside = around(request, dockerfile, base, default_target=True)
    target = graph_of(request, dockerfile, outside).target(request.target)
    return outline_of(dockerfile, target, outside)


def list_targets(request: BuildRequest) -> tuple[Target, ...]:
    """The stages of a Dockerfile, in order."""
    return targets(read_dockerfile(request))
