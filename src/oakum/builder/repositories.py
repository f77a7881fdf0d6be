"""Git repositories that a build takes files from: fetched once, checked out once a commit.

Below ``cache/git`` of the store each repository has a directory: ``objects.git``, what was fetched
of it, and in ``trees`` one directory a commit, made elsewhere and put there as a whole.  A ref is
asked for again by each build; a commit is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from oakum.builder.git import Git, GitFailed, check_agent, lines_of
from oakum.builder.git_address import GitAddress, is_commit
from oakum.builder.request import BuildRequest
from oakum.errors import BuildError, TransportError
from oakum.progress import Event, Progress, silent
from oakum.store import Store, discard

_HEAD = re.compile(r"^ref: (refs/heads/\S+)\tHEAD$", re.MULTILINE)


class Revision(msgspec.Struct, frozen=True):
    """What a ref of a repository stands for."""

    object: str
    """The commit, or the annotated tag that names it."""
    commit: str
    """The commit."""
    name: str
    """The ref's whole name; empty for a commit."""


class Repositories:
    """The repositories that one build uses."""

    def __init__(
        self,
        store: Store,
        request: BuildRequest,
        progress: Progress = silent,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._progress = progress
        self._request = request
        self._stopped = stopped

    def tree(self, address: GitAddress, *, keep_git_dir: bool = False) -> Path:
        """The directory with the files of a revision, or of the `subdir` of it.

        All their times are the commit's.  ``.git`` is there when it is kept, which a `subdir`
        never has.  `BuildError` when the repository, the ref or the directory is not there, or
        when the commit is not the one that the checksum asks for.
        """
        check_agent(address)
        keep = keep_git_dir and not address.subdir
        name = hashlib.sha256(address.remote.encode()).hexdigest()[:32]
        place = self._store.cache(f"git/{name}")
        (place / "trees").mkdir(exist_ok=True)
        with self._workplace() as work, self._store.place.serialised(f"git-{name[:3]}"):
            git = Git(address, self._request, work, self._stopped)
            if self._request.offline and not is_commit(address.ref):
                raise _not_asked(address)
            revision = _revision(git, address)
            tree = place / "trees" / _tree_name(revision, keep, address.submodules)
            if not tree.is_dir():
                if self._request.offline:
                    raise _not_asked(address)
                with self._told(address):
                    objects = place / "objects.git"
                    commit = _fetched(git, address, revision, objects)
                    take = revision if keep else None
                    made = _checked_out(git, address, commit, objects, work / "tree", take)
                    made.rename(tree)
            _check(address, revision)
            os.utime(place)
            return _below(tree, address)

    @contextlib.contextmanager
    def _told(self, address: GitAddress) -> Iterator[None]:
        task = f"git {address.remote}"
        self._progress(Event(task, "start", f"git {address.remote} {address.ref}".strip()))
        try:
            yield
        except BaseException:
            self._progress(Event(task, "failed"))
            raise
        self._progress(Event(task, "done"))

    @contextlib.contextmanager
    def _workplace(self) -> Iterator[Path]:
        work = Path(tempfile.mkdtemp(prefix="git-", dir=self._store.place.scratch))
        try:
            yield work
        finally:
            discard(work)


def _not_asked(address: GitAddress) -> TransportError:
    return TransportError(
        f"{address.remote} is not asked: oakum was told to stay offline",
        "name a commit that was fetched here before, or run once without --offline",
    )


def _tree_name(revision: Revision, keep: bool, submodules: bool) -> str:
    """What makes two checkouts of a repository the same; a kept ``.git`` has the ref's name."""
    kept = hashlib.sha256(revision.name.encode()).hexdigest()[:16] if keep else ""
    return "-".join((revision.object if keep else revision.commit, kept, "s" * submodules))


def _revision(git: Git, address: GitAddress) -> Revision:
    """What the address's ref stands for now, as git itself would choose: a branch before a tag."""
    ref = address.ref
    if is_commit(ref):
        return Revision(ref, ref, "")
    if address.by_commit:
        if not is_commit(address.checksum):
            raise BuildError(
                "fetch-by-commit requires a full commit SHA checksum", "write checksum=COMMIT"
            )
        name = ref if ref.startswith("refs/") or not ref else f"refs/heads/{ref}"
        return Revision(address.checksum, address.checksum, name)
    if not ref:
        found = _HEAD.search(git.run("ls-remote", "--symref", "--", address.remote, "HEAD"))
        if found is None:
            raise BuildError(
                f"could not find default branch for repository: {address.remote}", "name one: #REF"
            )
        ref = found[1]
    listed = git.run("ls-remote", "--", address.remote, ref, f"{ref}^{{}}")
    objects = {name: one for one, name in lines_of(listed) if is_commit(one)}
    short = ref.removeprefix("refs/")
    for name in (
        f"refs/{short}",
        f"refs/heads/{ref.removeprefix('refs/heads/')}",
        f"refs/tags/{ref.removeprefix('refs/tags/')}",
    ):
        if name in objects:
            peeled = objects.get(f"{name}^{{}}", objects[name])
            return Revision(objects[name], peeled, name)
    raise BuildError(
        f"repository does not contain ref {ref}: {address.remote}", "name a branch, tag or commit"
    )


def _check(address: GitAddress, revision: Revision) -> None:
    wanted = address.checksum
    if not revision.object.startswith(wanted) and not revision.commit.startswith(wanted):
        raise BuildError(
            f"expected checksum to match {wanted}, got {revision.commit}: {address.remote}",
            "check the ref and the commit",
        )


def _fetched(git: Git, address: GitAddress, revision: Revision, objects: Path) -> str:
    """The commit, whose files are among the objects from here on.

    One commit without its history is asked for; what a server does not do is asked for in another
    way, the whole of the repository last.
    """
    _check(address, revision)
    if not objects.is_dir():
        made = objects.with_name("objects.part")
        discard(made)
        form = ["--object-format=sha256"] if len(revision.object) == 64 else []
        git.run("init", "-q", "--bare", *form, "--", str(made))
        made.rename(objects)
    for lock in objects.glob("**/*.lock"):
        lock.unlink(missing_ok=True)
    wanted = revision.object
    kept = f"refs/oakum/{wanted}"
    whole = ["+refs/heads/*:refs/oakum/heads/*", "+refs/tags/*:refs/oakum/tags/*"]
    ways = [["--depth=1", f"+{wanted}:{kept}"]]
    if revision.name:
        ways.append(["--depth=1", f"+{revision.name}:{kept}"])
    ways.append(whole)
    failed: GitFailed | None = None
    for way in ways:
        if (commit := _commit_of(git, objects, wanted)) is not None:
            return commit
        deeper = ["--unshallow"] if way is whole and (objects / "shallow").exists() else []
        depth, refs = [w for w in way if w[0] == "-"], [w for w in way if w[0] != "-"]
        try:
            git.run(
                *("fetch", "-q", "--no-tags", "--no-write-fetch-head", *depth, *deeper),
                *("--", address.remote, *refs),
                place=objects,
            )
        except GitFailed as error:
            failed = error
    if (commit := _commit_of(git, objects, wanted)) is not None:
        return commit
    raise failed or BuildError(
        f"{address.remote} does not give the commit {wanted}", "check the commit"
    )


def _commit_of(git: Git, objects: Path, wanted: str) -> str | None:
    """The commit that an object is or names, when it and its files are there."""
    try:
        commit = git.run("rev-parse", "--verify", "-q", f"{wanted}^{{commit}}", place=objects)
        git.run("cat-file", "-e", f"{commit.strip()}^{{tree}}", place=objects)
    except GitFailed:
        return None
    git.run("update-ref", f"refs/oakum/{wanted}", wanted, place=objects)
    return commit.strip()


def _checked_out(
    git: Git, address: GitAddress, commit: str, objects: Path, tree: Path, kept: Revision | None
) -> Path:
    """The files of a commit; with ``.git``, which has the ref, where a revision is `kept`."""
    form = ["--object-format=sha256"] if len(commit) == 64 else []
    git.run("init", "-q", "--initial-branch=master", *form, "--", str(tree))
    git.run("remote", "add", "--", "origin", address.remote, place=tree)
    if kept is not None:
        wanted = f"+refs/oakum/{kept.object}:{kept.name}"
        git.run(
            *("fetch", "-q", "--no-tags", "--no-write-fetch-head", "--depth=1"),
            *("--", objects.as_uri(), wanted),
            place=tree,
        )
    else:
        # Objects are read where they are: nothing of .git stays.
        (tree / ".git/objects/info/alternates").write_text(f"{objects}/objects\n")
        (tree / ".git/shallow").write_text(f"{commit}\n")
    git.run("checkout", "-q", "--detach", commit, "--", place=tree)
    if address.submodules and os.path.lexists(tree / ".gitmodules"):
        git.run(
            *("submodule", "-q", "update", "--init", "--recursive", "--depth=1"),
            place=tree,
            own=False,
        )
    seconds = _seconds(git.run("show", "-s", "--format=%ct", commit, "--", place=tree))
    if kept is not None:
        # An index says where this machine's disk has the files; one that is read anew does not.
        git.run("read-tree", "HEAD", place=tree)
        git.run("config", "core.logallrefupdates", "true", place=tree)
        for index in (tree / ".git/modules").glob("**/index"):
            git.run("read-tree", "HEAD", place=index.parent, config={"core.bare": "true"})
    _finish(tree, seconds, keep=kept is not None)
    return tree


def _seconds(text: str) -> int:
    """A commit's time; 0 for one that no file could have."""
    found = re.fullmatch(r"\d{1,10}", text.strip())
    return int(found[0]) if found else 0


def _finish(tree: Path, seconds: int, *, keep: bool) -> None:
    """Remove what is git's own, and give everything one time."""
    for directory, folders, files in os.walk(tree):
        if not keep and ".git" in (*folders, *files):
            discard(Path(directory, ".git"))
            folders[:] = [name for name in folders if name != ".git"]
    for directory, folders, files in os.walk(tree):
        for name in (*folders, *files):
            os.utime(os.path.join(directory, name), (seconds, seconds), follow_symlinks=False)
    os.utime(tree, (seconds, seconds))


def _below(tree: Path, address: GitAddress) -> Path:
    """The directory that is wanted of a tree; a link on the way leads nowhere."""
    place = tree
    for part in filter(None, address.subdir.split("/")):
        place = place / part
        try:
            found = stat.S_ISDIR(os.lstat(place).st_mode) and part != ".git"
        except OSError:
            found = False
        if not found:
            raise BuildError(
                f"invalid subdir {address.subdir}: {part!r} is no directory of {address.remote}",
                "name a directory of the repository, not a link",
            )
    return place
