"""Before a step runs: are the versions that it pins still in the archive?

A pin that cannot be met is what breaks every pinned Dockerfile one day; it is told before
anything runs, with the versions that exist.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oakum.builder.state import StageState
from oakum.builder.steps import Workshop
from oakum.dockerfile import Instruction, Mention, allows
from oakum.errors import BuildError, RepositoryError
from oakum.packages import has_dpkg, parse_status
from oakum.progress import Event
from oakum.tree import ImageTree, Tree

if TYPE_CHECKING:
    from oakum.repository import AptRepository

_OWN_SOURCES = re.compile(
    r"sources\.list|\.sources\b|add-apt-repository|extrepo|dpkg\s+--add-architecture|apt-key"
    r"|/etc/apt|\b(?:curl|wget)\s+(?:\\\s+)?(?:-|[\"'$]|https?:|ftp:)"
    r"|\|\s*(?:sudo\s+)?(?:ba|da|z)?sh\b|\bdpkg\s+(?:-i|--install)\b"
)
"""Scripts that may bring their own sources or packages."""
_NEAR_SOURCES = re.compile(r"/*(?:etc(?:/|$)|usr(?:/share)?/*$|$)|.*\$")
"""Targets of COPY where package sources or keyrings may come to lie."""
_MAX_AGE = 300.0
_SHOWN = 6


def check_pins(shop: Workshop, state: StageState, tree: Tree, instruction: Instruction) -> None:
    """`BuildError` when a pinned version is in none of the image's repositories.

    The step that is about to run is judged, and with it those behind it in its stage, as far as
    their sources are the same: a pin that nothing can meet is told before minutes go into what
    stands above it.  A step that changes the sources itself is not judged, and neither is one
    whose repositories cannot be read from here: it will speak for itself when it runs.
    """
    judged = _with_these_sources((instruction, *shop.following(instruction)))
    places = {(one.first_line, one.original) for one in judged}
    mentions = [
        mention
        for mention in shop.mentions()
        if (mention.instruction.first_line, mention.instruction.original) in places
        and mention.version is not None
    ]
    if not mentions:
        return
    files = shop.files(state.stack.layers, tree)
    if not has_dpkg(files):
        return
    status = files.read("var/lib/dpkg/status")
    there = {(p.name, p.version) for p in parse_status(status or b"").values() if p.installed}
    wanted = [m for m in mentions if (m.package, m.version) not in there]
    if wanted and _missing(shop, state, files, wanted, _MAX_AGE):
        # What was fetched a moment ago may lack what was published since.
        error = _missing(shop, state, files, wanted, 0.0)
        if error is not None:
            raise error


def _with_these_sources(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The RUNs up to the first instruction that may bring other sources or packages."""
    runs = []
    for instruction in instructions:
        if instruction.keyword in ("COPY", "ADD"):
            target = instruction.arguments[-1] if instruction.arguments else "/"
            if not target.startswith("/") or _NEAR_SOURCES.match(target):
                break
        if instruction.keyword == "RUN":
            scripts = [instruction.original, *(h.content for h in instruction.heredocs)]
            if any(_OWN_SOURCES.search(script) for script in scripts):
                break
            runs.append(instruction)
    return runs


def _missing(
    shop: Workshop, state: StageState, files: ImageTree, wanted: list[Mention], max_age: float
) -> BuildError | None:
    repository = _open(shop, state, files, max_age)
    if repository is None:
        return None
    try:
        errors = [_check(repository, state, mention) for mention in wanted]
    finally:
        repository.close()
    return next((error for error in errors if error is not None), None)


def _open(
    shop: Workshop, state: StageState, files: ImageTree, max_age: float
) -> AptRepository | None:
    # Reading repositories is needed only when a step really runs.
    from oakum.repository import open_apt

    try:
        return open_apt(
            files,
            state.platform.debian_architecture(),
            shop.store.cache("apt"),
            max_age=max_age,
            ca_certificates=shop.request.ca_certificates,
            progress=shop.progress,
        )
    except RepositoryError as error:
        shop.progress(
            Event("preflight", "note", f"the pinned versions were not checked: {error.what}")
        )
        return None


def _check(repository: AptRepository, state: StageState, mention: Mention) -> BuildError | None:
    architecture = mention.architecture or state.platform.debian_architecture()
    offers = repository.versions(mention.package, architecture)
    wanted = mention.version or ""
    if any(allows(wanted, offer.version) for offer in offers):
        return None
    if not offers:
        return BuildError(
            f"line {mention.line}: the archive has no package {mention.package}, "
            f"of which {wanted} is pinned",
            "check the name, and that the image's sources have its suite and component",
        )
    existing = ", ".join(dict.fromkeys(offer.version for offer in offers[:_SHOWN]))
    return BuildError(
        f"line {mention.line}: {mention.package}={wanted} is not in the archive any more, "
        f"which has {existing}",
        "'oakum bump --write' raises the pin to the nearest version that is there",
    )
