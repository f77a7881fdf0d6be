"""Layers that other tools made are read as those tools meant them."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from oakum.layer import Entry, Kind, LayerIndex
from support.daemon import Daemon
from support.layers import CAPABILITY, END, header, index_of, on_disk, padded, pax

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")
LONG = "long-" * 15 + "/" + "name-" * 25
TIME = 1_600_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with one of everything that a ustar archive can hold, and more."""
    made = tmp_path / "made"
    (made / "dir/sub").mkdir(parents=True)
    (made / "dir/file").write_bytes(b"content\n")
    (made / "dir/setuid").write_bytes(b"x" * 1000)
    os.chmod(made / "dir/setuid", 0o4755)
    os.chmod(made / "dir/sub", 0o2770)
    os.symlink("../dir/file", made / "dir/link")
    os.link(made / "dir/file", made / "dir/same")
    os.mkfifo(made / "fifo")
    for path in made.rglob("*"):
        os.utime(path, (TIME, TIME), follow_symlinks=False)
    return made


def add_long_names(root: Path) -> None:
    (root / LONG).parent.mkdir()
    (root / LONG).write_bytes(b"long")
    os.symlink("t" * 150, root / "long-link")
    (root / "grün").write_bytes(b"")
    for path in root.rglob("*"):
        os.utime(path, (TIME, TIME), follow_symlinks=False)


def gnu_tar(root: Path, *options: str) -> LayerIndex:
    command = ["tar", "--create", "--sort=name", "--numeric-owner", *options, "-C", str(root), "."]
    return index_of(subprocess.run(command, check=True, capture_output=True).stdout)


def like_disk(index: LayerIndex) -> dict[bytes, tuple[object, ...]]:
    """The index by path; of hard links it matters that they are, not which name comes first."""
    linked = {e.link for e in index.entries if e.kind is Kind.HARDLINK}
    found = {e.path: seen(e, e.path in linked) for e in index.entries}
    found.pop(b"", None)
    return found


def seen(entry: Entry, linked: bool) -> tuple[object, ...]:
    kind = Kind.HARDLINK if linked else entry.kind
    size = 0 if kind is Kind.HARDLINK else entry.size
    link = entry.link if kind is Kind.SYMLINK else b""
    return kind, entry.mode, entry.uid, entry.gid, size, entry.mtime, link, entry.device


def disk(root: Path) -> dict[bytes, tuple[object, ...]]:
    entries = [entry for entry, _ in on_disk(root)]
    linked = {e.link for e in entries if e.kind is Kind.HARDLINK}
    return {e.path: seen(e, e.path in linked) for e in entries}


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax", "posix"])
def test_gnu_tar_in_each_of_its_formats(root: Path, form: str) -> None:
    if form == "v7":
        (root / "fifo").unlink()
    elif form != "ustar":
        add_long_names(root)
    assert like_disk(gnu_tar(root, f"--format={form}")) == disk(root)


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_gnu_tar_with_large_owners_and_times(root: Path, form: str) -> None:
    options = ["--owner=:3000000", "--group=:4000000", "--mtime=@99999999999"]
    for entry in gnu_tar(root, f"--format={form}", *options).entries:
        assert (entry.uid, entry.gid, entry.mtime) == (3_000_000, 4_000_000, 99_999_999_999)


