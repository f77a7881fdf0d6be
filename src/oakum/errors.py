"""One family of errors: each says what happened, to what, and what to do next.

A frontend prints ``error: {what}`` and, on a second line, ``hint: {todo}``.  A traceback is for
defects in oakum only, so everything that bad input, a bad network or a bad disk can cause is
raised as one of these.
"""

from __future__ import annotations

from typing import Self

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FINDINGS = 3
EXIT_PROOF = 4
EXIT_NOTHING = 10
EXIT_PARTLY = 11
EXIT_NOT_POSSIBLE = 12
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class OakumError(Exception):
    """What happened (`what`), what to do about it (`todo`), and the exit code that it means."""

    exit_code = EXIT_FAILED

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo

    def reworded(self, what: str) -> Self:
        """The same error, with all that it carries, in other words."""
        made = type(self).__new__(type(self), what)
        made.__dict__.update(self.__dict__)
        made.what = what
        return made


class UsageError(OakumError):
    """The arguments do not make sense: nothing was tried."""

    exit_code = EXIT_USAGE


class InvalidReference(UsageError):
    """An image reference that does not follow the reference grammar."""


class InvalidImage(OakumError):
    """A manifest, config, index or layer that breaks its specification or lies about itself."""


class DigestMismatch(InvalidImage):
    """Bytes that do not have the digest or size that was promised for them."""


class NotFound(OakumError):
    """An image, blob, tag or path that is not where it was looked for."""


class AccessDenied(OakumError):
    """A registry or a file system that refused."""


class TransportError(OakumError):
    """A registry, daemon or network that failed; trying again later may help."""


class StoreError(OakumError):
    """The local store could not be read or written (full disk, permissions, damage)."""


class DockerfileError(OakumError):
    """A Dockerfile that cannot be understood; `what` holds file, line and the line itself."""


class Unsupported(DockerfileError):
    """A construct that is valid and that oakum does not build yet; named, never skipped."""


class BuildError(OakumError):
    """A build step that failed."""


class EngineError(OakumError):
    """Another builder that is not there, does not answer, or cannot do what was asked of it."""


class SandboxError(OakumError):
    """No way to run a step on this machine."""


class RepositoryError(OakumError):
    """A package repository that cannot be read or must not be trusted."""


class NoRepository(RepositoryError):
    """An image whose packages cannot be looked up: no known database, or no package sources."""


class LockError(OakumError):
    """A lock file that is damaged, or out of date where it must not be."""


class LockNotKept(LockError):
    """A step that installed other versions than the lock asks for.

    `packages` are those packages, ``name:architecture``.
    """

    def __init__(self, what: str, todo: str = "", packages: tuple[str, ...] = ()) -> None:
        super().__init__(what, todo)
        self.packages = packages


class ReportError(OakumError):
    """A scanner report that is not one of the known formats."""


class PlanMoved(OakumError):
    """The world is not the one that a plan was made for."""


class ProofFailed(OakumError):
    """The image was made and did not pass verification; nothing was published.

    `result` is what the verb would have returned, with the problems that were found.
    """

    exit_code = EXIT_PROOF

    def __init__(self, what: str, todo: str = "", result: object = None) -> None:
        super().__init__(what, todo)
        self.result = result
