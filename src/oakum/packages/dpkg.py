"""dpkg's database, read from an image's layers without running anything.

Format: Debian policy 5 (control files), deb-control(5), dpkg's ``status`` file, and the
``status.d`` folder of distroless images with one stanza a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from oakum.errors import InvalidImage
from oakum.layer import LayerIndex, known_kept
from oakum.oci import Digest
from oakum.packages.interface import Package
from oakum.store import Store
from oakum.tree import ImageTree

STATUS = "var/lib/dpkg/status"
STATUS_D = "var/lib/dpkg/status.d"
INFO = "var/lib/dpkg/info"
_WANTED = frozenset(
    (b"package", b"version", b"architecture", b"status", b"source", b"conffiles", b"essential")
)
_MAX_STANZAS = 200_000
_CONFFILE_FLAGS = (" remove-on-upgrade", " obsolete")


def stanzas(raw: bytes) -> Iterator[dict[bytes, bytes]]:
    """The fields that oakum uses of every stanza, names in lower case.

    Takes what dpkg takes: CRLF line ends, blank lines with spaces, no final newline.
    """
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n")
    for number, block in enumerate(raw.split(b"\n\n")):
        if number > _MAX_STANZAS:
            raise InvalidImage("a package database of more than 200000 stanzas", "the image is odd")
        fields = _fields(block)
        if fields:
            yield fields


def _fields(block: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    name = b""
    for line in block.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if name == b"conffiles":
                fields[name] = fields.get(name, b"") + b"\n" + line
            continue
        key, colon, value = line.partition(b":")
        name = key.lower()
        if colon and name in _WANTED:
            fields[name] = value.strip()
    return fields


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _package(fields: dict[bytes, bytes], layer: int, database: str) -> Package | None:
    name, version = _text(fields.get(b"package", b"")), _text(fields.get(b"version", b""))
    if not name or not version:
        return None
    source, _, rest = _text(fields.get(b"source", b"")).partition(" ")
    want, flag, state = "install", "ok", "installed"
    if b"status" in fields:
        words = _text(fields[b"status"]).split()
        if len(words) == 3:
            want, flag, state = words
    return Package(
        name,
        version,
        _text(fields.get(b"architecture", b"")),
        source or name,
        rest.strip(" ()") or version,
        installed=state not in ("not-installed", "config-files"),
        held=want == "hold",
        state=f"{flag} {state}",
        layer=layer,
        database=database,
        conffiles=_conffiles(fields.get(b"conffiles", b"")),
        essential=fields.get(b"essential", b"").lower() == b"yes",
    )


def _conffiles(raw: bytes) -> tuple[tuple[str, str], ...]:
    found = []
    for line in raw.decode("utf-8", "surrogateescape").split("\n"):
        rest = line.strip()
        for flag in _CONFFILE_FLAGS:
            rest = rest.removesuffix(flag)
        path, _, digest = rest.rpartition(" ")
        if path.startswith("/"):
            found.append((path.strip().lstrip("/"), digest))
    return tuple(found)


def parse_status(
    raw: bytes, layer: int = -1, database: str = STATUS
) -> dict[tuple[str, str], Package]:
    """The packages of one status file by name and architecture; of duplicates the last wins."""
    found: dict[tuple[str, str], Package] = {}
    for fields in stanzas(raw):
        package = _package(fields, layer, database)
        if package:
            found[package.key] = package
    return found


def read_dpkg(store: Store, indexes: Sequence[LayerIndex], files: ImageTree) -> tuple[Package, ...]:
    """Every package that dpkg's database of the image names, each with the layer it came by.

    A package belongs to the lowest layer since which the database has it at its version, and
    installed if it is so now.
    """
    now = _current(files)
    brought: dict[tuple[str, str], Package] = {}
    for number, index in enumerate(indexes):
        there = _layer_packages(store, index, number)
        if there is None:
            continue
        for key in brought.keys() - there.keys():
            if now.get(key) is not None and now[key].database == STATUS:
                del brought[key]
        for key, package in there.items():
            if key not in brought or not _same(brought[key], package):
                brought[key] = package
    packages = []
    for key, package in sorted(now.items()):
        known = key in brought and _same(brought[key], package)
        layer = brought[key].layer if known else -1
        packages.append(msgspec.structs.replace(package, layer=layer))
    return tuple(packages)


def _same(one: Package, other: Package) -> bool:
    return (one.version, one.installed) == (other.version, other.installed)


def _layer_packages(
    store: Store, index: LayerIndex, number: int
) -> dict[tuple[str, str], Package] | None:
    """What this layer's own copy of the database names; None if it has none."""
    names = [
        entry.path
        for entry in index.entries
        if entry.path == STATUS.encode() or entry.path.startswith(STATUS_D.encode() + b"/")
    ]
    if not names:
        return None
    kept = known_kept(store, Digest(index.diff_id))
    found: dict[tuple[str, str], Package] = {}
    for name in names:
        if name in kept and not name.endswith(b".md5sums"):
            found |= parse_status(kept[name], number, name.decode("utf-8", "replace"))
    return found


