"""``oakum.lock``: the resolved versions of a Dockerfile, in TOML, meant for git diffs.

For each ``FROM`` the digest that its name resolved to; for each step that installed packages, the
packages and the versions that it installed, and the archives' files that it read, a line each.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping

import msgspec

from oakum.errors import LockError
from oakum.oci import Digest, is_digest

LOCK_NAME = "oakum.lock"
_VERSION = 1
_MAX_BYTES = 16 << 20


class LockedBase(msgspec.Struct, frozen=True):
    """What a ``FROM`` (or ``COPY --from=image``) resolved to."""

    image: str
    """The reference after expansion, as the Dockerfile names it."""
    platform: str
    """The platform that it was resolved for."""
    digest: Digest
    """Digest of the manifest or index that the name stood for."""


class LockedStep(msgspec.Struct, frozen=True):
    """What one RUN installed."""

    stage: str
    """Name of the stage, or its number."""
    run: int
    """Number of the RUN among the stage's, from 1."""
    platform: str
    """The platform that it ran on."""
    command: str
    """First digits of the digest of the command, to find the step when lines move."""
    packages: Mapping[str, str]
    """``name:architecture`` → version; an empty version for a package that it removed."""
    files: Mapping[str, str] = {}
    """What it was given by package archives: URL → SHA-256 in hex."""


class Lock(msgspec.Struct, frozen=True):
    """A lock."""

    bases: tuple[LockedBase, ...] = ()
    """The base images."""
    steps: tuple[LockedStep, ...] = ()
    """The steps that installed packages."""

    def of_platform(self, platform: str) -> Lock:
        """The part of the lock that speaks of one platform, sorted."""
        bases = [base for base in self.bases if base.platform == platform]
        steps = [step for step in self.steps if step.platform == platform]
        return Lock(
            tuple(sorted(bases, key=lambda base: base.image)),
            tuple(sorted(steps, key=lambda step: (step.stage, step.run))),
        )

    def base(self, image: str, platform: str) -> Digest | None:
        """The digest that `image` is locked at."""
        for base in self.bases:
            if base.image == image and base.platform == platform:
                return base.digest
        return None

    def step(self, stage: str, run: int, platform: str, command: str) -> LockedStep | None:
        """The entry of a step: by its command within the stage, else by its number."""
        of_stage = [s for s in self.steps if s.stage == stage and s.platform == platform]
        by_command = [s for s in of_stage if s.command == command]
        if len(by_command) == 1:
            return by_command[0]
        for step in by_command or of_stage:
            if step.run == run:
                return step
        return None


def command_mark(command: str) -> str:
    """The mark that finds a step again: of its words, so that white space does not count."""
    words = " ".join(command.split()).encode("utf-8", "surrogateescape")
    return hashlib.sha256(words).hexdigest()[:12]


def parse_lock(raw: bytes, name: str = LOCK_NAME) -> Lock:
    """The lock in `raw`; `LockError` naming what is wrong."""
    if len(raw) > _MAX_BYTES:
        raise LockError(f"{name} has more than {_MAX_BYTES} bytes", "write it again: oakum lock")
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LockError(
            f"{name} is not TOML: {error}", "resolve the conflict, or write it again: oakum lock"
        ) from error
    if document.get("version") != _VERSION:
        raise LockError(
            f"{name} has version {document.get('version')!r}, this oakum reads {_VERSION}",
            "use the oakum that wrote it, or write it again: oakum lock",
        )
    try:
        bases = msgspec.convert(document.get("base", []), tuple[LockedBase, ...])
        steps = msgspec.convert(document.get("step", []), tuple[LockedStep, ...])
    except msgspec.ValidationError as error:
        raise LockError(f"{name}: {error}", "write it again: oakum lock") from error
    for base in bases:
        if not is_digest(base.digest):
            raise LockError(f"{name}: {base.digest!r} is not a digest", "oakum lock writes it")
    return Lock(bases, steps)


def format_lock(lock: Lock) -> bytes:
    """The lock as it is written: sorted, one fact a line."""
    lines = [
        "# Written by oakum: the versions that the Dockerfile beside it resolved to.",
        "# 'oakum lock' writes it anew, 'oakum rebuild --write' raises what has a fix.",
        f"version = {_VERSION}",
    ]
    for base in sorted(lock.bases, key=lambda b: (b.image, b.platform)):
        lines += ["", "[[base]]"]
        lines += [f"{key} = {_quoted(getattr(base, key))}" for key in base.__struct_fields__]
    for step in sorted(lock.steps, key=lambda s: (s.stage, s.run, s.platform)):
        lines += ["", "[[step]]", f"stage = {_quoted(step.stage)}", f"run = {step.run}"]
        lines += [f"platform = {_quoted(step.platform)}", f"command = {_quoted(step.command)}"]
        lines += ["", "[step.packages]"]
        lines += [f"{_quoted(k)} = {_quoted(v)}" for k, v in sorted(step.packages.items())]
        if step.files:
            lines += ["", "[step.files]"]
            lines += [f"{_quoted(k)} = {_quoted(v)}" for k, v in sorted(step.files.items())]
    return ("\n".join(lines) + "\n").encode()


def _quoted(text: str) -> str:
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\\x7f' else c for c in text)
    return f'"{escaped}"'
