"""Symbolic links are followed as the kernel follows them inside the image's root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oakum.layer import Entry, Kind, LayerIndex
from oakum.tree import Tree

_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10


class _How(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def kernel_resolve(root: int, path: bytes) -> bytes | None:
    """Where the kernel gets to from the directory `root`, as if it were ``/`` (openat2(2))."""
    how = _How(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.syscall(_OPENAT2, root, path, ctypes.byref(how), ctypes.sizeof(how))
    if handle < 0:
        return None
    try:
        here, top = (os.readlink(b"/proc/self/fd/%d" % fd) for fd in (handle, root))
        return here[len(top) :].lstrip(b"/")
    finally:
        os.close(handle)


def can_resolve() -> bool:
    if platform.machine() not in ("x86_64", "aarch64", "riscv64"):
        return False
    handle = os.open("/", os.O_PATH)
    try:
        return kernel_resolve(handle, b".") == b""
    finally:
        os.close(handle)


needs_openat2 = pytest.mark.skipif(not can_resolve(), reason="needs openat2(2)")

NAMES = [b"a", b"b", b"c"]
steps = st.lists(st.sampled_from([*NAMES, *NAMES, b"..", b".", b""]), min_size=1, max_size=6)
targets = st.builds(
    lambda lead, parts: lead + b"/".join(parts), st.sampled_from([b"", b"/", b"../"]), steps
).filter(bool)


@st.composite
def farms(draw: st.DrawFn) -> dict[bytes, Entry]:
    """Directories, files and many symbolic links to each other."""
    made: dict[bytes, Entry] = {}
    directories = [b""]
    for _ in range(draw(st.integers(1, 14))):
        parent = draw(st.sampled_from(directories))
        name = draw(st.sampled_from(NAMES))
        path = parent + b"/" + name if parent else name
        if path in made:
            continue
        kind = draw(st.sampled_from([Kind.DIRECTORY, Kind.SYMLINK, Kind.SYMLINK, Kind.FILE]))
        made[path] = Entry(path, kind, link=draw(targets) if kind is Kind.SYMLINK else b"")
        if kind is Kind.DIRECTORY:
            directories.append(path)
    return made


def tree_of(farm: dict[bytes, Entry]) -> Tree:
    return Tree.of([LayerIndex("", 0, tuple(farm.values()))])


@contextlib.contextmanager
def on_disk(farm: dict[bytes, Entry], place: Path) -> Iterator[int]:
    """The farm as a directory, open."""
    root = os.fsencode(tempfile.mkdtemp(dir=place))
    for path, entry in farm.items():
        where = root + b"/" + path
        if entry.kind is Kind.DIRECTORY:
            os.mkdir(where)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.link, where)
        else:
            os.close(os.open(where, os.O_CREAT | os.O_WRONLY))
    handle = os.open(root, os.O_PATH)
    try:
        yield handle
    finally:
        os.close(handle)
        shutil.rmtree(root)


def links(*pairs: tuple[bytes, bytes], directories: tuple[bytes, ...] = ()) -> dict[bytes, Entry]:
    made = {path: Entry(path, Kind.DIRECTORY) for path in directories}
    return made | {path: Entry(path, Kind.SYMLINK, link=target) for path, target in pairs}


@needs_openat2
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(farms(), st.lists(targets, min_size=3, max_size=8))
@example(links((b"a", b"b"), (b"b", b"a")), [b"a", b"a/c"])
@example(links((b"a", b"../../b/./"), directories=(b"b", b"b/c")), [b"a/c/..", b"a/../a/c"])
@example({b"a": Entry(b"a", Kind.FILE)}, [b"a/", b"a/.", b"a/..", b"a", b"/a//"])
@example({b"a": Entry(b"a", Kind.FILE)} | links((b"b", b"a/")), [b"b", b"b/..", b"b/."])
def test_a_path_leads_where_the_kernel_gets_to(
    tmp_path: Path, farm: dict[bytes, Entry], paths: list[bytes]
) -> None:
    tree = tree_of(farm)
    with on_disk(farm, tmp_path) as root:
        for path in paths:
            assert tree.resolve(path) == kernel_resolve(root, path), path


@needs_openat2
@pytest.mark.parametrize("count", [39, 40, 41, 45])
def test_as_many_links_are_followed_as_the_kernel_follows(tmp_path: Path, count: int) -> None:
    farm = {b"l0": Entry(b"l0", Kind.FILE)}
    farm |= links(*((b"l%d" % n, b"l%d" % (n - 1)) for n in range(1, count + 1)))
    with on_disk(farm, tmp_path) as root:
        found = tree_of(farm).resolve(b"l%d" % count)
        assert found == kernel_resolve(root, b"l%d" % count)
        assert (found is None) == (count > 40)


MERGED = links(
    (b"lib", b"usr/lib"),
    (b"abs", b"/usr/lib"),
    (b"out", b"../../../../usr"),
    (b"gone", b"nowhere"),
    directories=(b"usr", b"usr/lib"),
) | {b"usr/lib/x.so": Entry(b"usr/lib/x.so", Kind.FILE, size=3)}


def test_a_merged_usr_is_looked_through() -> None:
    tree = tree_of(MERGED)
    for path in (b"lib/x.so", b"/abs/x.so", b"out/lib/x.so", b"lib/../lib/x.so", b"../lib/x.so"):
        file = tree.file(path)
        assert file is not None and file.entry.path == b"usr/lib/x.so", path
    assert tree.names(b"lib") == [b"x.so"] == tree.names(b"/abs/")
    assert tree.names(b"lib/x.so") == tree.names(b"gone") == tree.names(b"nowhere") == []


def test_get_follows_all_but_the_last_name() -> None:
    tree = tree_of(MERGED)
    link, file = tree.get(b"/lib"), tree.get(b"lib/x.so")
    assert link is not None and link.entry.kind is Kind.SYMLINK
    assert file is not None and file.entry.path == b"usr/lib/x.so"
    assert tree.get(b"") is tree.get(b"/") is tree.get(b"lib/../..") is tree.root
    assert tree.get(b"lib/.") is tree.lookup(b"usr/lib")
    assert tree.get(b"gone/x") is None and tree.get(b"usr/nowhere") is None


def test_a_lookup_of_what_is_no_file_finds_none() -> None:
    tree = tree_of(MERGED)
    for path in (b"", b"usr", b"gone", b"nowhere", b"usr/lib/x.so/", b"usr/lib/x.so/y"):
        assert tree.file(path) is None