def _current(files: ImageTree) -> dict[tuple[str, str], Package]:
    found: dict[tuple[str, str], Package] = {}
    raw = files.read(STATUS)
    if raw is not None:
        found |= parse_status(raw)
    for name in files.list(STATUS_D):
        path = f"{STATUS_D}/{name}"
        if not name.endswith(".md5sums") and (raw := files.read(path)) is not None:
            found |= parse_status(raw, database=path)
    return found


def has_dpkg(files: ImageTree) -> bool:
    """Whether the image has a dpkg database at all."""
    return files.read(STATUS) is not None or bool(files.list(STATUS_D))


def info_file(files: ImageTree, package: Package, kind: str) -> bytes | None:
    """A file of dpkg's info folder, such as ``list`` or ``md5sums``, or None.

    Packages that may be co-installed for several architectures have theirs in the file's name.
    """
    if package.database != STATUS:
        return files.read(f"{package.database}.{kind}") if kind == "md5sums" else None
    for name in (f"{package.name}.{kind}", f"{package.name}:{package.architecture}.{kind}"):
        raw = files.read(f"{INFO}/{name}")
        if raw is not None:
            return raw
    return None


def owned_paths(files: ImageTree, package: Package) -> tuple[str, ...]:
    """The paths that a package's list names, relative, in its order."""
    raw = info_file(files, package, "list")
    if raw is None:
        sums = info_file(files, package, "md5sums")
        return tuple(path for path, _ in parse_md5sums(sums)) if sums else ()
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    return tuple(line.lstrip("/") for line in lines if line not in ("", "/."))


def parse_md5sums(raw: bytes) -> list[tuple[str, str]]:
    """(path, md5) of every line of a package's md5sums file."""
    found = []
    for line in raw.decode("utf-8", "surrogateescape").split("\n"):
        digest, _, path = line.partition("  ")
        if len(digest) == 32 and path:
            found.append((path.lstrip("/").removeprefix("./"), digest))
    return found


def diversions(files: ImageTree, package: str = "") -> dict[str, str]:
    """Diverted path → where it was diverted to (dpkg-divert(1)), both relative.

    A package's own diversions do not hold for itself, so those of `package` are left out.
    """
    raw = files.read("var/lib/dpkg/diversions")
    if raw is None:
        return {}
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    return {
        lines[at].lstrip("/"): lines[at + 1].lstrip("/")
        for at in range(0, len(lines) - 2, 3)
        if lines[at + 2] != package or not package
    }


_BROKEN = {
    "half-installed": "its installation was not completed",
    "unpacked": "it is unpacked but not configured",
    "half-configured": "its configuration failed or was not completed",
    "triggers-awaited": "it waits for triggers of other packages",
    "triggers-pending": "it has triggers that were not processed",
}


def audit(files: ImageTree, packages: Sequence[Package]) -> list[str]:
    """What ``dpkg --audit`` would complain of, one line each."""
    problems = []
    for package in packages:
        flag, _, state = package.state.partition(" ")
        name = f"{package.name}:{package.architecture} {package.version}"
        if flag == "reinstreq":
            problems.append(f"{name}: it must be installed again")
        if state in _BROKEN:
            problems.append(f"{name}: {_BROKEN[state]}")
        if not package.architecture:
            problems.append(f"{name}: it has no architecture")
        if state != "installed" or package.database != STATUS:
            continue
        for kind, what in (("list", "its list of files"), ("md5sums", "its list of checksums")):
            if info_file(files, package, kind) is None:
                problems.append(f"{name}: {what} is missing")
    return problems
