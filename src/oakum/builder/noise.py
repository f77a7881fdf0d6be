"""What differs between two package installs that install the same, and is of no use in an image.

One rule a row.  A rule is about what a RUN wrote; it is applied to the step's upper directory
before that becomes a layer.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Literal

import msgspec

from oakum.layer.disk import keep_time, kept_xattrs, place_whiteout
from oakum.layer.paths import WHITEOUT
from oakum.tree import Tree

How = Literal["leave out", "empty", "settle days"]
_DAY = 86_400
_MAX_ACCOUNTS = 16 << 20


class Rule(msgspec.Struct, frozen=True):
    """What is done with some of the files that a step wrote."""

    pattern: str
    """Regular expression of the whole path, relative to the root."""
    how: How
    """``leave out``: it is not in the image, whatever lies below; ``empty``: without content;
    ``settle days``: the days of password changes are not later than the layer's newest time."""
    why: str
    """What it is."""


RULES: tuple[Rule, ...] = (
    Rule(
        r"var/log/(journal/.*|.*\.(gz|bz2|xz|zst))",
        "leave out",
        "journals and compressed logs (apt's eipp.log.xz), which cannot be empty",
    ),
    Rule(r"var/log/.*", "empty", "logs of apt, dpkg, update-alternatives and others"),
    Rule(
        r"var/cache/ldconfig/aux-cache",
        "leave out",
        "inode numbers and times of libraries; ldconfig makes it again",
    ),
    Rule(
        r"(.*/)?__pycache__(/.*)?",
        "leave out",
        "compiled Python: times of sources and, before Python 3.11, sets in a random order",
    ),
    Rule(r"var/cache/apt/(src)?pkgcache\.bin", "leave out", "apt's cache; apt makes it again"),
    Rule(r"var/cache/debconf/.*-old", "leave out", "debconf's backups"),
    Rule(r"var/lib/dpkg/[^/]*-old", "leave out", "dpkg's backups"),
    Rule(
        r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-",
        "leave out",
        "backups of the accounts; which one is left depends on the order of installation",
    ),
    Rule(r"etc/shadow", "settle days", "the day on which an account was made"),
    Rule(r"etc/machine-id", "empty", "a machine's identity; systemd fills an empty one"),
    Rule(r"var/lib/dbus/machine-id", "leave out", "the same identity; dbus makes it again"),
    Rule(
        r"var/lib/(systemd|urandom)/random-seed",
        "leave out",
        "a seed that must not be in two containers",
    ),
    Rule(
        r"var/cache/(fontconfig|man)/.*",
        "leave out",
        "caches with times of directories; fontconfig and man-db make them again",
    ),
    Rule(
        r"(root|home/[^/]+)/\.cache/pip(/.*)?",
        "leave out",
        "pip's cache of downloads, with their times",
    ),
    Rule(
        r"(root|home/[^/]+)/\.npm/(_cacache|_logs|_update-notifier-last-checked)(/.*)?",
        "leave out",
        "npm's cache of downloads and its logs, with their times",
    ),
    Rule(r"(root|home/[^/]+)/\.wget-hsts", "leave out", "when wget spoke to which host"),
    Rule(
        r"tmp/(hsperfdata_[^/]+|apt-key-gpghome\.[^/]+|apt\.(conf|data|sig)\.[^/]+|"
        r"npm-[0-9]+-[^/]+|pip-[a-z]+-[^/]+|v8-compile-cache[^/]*|node-compile-cache)(/.*)?",
        "leave out",
        "what Java, apt, npm, pip and node leave behind, under names that change with each run",
    ),
)
"""The first rule that matches a path counts."""

_COMPILED = tuple((re.compile(rule.pattern.encode(), re.DOTALL), rule) for rule in RULES)


def rule_of(path: bytes) -> Rule | None:
    """The rule for a path relative to the root."""
    return next((rule for pattern, rule in _COMPILED if pattern.fullmatch(path)), None)


