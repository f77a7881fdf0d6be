"""While a step runs: are the versions that it and those behind it pin still in the archive?

A pin that cannot be met is what breaks every pinned Dockerfile one day; it is told as soon as the
archive's indexes are read, with the versions that exist.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from oakum.builder import sandbox
from oakum.builder.state import StageState
from oakum.builder.steps import Workshop, place_of
from oakum.dockerfile import Instruction, Mention, allows
from oakum.errors import BuildError, OakumError, RepositoryError
from oakum.packages import has_dpkg, parse_status
from oakum.progress import Event, Progress
from oakum.tree import ImageTree, Tree

if TYPE_CHECKING:
    from oakum.repository import AptRepository

_OWN_SOURCES = re.compile(
    r"sources\.list|\.sources\b|add-apt-repository|extrepo|dpkg\s+--add-architecture|apt-key"
    r"|/etc/apt|\b(?:curl|wget)\s+(?:\\\s+)?(?:-|[\"'$]|https?:|ftp:)"
    r"|\|\s*(?:sudo\s+)?(?:ba|da|z)?sh\b|\bdpkg\s+(?:-i|--install)\b"
)
"""Scripts that may bring their own sources or packages."""
_PLAIN = {
    *("apt", "apt-get", "apt-mark", "rm", "mkdir", "touch", "ln", "chmod", "chown", "install"),
    *("true", ":", "set", "echo", "cd", "ldconfig", "locale-gen", "update-ca-certificates"),
    *("useradd", "groupadd", "adduser", "addgroup", "usermod"),
}
"""Programs that bring no package sources, with arguments that `_OWN_SOURCES` does not find."""
_BETWEEN = re.compile(r"[;&|\n]+")
_OPAQUE = re.compile(r"[`<>(){}]|\.deb\b|\s\./")
"""What a script may hide a command behind, and packages that are files."""
_NEAR_SOURCES = re.compile(r"/*(?:etc(?:/|$)|usr(?:/share)?/*$|$)|.*\$")
"""Targets of COPY where package sources or keyrings may come to lie."""
_STRICT = re.compile(r"set\s+-[a-z]*e")
_TOLERANT = re.compile(r"[;&|\n]")
"""What stands between commands of which one may fail."""
_MAX_AGE = 300.0
_PATIENCE = 10.0
"""Seconds that a step that failed waits for the cause."""
_SHOWN = 6


class PinCheck:
    """Looks for pinned versions in the image's repositories while a step runs.

    The step is judged, and with it those behind it in its stage, as far as their sources are the
    same: a pin that nothing can meet ends the step, before minutes go into what stands above it.
    A step that may do without what it asks for, or may bring sources of its own, is not judged;
    if it fails, what it asked for is told.  A step that succeeds is right.
    """

    def __init__(
        self, shop: Workshop, state: StageState, tree: Tree, instruction: Instruction
    ) -> None:
        self._shop = shop
        self._state = state
        self._over = False
        self._errors: dict[tuple[int, str], BuildError] = {}
        self._own = place_of(instruction)
        reached = _with_these_sources((instruction, *shop.following(instruction)))
        self._judged = {place_of(one) for one in reached if _is_certain(one)} - shop.judged
        places = {*self._judged, *(place_of(one) for one in reached[:1])} - shop.judged
        mentions = [
            mention
            for mention in shop.mentions()
            if mention.version
            and place_of(mention.instruction) in places
            and not _is_recorded(shop, mention)
        ]
        self._thread: threading.Thread | None = None
        files = shop.files(state.stack.layers, tree) if mentions else None
        if files is not None and has_dpkg(files):
            # It may wait for a server that never answers: nothing waits for it then.
            self._thread = threading.Thread(
                target=self._look, args=(files, mentions), name="check pins", daemon=True
            )
            self._thread.start()

    def _look(self, files: ImageTree, mentions: list[Mention]) -> None:
        with contextlib.suppress(OakumError):
            known = parse_status(files.read("var/lib/dpkg/status") or b"").values()
            there = {(p.name, p.version) for p in known if p.installed}
            wanted = [m for m in mentions if (m.package, m.version) not in there]
            # What was fetched a moment ago may lack what was published since.
            if wanted and self._missing(files, wanted, _MAX_AGE):
                self._errors = self._missing(files, wanted, 0.0)
            # Once is enough: a step behind this one is judged again only where its sources may
            # differ, and then it was not judged here.
            # What is found after the step is over nobody hears of: it counts for nothing.
            if not self._over:
                self._shop.judged.update(self._judged)

    def _missing(
        self, files: ImageTree, wanted: list[Mention], max_age: float
    ) -> dict[tuple[int, str], BuildError]:
        repository = _open(self._shop, self._state, files, max_age, self._tell)
        if repository is None:
            return {}
        errors: dict[tuple[int, str], BuildError] = {}
        try:
            for mention in wanted:
                error = _check(repository, self._state, mention)
                if error is not None:
                    errors.setdefault(place_of(mention.instruction), error)
        finally:
            repository.close()
        return errors

    def _tell(self, event: Event) -> None:
        if not self._over:
            self._shop.progress(event)

    def _verdict(self) -> BuildError | None:
        """The error of the first step that is sure to fail."""
        return next((e for place, e in self._errors.items() if place in self._judged), None)

    def is_set(self) -> bool:
        """Whether the step is of no use any more."""
        return self._verdict() is not None or self._shop.cancelled.is_set()

    def close(self, patience: float = 0.0) -> None:
        """The step is over; wait for what is under way, for so many seconds."""
        if self._thread is not None:
            self._thread.join(patience)
        self._over = True

    def succeeded(self) -> None:
        """`BuildError` when a step behind this one asks for what is not there."""
        self.close()
        self._errors.pop(self._own, None)
        error = self._verdict()
        if error is not None:
            raise error

    def failed(self, failure: OakumError) -> NoReturn:
        """Raises the failure, or what is known to be its cause."""
        if not self._shop.cancelled.is_set():
            self.close(_PATIENCE)
        error = self._verdict() or self._errors.get(self._own)
        if error is None:
            raise failure
        if self._verdict() is error:
            raise error from failure
        raise BuildError(f"{failure.what}; {error.what}", error.todo) from failure


@contextlib.contextmanager
def pins_checked(
    shop: Workshop, state: StageState, tree: Tree, instruction: Instruction, *, wanted: bool
) -> Iterator[sandbox.Cancelled]:
    """A time in which a step runs and its pins are looked for, if that is `wanted`.

    Gives what tells the step to end; `BuildError` when that was for a version that is in none of
    the image's repositories.
    """
    if not wanted:
        yield shop.cancelled
        return
    check = PinCheck(shop, state, tree, instruction)
    try:
        yield check
    except OakumError as failure:
        check.failed(failure)
    finally:
        check.close()
    check.succeeded()


def _is_certain(instruction: Instruction) -> bool:
    """Whether a RUN brings no sources, and fails when a command of it does."""
    if instruction.heredocs or not _leaves_sources(instruction):
        return False
    text = "\n".join(instruction.arguments).strip().rstrip(";").replace("&&", "")
    if _STRICT.match(text):
        text = text.replace(";", "").replace("\n", "")
    return not _TOLERANT.search(text)


def _is_recorded(shop: Workshop, mention: Mention) -> bool:
    """Whether the lock has a pinned version with everything that it was installed from."""
    lock = shop.request.lock
    return lock is not None and any(
        step.files
        and name.partition(":")[0] == mention.package
        and version == mention.version
        and shop.has_files(step.files.values())
        for step in lock.steps
        for name, version in step.packages.items()
    )


def recorded_files(
    shop: Workshop,
    state: StageState,
    tree: Tree,
    packages: Mapping[str, str] | None,
    files: Mapping[str, str],
) -> Mapping[str, str] | None:
    """What a locked step is to be installed from: the recorded `files`, or None for the archive.

    It is the recorded ones, where there are any, when no archive may be asked, and when the
    archive has not every one of the versions in `packages` any more and all files are kept here.
    """
    if shop.request.offline:
        shop.has_files(files.values())
        return files or None
    if not packages or not files or not shop.has_files(files.values()):
        return None
    image = shop.files(state.stack.layers, tree)
    status = image.read("var/lib/dpkg/status") or b""
    there = {(p.name, p.architecture, p.version) for p in parse_status(status).values()}
    repository = _open(shop, state, image, 0.0, shop.progress)
    if repository is None:
        return None
    try:
        for name, version in packages.items():
            package, _, architecture = name.partition(":")
            if not version or (package, architecture, version) in there:
                continue
            if version not in {o.version for o in repository.versions(package, architecture)}:
                text = f"the archive has no {package} {version} any more: installed as recorded"
                shop.progress(Event("preflight", "note", text))
                return files
    finally:
        repository.close()
    return None


def _with_these_sources(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The first RUN and those behind it, as long as what runs between leaves the sources alone."""
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
            if not _leaves_sources(instruction):
                break
    return runs


def _leaves_sources(instruction: Instruction) -> bool:
    """Whether a RUN is made of commands alone that are known to bring no package sources."""
    if instruction.json:
        return False
    scripts = [*instruction.arguments, *(h.content for h in instruction.heredocs)]
    text = "\n".join(scripts)
    commands = [piece.split() for piece in _BETWEEN.split(text) if piece.strip()]
    return not _OPAQUE.search(text) and all(words[0] in _PLAIN for words in commands)


def _open(
    shop: Workshop, state: StageState, files: ImageTree, max_age: float, progress: Progress
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
            progress=progress,
        )
    except RepositoryError as error:
        progress(Event("preflight", "note", f"the pinned versions were not checked: {error.what}"))
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
