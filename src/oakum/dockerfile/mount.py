"""``RUN --mount=…``: what is to be mounted while a step runs."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from oakum.errors import DockerfileError

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_KEYS = {
    "type": "type",
    "from": "from",
    "source": "source",
    "src": "source",
    "target": "target",
    "dst": "target",
    "destination": "target",
    "readonly": "readonly",
    "ro": "readonly",
    "readwrite": "readwrite",
    "rw": "readwrite",
    "required": "required",
    "size": "size",
    "id": "id",
    "sharing": "sharing",
    "mode": "mode",
    "uid": "uid",
    "gid": "gid",
    "env": "env",
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:([kmgtp])i?)?b?", re.IGNORECASE)
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Mount(msgspec.Struct, frozen=True):
    """One mount of a RUN, checked."""

    type: str = "bind"
    """``bind``, ``cache``, ``tmpfs``, ``secret`` or ``ssh``."""
    id: str = ""
    """Name of the cache, secret or agent socket."""
    source: str = ""
    """Path in `from_` (bind, cache); name of the secret where `id` is not given."""
    target: str = ""
    """Where it is mounted; empty where the type has a default."""
    from_: str = ""
    """Stage, image or build context that a bind or cache takes its files from."""
    readonly: bool = True
    """Default: false for cache and tmpfs, true for the others."""
    sharing: Literal["", "shared", "private", "locked"] = ""
    """How a cache is used by several builds at once; empty is ``shared``."""
    mode: int | None = None
    """Permission bits of a cache directory, secret or socket."""
    uid: int | None = None
    """Owner of a cache directory, secret or socket."""
    gid: int | None = None
    """Group of a cache directory, secret or socket."""
    required: bool = False
    """Whether a missing secret or socket is an error."""
    size: int | None = None
    """Limit of a tmpfs in bytes."""
    env: str | None = None
    """Environment variable that gets the secret; empty for its id."""


def parse_mount(value: str, expand: Callable[[str], str] | None = None) -> Mount:
    """The mount that a flag's `value` describes; `expand` is applied to each option's value.

    Options are read in order: ``required`` and ``size`` ask for the type before them.
    Raises `DockerfileError` for an unknown or misplaced option.
    """
    fields: dict[str, object] = {}
    for option in mount_options(value):
        _read(fields, option, expand)
    return _checked(fields)


def mount_options(value: str) -> list[str]:
    """The comma-separated options, with CSV's quoting removed."""
    try:
        rows = list(csv.reader([value], strict=True))
    except csv.Error as error:
        raise _wrong(f"cannot read {value[:200]!r}: {error}") from error
    return rows[0] if rows else []


def mount_source(value: str) -> str:
    """What ``from=`` names in a flag's `value`; it takes no variables, and the rest may."""
    pairs = [option.partition("=") for option in mount_options(value)]
    return next((text for key, _, text in reversed(pairs) if key.lower() == "from"), "")


def _read(fields: dict[str, object], option: str, expand: Callable[[str], str] | None) -> None:
    written, equals, value = option.partition("=")
    key = written.lower()
    name = _KEYS.get(key)
    if name is None:
        raise _wrong(f"unexpected key {key[:80]!r} in {option[:200]!r}", near(key, list(_KEYS)))
    if not equals and name not in ("readonly", "readwrite", "required"):
        raise _wrong(f"{option[:200]!r} needs a value", f"write {key}=…")
    if expand is not None and equals:
        value = expand(value)
    kind = fields.get("type", "bind")
    if (name == "required" and kind not in ("secret", "ssh")) or (
        name == "size" and kind != "tmpfs"
    ):
        raise _wrong(f"unexpected key {key!r} for mount type {str(kind)!r}")
    if name in ("readonly", "readwrite", "required"):
        truth = _truth(key, value) if equals else True
        fields["readonly" if name == "readwrite" else name] = truth != (name == "readwrite")
    elif name in ("type", "sharing"):
        known = TYPES if name == "type" else SHARING
        if value.lower() not in known:
            raise _wrong(f"unsupported mount {name} {value[:80]!r}", near(value, list(known)))
        fields[name] = value.lower()
    elif name in ("mode", "uid", "gid"):
        fields[name] = _number(name, value)
    elif name == "size":
        fields[name] = parse_size(value)
    else:
        fields["from_" if name == "from" else name] = value


def _checked(fields: dict[str, object]) -> Mount:
    kind = str(fields.get("type", "bind"))
    fields.setdefault("readonly", kind not in ("cache", "tmpfs"))
    mount = msgspec.convert(fields, Mount)
    if kind not in ("secret", "ssh", "cache"):
        for name in ("mode", "uid", "gid"):
            if name in fields:
                raise _wrong(f"{name} not allowed for {kind!r} mounts")
    if mount.sharing and kind != "cache":
        raise _wrong(f"sharing is for cache mounts, not for {kind!r}")
    if kind == "ssh" and mount.source:
        raise _wrong("an ssh mount has no source")
    if kind != "secret":
        return mount
    if mount.from_:
        raise _wrong("a secret mount has no 'from'")
    if not (mount.source or mount.target or mount.id):
        raise _wrong("a secret mount needs an id, a source or a target")
    if mount.source and mount.id:
        raise _wrong("a secret mount has an id or a source, not both")
    return mount


def parse_size(text: str) -> int:
    """Bytes; suffixes k, m, g, t, p are powers of 1024, with ``i`` and ``b`` allowed behind."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise _wrong(f"invalid size {text[:80]!r}", "write it as in 64m or 1g")
    power = "kmgtp".index(match[2].lower()) + 1 if match[2] else 0
    return int(float(match[1]) * 1024**power)


def near(word: str, known: list[str]) -> str:
    """A hint that names the known word that `word` was perhaps meant to be."""
    found = difflib.get_close_matches(word.lower(), [name.lower() for name in known], 1, 0.6)
    if not found:
        return f"known: {', '.join(sorted(known))}"
    meant = next(name for name in known if name.lower() == found[0])
    return f"did you mean {meant}?"


def _truth(key: str, value: str) -> bool:
    if value not in _TRUE and value not in _FALSE:
        raise _wrong(f"invalid value for {key}: {value[:80]!r}", "write true or false")
    return value in _TRUE


def _number(name: str, value: str) -> int:
    base = 8 if name == "mode" else 10
    digits = "01234567" if base == 8 else "0123456789"
    if not value or value.strip(digits) or int(value, base) >= 2**32:
        raise _wrong(f"invalid value {value[:80]!r} for {name}")
    return int(value, base)


def _wrong(why: str, hint: str = "") -> DockerfileError:
    return DockerfileError(f"--mount: {why}", hint or "see the Dockerfile reference, 'RUN --mount'")
