"""What came out of a build, as plain values that stand in a JSON file and can be compared.

Layers are read and merged here with nothing of oakum's: what judges is not what is judged.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Sequence
from typing import IO, Any

import msgspec

_SHORT = 60
_DAY = 86_400
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
_XATTR = "SCHILY.xattr."

Files = dict[str, str]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of a build."""

    case: str = ""
    """Mark of the case."""
    error: str | None = None
    """The message, where it failed."""
    on_base: bool = True
    """Whether the image stands on the base image."""
    files: Files = {}
    """Path → description, for what is not as in the base image; "gone" for what is missing."""
    config: dict[str, Any] = {}
    """The config's fields that are set, and the platform's."""
    history: list[str] = []
    """The lines since the base image's; a layer that holds nothing is marked."""


class _Inode:
    def __init__(self, text: str, mtime: int) -> None:
        self.text = text
        self.mtime = mtime


def merge(layers: Sequence[IO[bytes]]) -> Files:
    """The file system of a stack of layers (uncompressed tars), each path described.

    Names of one inode are those that a layer links to each other and no later layer replaces.
    """
    tree: dict[str, _Inode] = {}
    for layer in layers:
        below = dict(tree)
        members: list[tuple[str, _Inode]] = []
        placed: dict[str, _Inode] = {}
        with tarfile.open(fileobj=layer, mode="r:", encoding="utf-8") as tar:
            for member in tar:
                path = os.path.normpath(member.name).strip("/")
                base = os.path.basename(path)
                if base == ".wh..wh..opq":
                    _remove(tree, below, os.path.dirname(path), itself=False)
                elif base.startswith(".wh."):
                    gone = os.path.join(os.path.dirname(path), base.removeprefix(".wh."))
                    _remove(tree, below, gone, itself=True)
                elif path != ".":
                    inode = _inode(tar, member, placed)
                    placed[path] = inode
                    members.append((path, inode))
        for path, inode in members:
            there = tree.get(path)
            if there is not None and there.text.startswith("dir") > inode.text.startswith("dir"):
                _remove(tree, below, path, itself=False)
            tree[path] = inode
    return _described(tree)


def _remove(tree: dict[str, _Inode], below: dict[str, _Inode], path: str, *, itself: bool) -> None:
    inside = f"{path}/" if path and path != "." else ""
    for name in below:
        if (itself and name == path) or (name.startswith(inside) and name != path):
            tree.pop(name, None)


def _inode(tar: tarfile.TarFile, member: tarfile.TarInfo, placed: dict[str, _Inode]) -> _Inode:
    if member.islnk():
        return placed[os.path.normpath(member.linkname).strip("/")]
    words = [_KINDS[member.type], f"{member.mode & 0o7777:o}", f"{member.uid}:{member.gid}"]
    if member.isreg():
        content = tar.extractfile(member)
        assert content is not None
        words.append(_content(content.read()))
    elif member.issym():
        words = ["link", f"{member.uid}:{member.gid}", member.linkname]
    elif member.ischr() or member.isblk():
        words.append(f"{member.devmajor},{member.devminor}")
    for key, value in sorted(member.pax_headers.items()):
        if key.startswith(_XATTR):
            words.append(f"{key.removeprefix(_XATTR)}={value!a}")
    return _Inode(" ".join(words), int(member.mtime))


def _content(data: bytes) -> str:
    if len(data) <= _SHORT and (text := data.decode("utf-8", "replace")).encode() == data:
        return json.dumps(text)
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def _described(tree: dict[str, _Inode]) -> Files:
    names: dict[int, str] = {}
    found: Files = {}
    for path in sorted(tree):
        inode = tree[path]
        first = names.setdefault(id(inode), path)
        found[path] = f"{inode.text} @{inode.mtime}" if first == path else f"same as {first}"
    return found


def image_record(
    layers: Sequence[IO[bytes]], config: dict[str, Any], base: Files, base_history: int
) -> Record:
    """The record of an image."""
    files = merge(layers)
    base = base if base_history else {}
    changed = {path: text for path, text in files.items() if base.get(path) != text}
    changed.update({path: "gone" for path in base if path not in files})
    shown = {key: value for key, value in (config.get("config") or {}).items() if value}
    for key in ("architecture", "os", "variant", "author"):
        if config.get(key):
            shown[key] = config[key]
    lines = [
        line.get("created_by", "") + (" (empty)" if line.get("empty_layer") else "")
        for line in config.get("history") or []
    ]
    return Record(
        on_base=base_history > 0,
        files=dict(sorted(changed.items())),
        config=shown,
        history=lines[base_history:],
    )


def without_recent_times(record: Record) -> Record:
    """The record with times that are not older than a day left out: they are the builder's."""
    recent = time.time() - _DAY
    files = {}
    for path, text in record.files.items():
        body, at, mtime = text.rpartition(" @")
        files[path] = body if at and int(mtime) > recent else text
    return msgspec.structs.replace(record, files=files)


def differences(expected: Record, found: Record, base: Files) -> dict[str, tuple[object, object]]:
    """What differs, by name: ``file PATH``, ``config KEY``, ``history``, ``outcome``.

    A time that the expected record leaves out may be any.
    """
    if (expected.error is None) != (found.error is None):
        return {"outcome": (expected.error or "built", found.error or "built")}
    if expected.error is not None:
        return {}
    if expected.on_base != found.on_base:
        return {"history": (expected.history, found.history)}
    differ: dict[str, tuple[object, object]] = {}
    base = base if expected.on_base else {}
    for path in sorted({*expected.files, *found.files}):
        pair = (expected.files.get(path, base.get(path)), found.files.get(path, base.get(path)))
        if pair[0] != pair[1] and pair[0] != _timeless(pair[1]):
            differ[f"file {path}"] = pair
    for key in sorted({*expected.config, *found.config}):
        both = (expected.config.get(key), found.config.get(key))
        if both[0] != both[1]:
            differ[f"config {key}"] = both
    if expected.history != found.history:
        differ["history"] = (expected.history, found.history)
    return differ


def _timeless(text: str | None) -> str | None:
    return text.rpartition(" @")[0] or text if text is not None else None