def quieten(upper: Path, below: Tree, epoch: int, *, marked: bool = False) -> bool:
    """Apply the rules to a step's upper directory, whose lower layers are `below`.

    Returns whether a rule was applied that goes by `epoch`.

    No directory of it is opaque (see `unfold`).

    Links are not followed, and a file's other names keep its content.  What is left out hides what
    lies below its path, as the step had replaced that.  `marked` says that whiteouts are files with
    marked names.
    """
    work = _Quieting(os.fsencode(upper), below, epoch, marked)
    todo = [b""]
    for path in todo:
        todo += work.directory(path)
    for path in reversed(todo[1:]):
        work.without_empty(path)
    return work.by_time


class _Quieting:
    def __init__(self, top: bytes, below: Tree, epoch: int, marked: bool) -> None:
        self._top = top
        self._below = below
        self._day = max(1, epoch // _DAY)
        self._marked = marked
        self.by_time = False

    def place(self, path: bytes) -> bytes:
        return self._top + b"/" + path if path else self._top

    def directory(self, path: bytes) -> list[bytes]:
        """Apply the rules to the files in a directory; the directories in it."""
        here = self.place(path)
        info = os.lstat(here)
        with os.scandir(here) as listing:
            items = [(one.name, one.is_dir(follow_symlinks=False)) for one in listing]
        inside: list[bytes] = []
        for name, is_directory in items:
            at = path + b"/" + name if path else name
            if is_directory:
                inside.append(at)
            elif (rule := rule_of(at)) and not (self._marked and name.startswith(WHITEOUT)):
                self._file(at, rule)
        keep_time(here, info)
        return inside

    def without_empty(self, path: bytes) -> None:
        """Leave out a directory in which the rules left nothing."""
        rule = rule_of(path)
        if rule is None or rule.how != "leave out" or self._below.at(path) is not None:
            return
        here = self.place(path)
        if not os.listdir(here):
            parent = os.path.dirname(here)
            info = os.lstat(parent)
            os.rmdir(here)
            keep_time(parent, info)

    def _file(self, path: bytes, rule: Rule) -> None:
        place = self.place(path)
        info = os.lstat(place)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            return
        if rule.how == "leave out":
            os.unlink(place)
            if self._below.at(path) is not None:
                place_whiteout(place, self._marked)
        elif stat.S_ISREG(info.st_mode):
            self.by_time |= rule.how == "settle days"
            content = b"" if rule.how == "empty" else self._settled(place, info)
            if content is not None and (content or info.st_size):
                _replace(place, info, content)

    def _settled(self, place: bytes, info: os.stat_result) -> bytes | None:
        """The accounts without days that are later than the epoch's; None if there are none."""
        if info.st_size > _MAX_ACCOUNTS:
            return None
        with open(place, "rb", opener=_unfollowed) as file:
            lines = file.read().split(b"\n")
        settled = [self._settled_line(line) for line in lines]
        return b"\n".join(settled) if settled != lines else None

    def _settled_line(self, line: bytes) -> bytes:
        """A line of shadow(5): the third field is the day of the last change, 0 asks for one."""
        fields = line.split(b":")
        if len(fields) < 3 or not fields[2].isdigit() or len(fields[2]) > 9:
            return line
        fields[2] = b"%d" % min(int(fields[2]), self._day)
        return b":".join(fields)


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _replace(place: bytes, info: os.stat_result, content: bytes) -> None:
    """Another file in the place of one, with its owner, mode, attributes and time."""
    xattrs = kept_xattrs(place)
    os.unlink(place)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(place, flags, 0o600), "wb") as file:
        file.write(content)
    os.chown(place, info.st_uid, info.st_gid, follow_symlinks=False)
    os.chmod(place, stat.S_IMODE(info.st_mode))
    for name, value in (xattrs or {}).items():
        os.setxattr(place, name, value, follow_symlinks=False)
    keep_time(place, info)
