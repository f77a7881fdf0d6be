"""Package files and changelogs of a repository, kept in the cache once they were checked.

In the cache: ``packages/`` one file a digest, ``changelogs/`` one text a source version.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from oakum.errors import RepositoryError
from oakum.repository.interface import Candidate
from oakum.repository.place import file_digest, replaced, unwritable
from oakum.repository.sources import without_credentials
from oakum.repository.web import Web

_TRIES = 8


def download(candidate: Candidate, url: str, web: Web, cache: Path) -> Path:
    """The package file, of the signed size and digest; a cut download is continued.

    `RepositoryError` when the server has another file or none.
    """
    shown = without_credentials(url)
    if not candidate.sha256:
        raise RepositoryError(
            f"the index that names {shown} gives no SHA256 for it",
            "oakum uses no package without a signed digest; tell the repository's owner",
        )
    path = cache / "packages" / f"{candidate.sha256}.deb"
    if _is_kept(path, candidate):
        return path
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_kept(path, candidate):
                return path
            _fill(file, candidate, url, web, f"package {candidate.package} {candidate.version}")
            os.fsync(file.fileno())
            os.replace(part, path)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def _is_kept(path: Path, candidate: Candidate) -> bool:
    try:
        if path.stat().st_size != candidate.size:
            return False
        with path.open("rb") as file:
            return file_digest(file, "sha256") == candidate.sha256
    except OSError:
        return False


def _fill(file: IO[bytes], candidate: Candidate, url: str, web: Web, task: str) -> None:
    shown = without_credentials(url)
    continued = file.seek(0, 2) > 0
    while True:
        if file.seek(0, 2) >= candidate.size:
            file.truncate(0)
            continued = False
        status = web.save(url, file, candidate.size, task, resume=True)
        if status != 200 and not (continued and status == 416):
            raise RepositoryError(
                f"{shown} cannot be had (HTTP {status})",
                "the mirror is out of step with its index; try again, or use another mirror",
            )
        file.seek(0)
        if file_digest(file, "sha256") == candidate.sha256:
            return
        file.truncate(0)
        if not continued:
            raise RepositoryError(
                f"{shown} does not have the size and digest that the signed index gives",
                "the mirror is damaged or something on the way changed the file; use another one",
            )
        continued = False


def changelog(siblings: Sequence[tuple[Candidate, str]], web: Web, cache: Path) -> str | None:
    """The Debian changelog of a source version, out of one of its binary packages.

    `siblings` are the packages of that version with their URLs.  Packages that are in the cache
    come first, then the smallest; a few are tried, since some ship only a link to another's.
    """
    if not siblings:
        return None
    first = siblings[0][0]
    key = hashlib.sha256(f"{first.source}\n{first.source_version}".encode("utf-8", "replace"))
    kept = cache / "changelogs" / key.hexdigest()
    try:
        return kept.read_bytes().decode("utf-8", "replace")
    except OSError:
        pass
    from oakum.repository.deb import changelog_of

    here = cache / "packages"
    order = sorted(
        siblings, key=lambda pair: (not (here / f"{pair[0].sha256}.deb").exists(), pair[0].size)
    )
    for candidate, url in order[:_TRIES]:
        text = changelog_of(download(candidate, url, web, cache))
        if text is not None:
            with replaced(kept) as file:
                file.write(text.encode("utf-8", "replace"))
            return text
    return None
