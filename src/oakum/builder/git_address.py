"""Addresses of git repositories, as BuildKit reads them in ADD, contexts and ``--build-context``.

``https://host/path.git#ref:directory`` and, for newer Dockerfiles, the same in a query:
``?ref=…&subdir=…&checksum=…``; ssh also as ``user@host:path``.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import msgspec

from oakum.errors import DockerfileError

_PROTOCOL = re.compile(r"([a-zA-Z0-9]+)://")
_SCP = re.compile(r"[a-zA-Z0-9_-]+@([a-zA-Z0-9.-]+):(.*?)(?:\?(.*?))?(?:#(.*))?", re.DOTALL)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-/]|//|[/.]$|\.lock$")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PLAIN = ("ref", "tag", "branch", "subdir", "checksum", "commit", "mtime")
_SWITCHES = ("keep-git-dir", "submodules", "fetch-by-commit")
_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True", ""), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class GitAddress(msgspec.Struct, frozen=True):
    """A repository and what is wanted of it."""

    remote: str
    """Address that git is given; without name and password, and without what follows it."""
    login: str = ""
    """``name:password`` of an http(s) address."""
    ref: str = ""
    """Branch, tag or commit; empty for the repository's own choice."""
    subdir: str = ""
    """Directory of the repository; empty for all of it."""
    checksum: str = ""
    """First digits of the commit that it must be."""
    keep_git_dir: bool | None = None
    """Whether ``.git`` is wanted, where the address says so."""
    submodules: bool = True
    """Whether submodules are wanted."""
    by_commit: bool = False
    """Whether the checksum is fetched, without asking what the ref stands for."""

    @property
    def scheme(self) -> str:
        """``https``, ``http``, ``ssh`` or ``git``."""
        found = _PROTOCOL.match(self.remote)
        return found[1].lower() if found else "ssh"

    @property
    def host(self) -> str:
        """Host and port."""
        if _PROTOCOL.match(self.remote):
            return urlsplit(self.remote).netloc.rpartition("@")[2]
        return self.remote.partition("@")[2].partition(":")[0]


def is_commit(text: str) -> bool:
    """Whether a ref is a whole commit id."""
    return _COMMIT.fullmatch(text) is not None


def parse_git_address(text: str) -> GitAddress | None:
    """What an address says; None when it is none of a git repository.

    `DockerfileError` for one that is, and asks for what there is not.
    """
    found = _PROTOCOL.match(text)
    if found is None:
        return _scp(text)
    if found[1].lower() not in ("http", "https", "ssh", "git"):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        if ".git" in text:
            raise DockerfileError(
                f"{_shown(text)} is not an address: {error}", "check it"
            ) from error
        return None
    scheme = parts.scheme.lower()
    if scheme in ("http", "https") and not unquote(parts.path).endswith(".git"):
        return None
    login, at, host = parts.netloc.rpartition("@")
    netloc = parts.netloc
    if scheme in ("http", "https"):
        netloc = host
    elif at:
        login = ""
    if _CONTROL.search(text):
        raise DockerfileError(f"{_shown(text)!r} is not an address", "leave control characters out")
    plain = urlunsplit(parts._replace(scheme=scheme, netloc=netloc, query="", fragment=""))
    return _with_options(plain, host, unquote(login), parts.query, parts.fragment)


def _scp(text: str) -> GitAddress | None:
    if text.startswith(("./", "../")):
        return None
    found = _SCP.fullmatch(text)
    if found is None:
        return None
    remote = text[: found.end(2)]
    return _with_options(remote, found[1], "", found[3] or "", found[4] or "")


def _with_options(remote: str, host: str, login: str, query: str, fragment: str) -> GitAddress:
    if not host or host.startswith("-") or _UNSAFE.search(remote):
        raise DockerfileError(f"{_shown(remote)} is not an address of a git repository", "check it")
    ref, _, directory = fragment.partition(":")
    ref, directory = unquote(ref), unquote(directory)
    options = _options(query)
    ref = _agreed("ref", ref, options.get("ref", ""))
    for name, place in (("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if name in options:
            ref = _agreed("ref", ref, place + options[name].removeprefix(place))
    subdir = _agreed("subdir", _cleaned(directory), _cleaned(options.get("subdir", "")))
    if _CONTROL.search(subdir):
        raise DockerfileError(f"invalid subdir {subdir[:80]!r}", "name a directory")
    if ref and _NO_REF.search(ref):
        raise DockerfileError(f"invalid git ref {ref[:80]!r}", "name a branch, tag or commit")
    if options.get("mtime", "commit") not in ("checkout", "commit"):
        raise DockerfileError(f"invalid mtime value: {options['mtime'][:40]!r}", "write commit")
    checksum = _agreed("checksum", options.get("checksum", ""), options.get("commit", ""))
    keep = options.get("keep-git-dir")
    return GitAddress(
        remote,
        login,
        ref,
        subdir,
        checked_commit(checksum),
        None if keep is None else _truth("keep-git-dir", keep),
        _truth("submodules", options.get("submodules", "true")),
        _truth("fetch-by-commit", options.get("fetch-by-commit", "false")),
    )


def checked_commit(text: str) -> str:
    """A commit id or its first digits; `DockerfileError` for what is none."""
    if text and re.fullmatch(r"[0-9a-f]{1,64}", text.lower()) is None:
        raise DockerfileError(
            f"invalid checksum {text[:80]} for Git URL, expected hex commit hash",
            "write the commit's id, or its first digits",
        )
    return text.lower()


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, values in parse_qs(query, keep_blank_values=True).items():
        if name not in (*_PLAIN, *_SWITCHES):
            raise DockerfileError(
                f"unexpected query {name[:40]!r} of a git repository",
                f"it may have {', '.join((*_PLAIN, *_SWITCHES))}",
            )
        if len(values) > 1:
            raise DockerfileError(f"query {name!r} has multiple values", "give one")
        if not values[0] and name in _PLAIN:
            raise DockerfileError(f"query {name!r} has no value", "give one, or leave it out")
        found[name] = values[0]
    return found


def _agreed(what: str, one: str, other: str) -> str:
    if one and other and one != other:
        raise DockerfileError(f"{what} conflicts: {one[:80]!r} vs {other[:80]!r}", "give one")
    return one or other


def _truth(name: str, text: str) -> bool:
    if text not in _TRUTHS:
        raise DockerfileError(f"invalid {name} value: {text[:40]!r}", "write true or false")
    return _TRUTHS[text]


def _cleaned(path: str) -> str:
    return posixpath.normpath("/" + path).strip("/")


def _shown(text: str) -> str:
    """An address for people: without name and password."""
    return re.sub(r"//[^/]*@", "//", text)[:200]
