"""Where a build's context is: a directory, standard input, a git repository, an http(s) address.

The rules are those of ``docker buildx build``.  What is not a directory of this machine becomes
one for the time of the build; ``.dockerignore`` does not apply to it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from oakum.builder.archives import is_archive, unpack
from oakum.builder.context import Directory
from oakum.builder.downloads import Downloads, is_web_address, shown_address
from oakum.builder.git_address import GitAddress, parse_git_address
from oakum.builder.ignore import Ignore, read_ignore_file
from oakum.builder.repositories import Repositories
from oakum.builder.request import BuildRequest
from oakum.dockerfile import LOCK_NAME
from oakum.errors import BuildError, DockerfileError, UsageError
from oakum.layer.read import max_layer_bytes
from oakum.progress import Progress, silent
from oakum.store import Store, discard, guarded

STDIN = "-"
_KEEP_GIT = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"
_MAX_DOCKERFILE = 16 << 20
_IMAGES = ("docker-image://", "oci-layout://")
_HTTP_FILE = "context"


class Place(msgspec.Struct, frozen=True):
    """Where a build context is."""

    text: str
    """As it was written."""
    kind: Literal["directory", "stdin", "git", "http"]
    """What that means."""
    git: GitAddress | None = None
    """The repository, where it is one."""

    @property
    def directory(self) -> Path | None:
        """The directory, where it is one of this machine."""
        return Path(self.text).resolve() if self.kind == "directory" else None

    @property
    def shown(self) -> str:
        """The place for people: without name and password."""
        return "standard input" if self.kind == "stdin" else shown_address(self.text)


def parse_place(text: str) -> Place:
    """What the CONTEXT of a build names; `UsageError` when that is nothing."""
    if text == STDIN:
        return Place(text, "stdin")
    path = Path(text)
    if text and path.is_dir():
        return Place(text, "directory")
    git = parse_git_address(text)
    if git is None and text.startswith("github.com/"):
        git = parse_git_address(_with_suffix(f"https://{text}"))
    if git is not None:
        return Place(text, "git", git)
    if is_web_address(text):
        return Place(text, "http")
    what = "is not a directory" if text and path.exists() else "does not exist"
    raise UsageError(
        f"the build context {text[:200]!r} {what}",
        "name a directory, -, a git repository (….git) or an http(s) address",
    )


def _with_suffix(address: str) -> str:
    """``github.com/owner/name`` may leave the ``.git`` out."""
    plain, mark, rest = address.partition("#")
    return plain.removesuffix(".git") + ".git" + mark + rest


@contextmanager
def opened_context(
    store: Store,
    request: BuildRequest,
    place: Place,
    file: str | None,
    stdin: BinaryIO,
    progress: Progress = silent,
) -> Iterator[BuildRequest]:
    """The request with the context and the Dockerfile that `place` and ``-f FILE`` name.

    What was made for it lies in the store's scratch and is gone afterwards.  `UsageError` when
    both are to come from standard input; `BuildError` for a context that is damaged or not there.
    """
    if file == STDIN and place.kind == "stdin":
        raise UsageError(
            "can't use stdin for both build context and dockerfile", "give one of them as a file"
        )
    if place.directory is not None and not _elsewhere(file):
        path = Path(file).absolute() if file else None
        yield msgspec.structs.replace(request, context=place.directory, dockerfile=path)
        return
    work = Path(tempfile.mkdtemp(prefix="context-", dir=store.place.scratch))
    try:
        yield _Opening(store, request, place, work, stdin, progress).with_file(file)
    finally:
        discard(work)


def _elsewhere(file: str | None) -> bool:
    """Whether ``-f`` names no file: standard input or an address."""
    return file is not None and (file == STDIN or is_web_address(file))


class _Opening:
    """A context that is being made ready below `work`."""

    def __init__(
        self,
        store: Store,
        request: BuildRequest,
        place: Place,
        work: Path,
        stdin: BinaryIO,
        progress: Progress,
    ) -> None:
        self._store = store
        self._request = request
        self._place = place
        self._work = work
        self._stdin = stdin
        self._downloads = Downloads(store, request, progress)
        self._repositories = Repositories(store, request, progress)

    def with_file(self, file: str | None) -> BuildRequest:
        place = self._place
        if file is not None and _elsewhere(file):
            text = self._text_of(file)
            made = self._context(file)
            lock = self._inside(made, LOCK_NAME)
            origin = "standard input" if file == STDIN else shown_address(file)
            return msgspec.structs.replace(
                made, dockerfile=None, dockerfile_text=text, lock_file=lock, origin=origin
            )
        made = self._context(file)
        if made.dockerfile_text is not None:
            return made
        if file is not None and place.kind != "stdin" and os.path.isabs(file):
            return msgspec.structs.replace(made, dockerfile=Path(file))
        name = str(made.dockerfile or file or "Dockerfile")
        dockerfile = self._inside(made, name)
        if not dockerfile.exists():
            raise DockerfileError(
                f"there is no {name} in the build context from {place.shown}", "name it with -f"
            )
        lock = self._inside(made, os.path.join(os.path.dirname(name), LOCK_NAME))
        return msgspec.structs.replace(
            made, dockerfile=dockerfile, lock_file=lock, origin=place.shown
        )

    def _context(self, file: str | None) -> BuildRequest:
        """The request with the context alone; from a Dockerfile on stdin with its text as well."""
        place, request = self._place, self._request
        if place.kind == "directory":
            return msgspec.structs.replace(request, context=place.directory)
        if place.git is not None:
            keep = request.build_args.get(_KEEP_GIT, "").lower() in ("1", "t", "true")
            keep = keep or bool(place.git.keep_git_dir)
            root = self._repositories.tree(place.git, keep_git_dir=keep)
            return self._unpacked(root, owners=False)
        mtime = 0
        if place.kind == "http":
            got = self._downloads.fetch(place.text)
            source, mtime = self._downloads.path(got), got.mtime
        else:
            source = self._spooled()
        root = self._work / "root"
        if is_archive(source):
            unpack(source, root, f"the build context from {place.shown}")
            return self._unpacked(root, owners=True)
        root.mkdir()
        if place.kind == "http":
            # An address that is no archive is a Dockerfile, which the context then holds.
            _copy(source, root / _HTTP_FILE, mtime)
            made = self._unpacked(root, owners=False)
            return msgspec.structs.replace(made, dockerfile=Path(_HTTP_FILE))
        if file is not None:
            raise UsageError(
                "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
                "leave -f out, or give the context as a tar",
            )
        made = self._unpacked(root, owners=False)
        return msgspec.structs.replace(
            made,
            dockerfile_text=_read(source, "the Dockerfile on standard input"),
            lock_file=root / LOCK_NAME,
            origin=place.shown,
        )

    def _unpacked(self, root: Path, *, owners: bool) -> BuildRequest:
        return msgspec.structs.replace(
            self._request, context=root, ignores=False, context_owners=owners
        )

    def _text_of(self, file: str) -> bytes:
        if file == STDIN:
            return _limited(self._stdin.read(_MAX_DOCKERFILE + 1), "the Dockerfile on stdin")
        got = self._downloads.fetch(file)
        return _read(self._downloads.path(got), shown_address(file))

    def _spooled(self) -> Path:
        """What standard input gives, as a file."""
        path = self._work / "stdin"
        limit = max_layer_bytes()
        with path.open("wb") as file, guarded("keep the build context"):
            while piece := self._stdin.read(1 << 20):
                file.write(piece)
                if file.tell() > limit:
                    raise BuildError(
                        f"the build context is larger than {limit} bytes",
                        "if it is really that large, raise OAKUM_MAX_LAYER_BYTES",
                    )
        if not path.stat().st_size:
            raise UsageError(
                "there is nothing on standard input", "pipe a Dockerfile or a tar into oakum"
            )
        return path

    def _inside(self, made: BuildRequest, name: str) -> Path:
        """Where a file of the context really is; a link leads to no place outside of it.

        `DockerfileError` for what is there and is no file.
        """
        assert made.context is not None
        inner = Directory(self._store, made.context, Ignore(())).resolve(name)
        path = made.context / inner
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise DockerfileError(
                f"{name} of the build context is not a file: {self._place.shown}", "name it with -f"
            )
        return path


def _read(path: Path, what: str) -> bytes:
    with path.open("rb") as file:
        return _limited(file.read(_MAX_DOCKERFILE + 1), what)


def _limited(raw: bytes, what: str) -> bytes:
    if len(raw) > _MAX_DOCKERFILE:
        raise DockerfileError(f"{what} is larger than 16 MiB", "is it a Dockerfile?")
    return raw


def _copy(source: Path, target: Path, mtime: int) -> None:
    with guarded("keep the build context"):
        shutil.copyfile(source, target)
        target.chmod(0o600)
        os.utime(target, (mtime, mtime))


def is_image(text: str) -> bool:
    """Whether a ``--build-context`` names an image."""
    return text.startswith(_IMAGES)


def named_directory(
    store: Store, repositories: Repositories, downloads: Downloads, name: str, text: str
) -> Directory:
    """The directory that ``--build-context NAME=TEXT`` names: local, of git, or a file of http(s).

    As with BuildKit a file from an address is called ``context`` and stays packed.
    """
    if text.startswith("target:"):
        raise UsageError(
            f"--build-context {name}={text[:80]}: targets are for docker buildx bake",
            "name the stage in the Dockerfile, or build it and give docker-image://NAME",
        )
    git = parse_git_address(text)
    if git is not None:
        return Directory(store, repositories.tree(git), Ignore(()))
    if is_web_address(text):
        got = downloads.fetch(text)
        root = Path(tempfile.mkdtemp(prefix="named-", dir=store.place.scratch))
        _copy(downloads.path(got), root / _HTTP_FILE, got.mtime)
        return Directory(store, root, Ignore(()))
    if "://" in text:
        raise UsageError(
            f"--build-context {name}: {text[:120]} is no place that a context can be at",
            "name a directory, docker-image://…, oci-layout://…, a git or an http(s) address",
        )
    root = Path(text).absolute()
    if not root.is_dir():
        raise UsageError(f"--build-context {name}: {root} is not a directory", "check it")
    return Directory(store, root, read_ignore_file(root / ".dockerignore"))
