"""A stack of layers unpacked by oakum and merged by the kernel is what ``umoci unpack`` makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oakum.layer import Kind, read_layer
from oakum.layer.disk import DirectoryUnpacker
from oakum.tree import Tree
from support.disks import overlay
from support.layers import CAPABILITY, END, Member, header, index_of, on_disk, padded, pax, unpack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")
EARLY = b"14000000000\0"
LATE = b"14100000000\0"


def directory(name: bytes, **more: bytes) -> bytes:
    return header(name, flag=b"5", **{"mode": b"0000755\0", "mtime": EARLY, **more})


def file(name: bytes, content: bytes = b"", **more: bytes) -> bytes:
    return header(name, size=len(content), **{"mtime": EARLY, **more}) + padded(content)


def link(name: bytes, target: bytes) -> bytes:
    return header(name, flag=b"2", link=target, mode=b"0000777\0", mtime=EARLY)


def hard(name: bytes, target: bytes) -> bytes:
    return header(name, flag=b"1", link=target, mtime=EARLY)


def xattr(name: bytes, value: bytes) -> bytes:
    return pax([(b"SCHILY.xattr." + name, value)])


BASE = [
    directory(b"./"),
    directory(b"bin/"),
    file(b"bin/su", b"su", mode=b"0004755\0"),
    file(b"bin/wall", b"wall", mode=b"0002755\0", uid=b"0000005\0"),
    xattr(b"security.capability", CAPABILITY) + file(b"bin/ping", b"ping", mode=b"0000755\0"),
    directory(b"etc/", mtime=LATE),
    file(b"etc/gone", b"gone"),
    file(b"etc/kept", b"kept", uid=b"0000007\0", mode=b"0000640\0"),
    hard(b"etc/kept-too", b"etc/kept"),
    file(b"etc/replaced", b"old"),
    link(b"lib", b"usr/lib"),
    xattr(b"user.note", b"\0\xff") + file(b"noted", b"x"),
    directory(b"opaque/"),
    file(b"opaque/a", b"a"),
    directory(b"opaque/sub/"),
    file(b"opaque/sub/b", b"b"),
    directory(b"tmp/", mode=b"0001777\0"),
    directory(b"turns/"),
    file(b"turns/inner", b"inner"),
    file(b"turns-back", b"file"),
    directory(b"usr/"),
    directory(b"usr/lib/"),
    file(b"usr/lib/lib.so", b"lib"),
    directory(b"whole/"),
    file(b"whole/x", b"x"),
]
MIDDLE = [
    directory(b"etc/", mtime=LATE, mode=b"0000750\0"),
    file(b"etc/.wh.gone"),
    file(b"etc/replaced", b"new and longer", mode=b"0000600\0"),
    directory(b"opaque/", mode=b"0000700\0"),
    file(b"opaque/.wh..wh..opq"),
    file(b"opaque/c", b"c"),
    file(b".wh.turns"),
    file(b"turns", b"now a file"),
    file(b".wh.whole"),
    file(b".wh.turns-back"),
    directory(b"turns-back/"),
    file(b"turns-back/inner", b"inner"),
    header(b"pipe", flag=b"6", mtime=EARLY),
    header(b"null", flag=b"3", device=(b"0000001\0", b"0000003\0"), mtime=EARLY),
    pax([(b"path", "grün/ñ".encode() + b"\n\x1b")]) + directory(b"x/"),
    pax([(b"mtime", b"1600000000.9")]) + file(b"fraction", b""),
]
TOP = [
    file(b".wh.turns"),
    directory(b"turns/"),
    file(b"turns/other", b"other"),
    file(b".wh.turns-back"),
    file(b"turns-back", b"a file again"),
    directory(b"whole/"),
    file(b"whole/y", b"y"),
    directory(b"usr/", mode=b"0000711\0"),
    directory(b"usr/lib/"),
    file(b"usr/lib/one", b"linked"),
    hard(b"usr/lib/two", b"usr/lib/one"),
    hard(b"three", b"usr/lib/one"),
    link(b"dangling", b"nowhere"),
    hard(b"dangling-too", b"dangling"),
]
STACK = [b"".join(members) + END for members in (BASE, MIDDLE, TOP)]


def umoci(*words: str) -> None:
    done = subprocess.run(["umoci", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def by_umoci(tmp_path: Path) -> Path:
    """The stack as umoci unpacks it."""
    layout = tmp_path / "layout"
    umoci("init", "--layout", str(layout))
    umoci("new", "--image", f"{layout}:1")
    for number, raw in enumerate(STACK):
        (tmp_path / f"{number}.tar").write_bytes(raw)
        umoci("raw", "add-layer", "--image", f"{layout}:1", str(tmp_path / f"{number}.tar"))
    umoci("unpack", "--image", f"{layout}:1", str(tmp_path / "bundle"))
    return tmp_path / "bundle/rootfs"


def comparable(members: list[Member]) -> dict[bytes, tuple[object, ...]]:
    """By path; times of directories left out, which umoci takes from the moment of unpacking."""
    found: dict[bytes, tuple[object, ...]] = {}
    for entry, content in members:
        time = entry.mtime if entry.kind is not Kind.DIRECTORY else 0
        found[entry.path] = (
            entry.kind,
            oct(entry.mode),
            entry.uid,
            entry.gid,
            time,
            entry.link,
            entry.device,
            {name: value for name, value in (entry.xattrs or {}).items() if "umoci" not in name},
            content,
        )
    return found


def test_a_stack_is_unpacked_as_umoci_unpacks_it(tmp_path: Path, by_umoci: Path) -> None:
    lowers = [tmp_path / f"layer-{number}" for number in range(len(STACK))]
    for raw, lower in zip(STACK, lowers):
        unpack(raw, lower)
    with overlay(tmp_path / "merged", *lowers) as merged:
        assert comparable(on_disk(merged)) == comparable(on_disk(by_umoci))


def test_a_tree_knows_what_umoci_unpacks(by_umoci: Path) -> None:
    tree = Tree.of([index_of(raw) for raw in STACK])
    on_a_disk = {entry.path: entry for entry, _ in on_disk(by_umoci)}
    found = dict(tree.walk())
    assert found.keys() == on_a_disk.keys()
    for path, node in found.items():
        there = on_a_disk[path]
        shown = node.file or node.entry
        if there.kind is not Kind.HARDLINK and node.entry.kind is not Kind.HARDLINK:
            assert (shown.kind, shown.size) == (there.kind, there.size), path
        assert (shown.mode, shown.uid, shown.gid) == (there.mode, there.uid, there.gid), path


def test_directories_keep_their_times(tmp_path: Path) -> None:
    unpack(STACK[0], tmp_path / "root")
    for entry, _ in on_disk(tmp_path / "root"):
        late = entry.path == b"etc"
        assert entry.mtime == int(LATE[:-1] if late else EARLY[:-1], 8), entry.path
    assert int((tmp_path / "root").stat().st_mtime) == int(EARLY[:-1], 8)


@pytest.mark.parametrize("device", [(b"0000001\0", b"0000003\0"), (b"0000007\0", b"0000000\0")])
def test_in_a_user_namespace_devices_are_left_out(
    tmp_path: Path, device: tuple[bytes, bytes]
) -> None:
    """The kernel lets nobody make them there; docker and podman leave them out as well."""
    layer = header(b"dev/null", flag=b"3", device=device) + file(b"dev/x") + file(b".wh.y") + END
    (tmp_path / "layer.tar").write_bytes(layer)
    (tmp_path / "root").mkdir()
    script = (
        "import sys; from oakum.layer import read_layer;"
        "from oakum.layer.disk import DirectoryUnpacker as D; from pathlib import Path;"
        "read_layer(open(sys.argv[1], 'rb'), D(Path(sys.argv[2]), user_namespace=True))"
    )
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script]
    command += [str(tmp_path / "layer.tar"), str(tmp_path / "root")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [(entry.kind, entry.path) for entry, _ in on_disk(tmp_path / "root")] == [
        (Kind.DIRECTORY, b"dev"),
        (Kind.FILE, b"dev/x"),
        (Kind.WHITEOUT, b"y"),
    ]


def test_a_user_namespace_has_an_opaque_mark_of_its_own(tmp_path: Path) -> None:
    import io

    raw = directory(b"d/") + file(b"d/.wh..wh..opq") + END
    (tmp_path / "root").mkdir()
    read_layer(io.BytesIO(raw), DirectoryUnpacker(tmp_path / "root", user_namespace=True))
    assert os.getxattr(tmp_path / "root/d", "user.overlay.opaque") == b"y"
    kinds = [(entry.kind, entry.xattrs) for entry, _ in on_disk(tmp_path / "root")]
    assert kinds == [(Kind.DIRECTORY, None), (Kind.OPAQUE, None)]