def test_times_before_1970_and_parts_of_seconds(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name, nanoseconds in (("a", -1_500_000_000), ("b", 1_500_000_000), ("c", -1)):
        (tmp_path / "d" / name).write_bytes(b"")
        os.utime(tmp_path / "d" / name, ns=(nanoseconds, nanoseconds))
    entries = gnu_tar(tmp_path / "d", "--format=pax").entries
    times = {entry.path: entry.mtime for entry in entries if entry.path}
    assert times == {b"a": -2, b"b": 1, b"c": -1}
    assert times == {entry.path: entry.mtime for entry, _ in on_disk(tmp_path / "d")}


def test_a_global_pax_header_changes_nothing(root: Path) -> None:
    """Docker skips them too; ``git archive`` writes one with the commit's name."""
    index = gnu_tar(root, "--format=pax", "--pax-option=globexthdr.name=g,comment=hello")
    assert like_disk(index) == disk(root)
    layer = pax([(b"mtime", b"5"), (b"path", b"evil")], b"g") + header(b"a") + END
    assert [(entry.path, entry.mtime) for entry in index_of(layer).entries] == [(b"a", 0)]


@needs_root
def test_gnu_tar_with_attributes(root: Path) -> None:
    os.setxattr(root / "dir/file", "user.a=b", b"\0value=\n")
    os.setxattr(root / "dir/setuid", "security.capability", CAPABILITY)
    entries = gnu_tar(root, "--format=pax", "--xattrs", "--xattrs-include=*").entries
    found = {entry.path: entry.xattrs for entry in entries if entry.xattrs}
    assert found.pop(b"dir/setuid") == {"security.capability": CAPABILITY}
    assert list(found.values()) == [{"user.a=b": b"\0value=\n"}]


def test_gnu_tar_refuses_no_more_than_sparse_files(root: Path) -> None:
    (root / "dir/file").write_bytes(b"")
    os.truncate(root / "dir/file", 1 << 20)
    index = gnu_tar(root, "--format=pax")
    assert [entry.size for entry in index.entries if entry.size] == [1 << 20, 1000]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_pythons_tarfile_in_each_of_its_formats(root: Path, form: int) -> None:
    if form != tarfile.USTAR_FORMAT:
        add_long_names(root)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        tar.add(root, arcname=".")
    assert like_disk(index_of(out.getvalue())) == disk(root)


def test_bsdtar(root: Path) -> None:
    program = shutil.which("bsdtar")
    if program is None:
        pytest.skip("needs bsdtar")
    add_long_names(root)
    for form in ("ustar", "pax", "gnutar", "v7"):
        command = [program, "-c", "--numeric-owner", f"--format={form}", "-C", str(root), "dir"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        here = {path: what for path, what in disk(root).items() if path.startswith(b"dir")}
        assert like_disk(index_of(raw)) == here, form


def test_a_header_summed_with_signed_bytes() -> None:
    """As tars of the eighties did; it differs from today's sum for names that are not ASCII."""
    raw = header(b"gr\xfcn", magic=b"")
    total = sum(raw[:148] + raw[156:]) + 8 * 32 - 256
    assert index_of(raw[:148] + b"%06o\0 " % total + raw[156:] + END).entries[0].path == b"gr\xfcn"


@pytest.mark.parametrize("ending", [b"", bytes(512), END, bytes(10240)])
def test_archives_end_in_several_ways(ending: bytes) -> None:
    index = index_of(header(b"a", size=3) + padded(b"abc") + ending)
    assert [entry.size for entry in index.entries] == [3]
    assert index.size == 1024 + len(ending)


def image_layers(archive: Path) -> list[LayerIndex]:
    """The layers of a ``docker save`` archive."""
    with tarfile.open(archive) as tar:
        (listed,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        return [index_of(tar.extractfile(name).read()) for name in listed["Layers"]]  # type: ignore[union-attr]


def layout_layers(layout: Path) -> list[LayerIndex]:
    """The layers of the one image in an OCI layout, checked against its config."""
    (listed,) = json.loads((layout / "index.json").read_bytes())["manifests"]

    def blob(descriptor: dict[str, str]) -> bytes:
        return (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()

    manifest = json.loads(blob(listed))
    found = [index_of(blob(descriptor)) for descriptor in manifest["layers"]]
    assert [index.diff_id for index in found] == json.loads(blob(manifest["config"]))["rootfs"][
        "diff_ids"
    ]
    return found


DOCKERFILE = "FROM scratch\nCOPY made/ /\n"


@needs_root
def test_docker_build_and_save(root: Path, daemon: Daemon, tmp_path: Path) -> None:
    (root / "fifo").unlink()
    os.chmod(root / "dir/setuid", 0o755)
    add_long_names(root)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    daemon("build", "-q", "-t", "made:1", str(tmp_path))
    archive = tmp_path / "saved.tar"
    daemon("save", "-o", str(archive), "made:1")
    (index,) = image_layers(archive)
    found = {path: (what[0], what[1], what[4]) for path, what in like_disk(index).items()}
    wanted = {path: (what[0], what[1], what[4]) for path, what in disk(root).items()}
    assert found == wanted


@needs_root
def test_buildah(root: Path, tmp_path: Path) -> None:
    add_long_names(root)
    storage = ["--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run")]
    storage += ["--storage-driver", "vfs"]

    def buildah(*words: str) -> str:
        done = subprocess.run(["buildah", *storage, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    container = buildah("from", "scratch")
    shutil.copytree(
        root,
        buildah("mount", container),
        symlinks=True,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("fifo", "same"),
    )
    buildah("umount", container)
    buildah("commit", "-q", container, f"oci:{tmp_path}/layout:1")
    (index,) = layout_layers(tmp_path / "layout")
    found = {path: (what[0], what[4], what[6]) for path, what in like_disk(index).items()}
    wanted = {
        path: (Kind.FILE if what[0] is Kind.HARDLINK else what[0], what[4], what[6])
        for path, what in disk(root).items()
        if path not in (b"fifo", b"dir/same")
    }
    wanted[b"dir/file"] = (Kind.FILE, 8, b"")
    assert found == wanted


@needs_root
def test_umoci(root: Path, tmp_path: Path) -> None:
    add_long_names(root)
    layout = tmp_path / "layout"

    def umoci(*words: str) -> None:
        subprocess.run(["umoci", *words], check=True, capture_output=True)

    umoci("init", "--layout", str(layout))
    umoci("new", "--image", f"{layout}:1")
    umoci("insert", "--image", f"{layout}:1", str(root), "/")
    umoci("insert", "--image", f"{layout}:1", "--opaque", str(root / "dir"), "/dir")
    umoci("insert", "--image", f"{layout}:1", "--whiteout", "/fifo")
    first, second, third = layout_layers(layout)
    wanted = disk(root)
    found = like_disk(first)
    assert {path: found[path] for path in found if path in wanted} == wanted
    assert (Kind.OPAQUE, b"dir") in [(entry.kind, entry.path) for entry in second.entries]
    assert [(e.kind, e.path) for e in third.entries if e.kind is Kind.WHITEOUT] == [
        (Kind.WHITEOUT, b"fifo")
    ]


def test_a_socket_is_no_member(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(root / "socket"))
        assert like_disk(gnu_tar(root, "--format=pax")) == disk(root)
