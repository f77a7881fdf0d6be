"""What is written is what is read: by oakum, by python's tarfile, by GNU tar, on a disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oakum.errors import InvalidImage
from oakum.layer import Entry, Kind, known_index, known_kept
from oakum.layer.write import member_name
from oakum.oci import Compression, Digest, digest_of
from oakum.store import Store
from support.layers import Member, bare, blob_of, index_of, members, on_disk, unpack, write_layer

fixtures_shared = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")


@fixtures_shared
@given(members(), st.sampled_from(Compression))
def test_a_layer_is_read_as_it_was_written(
    store: Store, layer: list[Member], compression: Compression
) -> None:
    made = write_layer(store, layer, compression)
    raw = blob_of(store, made)
    index = index_of(raw)
    assert bare(index.entries) == [entry for entry, _ in layer]
    assert (index.diff_id, index.size) == (made.diff_id, made.size)
    assert index == known_index(store, made.diff_id)
    assert made.descriptor.digest == digest_of(raw) and made.descriptor.size == len(raw)
    assert store.diff_id_of(made.descriptor.digest) == made.diff_id
    for entry, (_, content) in zip(index.entries, layer):
        if entry.kind is Kind.FILE:
            assert digest_of(content) == f"sha256:{entry.digest.hex()}"


@fixtures_shared
@given(members(), st.sampled_from(Compression))
def test_the_same_entries_give_the_same_bytes(
    tmp_path: Path, layer: list[Member], compression: Compression
) -> None:
    with (
        tempfile.TemporaryDirectory(dir=tmp_path) as place,
        Store(Path(place) / "one") as one,
        Store(Path(place) / "two") as two,
    ):
        assert write_layer(one, layer, compression) == write_layer(two, layer, compression)


@fixtures_shared
@given(members())
def test_pythons_tarfile_lists_the_same(store: Store, layer: list[Member]) -> None:
    path = store.blobs.path(write_layer(store, layer).descriptor.digest)
    with tarfile.open(path) as tar:
        found = tar.getmembers()
        assert [os.fsencode(m.name) for m in found] == [
            member_name(entry).rstrip(b"/") for entry, _ in layer
        ]
        for member, (entry, content) in zip(found, layer):
            assert (member.mode, member.uid, member.gid) == (entry.mode, entry.uid, entry.gid)
            assert member.mtime == entry.mtime
            assert os.fsencode(member.linkname) == entry.link
            if entry.kind is Kind.FILE:
                assert tar.extractfile(member).read() == content  # type: ignore[union-attr]
            if entry.kind in (Kind.CHARACTER, Kind.BLOCK):
                assert (member.devmajor, member.devminor) == entry.device


def unescaped(line: bytes) -> bytes:
    """A name that GNU tar printed in its style ``escape``."""
    letters = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f"}
    letters |= {b"v": b"\v", b"\\": b"\\", b"?": b"\x7f", b" ": b" "}

    def one(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return letters[code] if code in letters else bytes([int(code, 8)])

    return re.sub(rb"\\([0-7]{3}|.)", one, line)


@needs_root
@fixtures_shared
@given(members(whiteouts=False))
def test_gnu_tar_lists_and_extracts_the_same(
    store: Store, tmp_path: Path, layer: list[Member]
) -> None:
    path = store.blobs.path(write_layer(store, layer).descriptor.digest)
    command = ["tar", "--list", "--quoting-style=escape", "-f", str(path)]
    listed = subprocess.run(command, check=True, capture_output=True, env={"LC_ALL": "C"}).stdout
    assert [unescaped(line) for line in listed.split(b"\n")[:-1]] == [
        member_name(entry) for entry, _ in layer
    ]
    root = tmp_path / "gnu"
    root.mkdir()
    command = ["tar", "--extract", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-p"]
    command += ["--same-owner", "-C", str(root), "-f", str(path)]
    done = subprocess.run(command, capture_output=True, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    try:
        assert on_disk(root) == layer
    finally:
        shutil.rmtree(root)


@needs_root
@fixtures_shared
@given(members())
def test_a_layer_on_disk_is_the_layer(store: Store, tmp_path: Path, layer: list[Member]) -> None:
    raw = blob_of(store, write_layer(store, layer))
    root = tmp_path / "unpacked"
    unpack(raw, root)
    try:
        assert on_disk(root) == layer
    finally:
        shutil.rmtree(root)


def test_a_file_that_shrank_while_it_was_read_is_filled_up(store: Store) -> None:
    layer = [(Entry(b"a", Kind.FILE, size=5), b"abc"), (Entry(b"b", Kind.FILE, size=2), b"xyz")]
    index = index_of(blob_of(store, write_layer(store, layer)))
    digests = [f"sha256:{entry.digest.hex()}" for entry in index.entries]
    assert digests == [digest_of(b"abc\0\0"), digest_of(b"xy")]


def test_files_that_questions_are_asked_about_are_kept(store: Store) -> None:
    paths = [b"var/lib/dpkg/status", b"etc/apt/sources.list", b"etc/os-release", b"usr/bin/x"]
    made = write_layer(store, [(Entry(p, Kind.FILE, size=len(p)), p) for p in paths])
    assert known_kept(store, made.diff_id) == {path: path for path in paths[:3]}
    assert known_kept(store, Digest(digest_of(b"unknown"))) == {}


def test_a_clamp_makes_times_no_newer(tmp_path: Path) -> None:
    from oakum.layer.disk import read_directory

    for name, seconds in (("old", 100), ("new", 300)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (seconds, seconds))
    found = {item.entry.path: item.entry.mtime for item in read_directory(tmp_path, clamp=200)}
    assert found == {b"old": 100, b"new": 200}


def test_sockets_are_left_out(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket"))
        assert on_disk(tmp_path) == []


def test_a_tree_deeper_than_a_layer_may_be_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / "d"
    for _ in range(256):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(InvalidImage, match="more than 256 directories") as caught:
        on_disk(tmp_path)
    assert "remove it" in caught.value.todo
