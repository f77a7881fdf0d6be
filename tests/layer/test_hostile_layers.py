"""Layers from anybody: read, or refused with `InvalidImage`; never a write outside the root."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oakum.errors import InvalidImage
from oakum.layer import Entry, Kind, LayerIndex, read_layer
from oakum.layer.disk import DirectoryUnpacker
from oakum.layer.entry import decode_index, encode_index
from oakum.store import Store
from support.layers import END, header, index_of, on_disk, padded, pax, unpack, write_layer

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")


def file(name: bytes, content: bytes = b"content") -> bytes:
    return header(name, size=len(content)) + padded(content)


def link(name: bytes, target: bytes) -> bytes:
    return header(name, flag=b"2", link=target)


def hard(name: bytes, target: bytes) -> bytes:
    return header(name, flag=b"1", link=target)


def directory(name: bytes) -> bytes:
    return header(name, flag=b"5")


REFUSED = {
    "a path that leads out": file(b"../evil"),
    "a path that leads out later": file(b"a/../../evil"),
    "a parent amid a path": file(b"a/../b"),
    "a long path that leads out": pax([(b"path", b"../" * 50 + b"evil")]) + file(b"x"),
    "an old long path that leads out": header(b"x", flag=b"L", size=7)
    + padded(b"../evil")
    + file(b"x"),
    "a prefix that leads out": header(b"evil", prefix=b".."),
    "a NUL in a path": pax([(b"path", b"a\0b")]) + file(b"x"),
    "a path of 4097 bytes": pax([(b"path", b"/".join([b"n" * 241] * 17))]) + file(b"x"),
    "a path of 257 directories": pax([(b"path", b"d/" * 256 + b"f")]) + file(b"x"),
    "a name of 256 bytes": pax([(b"path", b"n" * 256)]) + file(b"x"),
    "a file through a symbolic link": link(b"out", b"/tmp") + file(b"out/evil"),
    "a file through a link of links": link(b"a", b"b") + link(b"b", b"/tmp") + file(b"a/x/evil"),
    "a hard link out": hard(b"a", b"../evil"),
    "a hard link through a symbolic link": link(b"out", b"/etc") + hard(b"a", b"out/passwd"),
    "a symbolic link with a NUL": pax([(b"linkpath", b"a\0b")]) + link(b"a", b"x"),
    "a symbolic link to nothing": link(b"a", b""),
    "a symbolic link of 4096 bytes": pax([(b"linkpath", b"a" * 4096)]) + link(b"a", b"x"),
    "a root that is a file": file(b"./"[:1]),
    "a root that is a symbolic link": link(b"/", b"/tmp"),
    "a whiteout of a parent": file(b"a/.wh..."),
    "an attribute with a NUL": pax([(b"SCHILY.xattr.user.a\0b", b"x")]) + file(b"x"),
    "an attribute that is not UTF-8": pax([(b"SCHILY.xattr.user.\xff", b"x")]) + file(b"x"),
    "a negative size": header(b"a", size=b"\xff" * 12),
    "a negative pax header": header(b"a", flag=b"x", size=b"\xff" * 12),
    "a pax size that is negative": pax([(b"size", b"-1")]) + file(b"a"),
    "a pax size with an underscore": pax([(b"size", b"1_0")]) + file(b"a"),
    "a size in no digits": header(b"a", size=b"0o7"),
    "a size beyond any disk": pax([(b"size", b"9" * 30)]) + file(b"a"),
    "a size of five thousand digits": pax([(b"size", b"9" * 5000)]) + file(b"a"),
    "a pax header of two megabytes": header(b"p", flag=b"x", size=2 << 20) + bytes(2 << 20),
    "a long name of two megabytes": header(b"p", flag=b"L", size=2 << 20) + bytes(2 << 20),
    "a pax record longer than its header": header(b"p", flag=b"x", size=9) + padded(b"99 path=a"),
    "a pax record without an end": header(b"p", flag=b"x", size=8) + padded(b"8 path=a"),
    "a pax record without a length": header(b"p", flag=b"x", size=8) + padded(b"x path=\n"),
    "a pax record of negative length": header(b"p", flag=b"x", size=8) + padded(b"-8 pat=\n"),
    "a negative owner": pax([(b"uid", b"-1")]) + file(b"a"),
    "an owner beyond 32 bits": pax([(b"uid", b"4294967295")]) + file(b"a"),
    "a negative owner in base 256": header(b"a", uid=b"\xff" * 8),
    "a time beyond 64 bits": pax([(b"mtime", b"9" * 25)]) + file(b"a"),
    "a time that is none": pax([(b"mtime", b"now")]) + file(b"a"),
    "a device that Linux cannot have": header(b"a", flag=b"3", device=(b"7777777\0", b"0000000\0")),
    "a sparse file": pax([(b"GNU.sparse.major", b"1")]) + file(b"a"),
    "an old sparse file": header(b"a", flag=b"S"),
    "another volume": header(b"a", flag=b"M"),
    "an unknown type": header(b"a", flag=b"Z"),
    "a wrong checksum": header(b"a")[:-1] + b"x",
    "members after the end": file(b"a") + bytes(512) + file(b"b"),
    "a header cut off": header(b"a")[:300],
    "a file cut off": header(b"a", size=1000) + bytes(600),
    "a file that lies about its size": header(b"a", size=8 << 30) + bytes(512),
    "a pax header cut off": header(b"p", flag=b"x", size=700) + bytes(512),
    "a text": b"<html>404 not found</html>".ljust(2048),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_layer_that_breaks_the_rules_is_refused(what: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        index_of(REFUSED[what] + ("cut off" not in what and "lies" not in what) * END)
    assert caught.value.todo and len(str(caught.value)) < 400
    assert "\0" not in str(caught.value) and "\x1b" not in str(caught.value)


REFUSED_ON_DISK = {
    "a hard link to nothing": hard(b"a", b"nothing"),
    "a hard link to itself": hard(b"a", b"a"),
    "a hard link to a directory": directory(b"d") + hard(b"a", b"d"),
    "a hard link to the root": hard(b"a", b"./"),
    "a hard link below a file": file(b"f") + hard(b"a", b"f/x"),
    "a directory that turns into a link": directory(b"d") + link(b"d", b"/tmp") + file(b"d/evil"),
    "a directory that turns into a file": directory(b"d") + file(b"d"),
    "a capability that is none": pax([(b"SCHILY.xattr.security.capability", b"x")]) + file(b"a"),
    "an attribute of a megabyte": pax([(b"SCHILY.xattr.user.a", bytes(100_000))]) + file(b"a"),
    "an attribute with a long name": pax([(b"SCHILY.xattr.user." + b"a" * 300, b"")]) + file(b"a"),
    "a path longer than the disk's": pax([(b"path", b"/".join([b"d" * 203] * 20))]) + file(b"x"),
}


@needs_root
@pytest.mark.parametrize("what", REFUSED_ON_DISK)
def test_a_layer_that_no_disk_can_hold_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(InvalidImage):
        unpack(REFUSED_ON_DISK[what] + END, tmp_path / "root")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


@needs_root
def test_absolute_names_stay_below_the_root(tmp_path: Path) -> None:
    layer = file(b"/etc/x") + file(b"//y") + file(b"./z") + hard(b"/h", b"/etc/x")
    layer += link(b"/etc/out", b"/etc/passwd")
    unpack(layer + END, tmp_path / "root")
    found = {str(path.relative_to(tmp_path / "root")) for path in (tmp_path / "root").rglob("*")}
    assert found == {"etc", "etc/x", "y", "z", "h", "etc/out"}
    assert os.readlink(tmp_path / "root/etc/out") == "/etc/passwd"


@needs_root
def test_a_link_out_of_the_root_is_made_and_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    os.chmod(outside, 0o600)
    target = os.fsencode(outside)
    for member in (file(b"a"), header(b"a", mode=b"0007777\0"), header(b"a", flag=b"6")):
        unpack(link(b"a", target) + member + END, tmp_path / "root")
        assert (outside.read_bytes(), outside.stat().st_mode & 0o7777) == (b"untouched", 0o600)
        shutil.rmtree(tmp_path / "root")
    layer = link(b"a", target) + hard(b"b", b"a") + pax([(b"mtime", b"5")]) + link(b"c", target)
    unpack(layer + END, tmp_path / "root")
    assert os.readlink(tmp_path / "root/b") == os.fsdecode(target)
    assert outside.stat().st_nlink == 1 and outside.stat().st_mtime > 5


@needs_root
def test_a_file_turns_into_a_directory_where_something_is_below_it(tmp_path: Path) -> None:
    unpack(file(b"a") + file(b"a/b") + link(b"c", b"/tmp") + END, tmp_path / "root")
    assert (tmp_path / "root/a/b").read_bytes() == b"content"


@needs_root
def test_directories_as_deep_as_they_may_be(tmp_path: Path) -> None:
    deep = b"d/" * 255
    layer = pax([(b"path", deep + b"f")]) + file(b"x")
    layer += pax([(b"path", deep + b".wh.w")]) + file(b"x", b"")
    unpack(layer + END, tmp_path / "root")
    assert len(on_disk(tmp_path / "root")) == 257
    shutil.rmtree(tmp_path / "root")


@needs_root
def test_devices_keep_their_numbers(tmp_path: Path) -> None:
    layer = header(b"null", flag=b"3", device=(b"0000001\0", b"0000003\0"))
    layer += header(b"loop", flag=b"4", device=(b"0000007\0", b"0000010\0"))
    unpack(layer + END, tmp_path / "root")
    assert (tmp_path / "root/null").stat().st_rdev == os.makedev(1, 3)
    assert (tmp_path / "root/loop").stat().st_rdev == os.makedev(7, 8)


def test_a_bomb_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    raw = gzip.compress(header(b"a", size=64 << 20) + bytes(64 << 20) + END)
    assert index_of(raw).size > 64 << 20
    monkeypatch.setenv("OAKUM_MAX_LAYER_BYTES", str(1 << 20))
    with pytest.raises(InvalidImage, match="unpacks to more than 1048576") as caught:
        index_of(raw)
    assert "OAKUM_MAX_LAYER_BYTES" in caught.value.todo
    small = gzip.compress(file(b"a") + END + bytes(2 << 20))
    with pytest.raises(InvalidImage, match="unpacks to more than"):
        index_of(small)


def test_endless_pax_headers_do_not_fill_the_memory() -> None:
    """Only the last of several headers counts, as for docker."""
    layer = pax([(b"path", b"one")]) + pax([(b"mtime", b"7")]) + file(b"plain")
    (entry,) = index_of(layer + END).entries
    assert (entry.path, entry.mtime) == (b"plain", 7)


def test_names_of_all_members_have_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oakum.layer.tar.MAX_NAMES", 5000)
    layer = b"".join(
        pax([(b"SCHILY.xattr.user.a", bytes(600))]) + file(b"%d" % n) for n in range(9)
    )
    with pytest.raises(InvalidImage, match="bytes of names"):
        index_of(layer + END)


def test_everything_that_is_read_can_be_kept(store: Store) -> None:
    """What the header allows at most fits an index and another layer."""
    layer = pax(
        [
            (b"uid", b"4294967294"),
            (b"mtime", b"-9223372036854775807"),
            (b"path", b"\xff\n\x1b[2J"),
            (b"SCHILY.xattr.user.a%3Db%25", bytes(range(256))),
        ]
    ) + file(b"x")
    index = index_of(layer + END)
    assert decode_index(encode_index(index)) == index
    (entry,) = index.entries
    assert entry.xattrs == {"user.a=b%": bytes(range(256))}
    made = write_layer(store, [(entry, b"content")])
    again = index_of(store.blobs.path(made.descriptor.digest).read_bytes())
    assert again.entries[0].path == entry.path and again.entries[0].mtime == entry.mtime


def read_and_unpack(raw: bytes, place: Path) -> LayerIndex | None:
    """The index, if the layer is valid; unpacked too, and nothing is written elsewhere."""
    root = Path(tempfile.mkdtemp(dir=place)) / "root"
    root.mkdir()
    try:
        index, _ = read_layer(io.BytesIO(raw), DirectoryUnpacker(root, user_namespace=False))
    except InvalidImage:
        return None
    finally:
        assert [path.name for path in root.parent.iterdir()] == ["root"]
        assert sorted(os.listdir(place)) == [root.parent.name]
        shutil.rmtree(root.parent)
    return index


pieces = st.sampled_from(
    [
        *REFUSED.values(),
        *REFUSED_ON_DISK.values(),
        file(b"a"),
        file(b"d/a"),
        directory(b"d"),
        directory(b"a"),
        link(b"a", b"d"),
        link(b"d", b"../.."),
        hard(b"b", b"a"),
        hard(b"d", b"a"),
        header(b".wh.a"),
        header(b"d/.wh.a"),
        header(b"a/.wh..wh..opq"),
        header(b".wh..wh..opq"),
        header(b"a", flag=b"6"),
        header(b"a/", flag=b"\0"),
        header(b"a/", flag=b"0", size=5) + padded(b"12345"),
        pax([(b"path", b"d/c")]),
        pax([(b"path", b"")]),
        pax([(b"comment", b"x")], b"g"),
        header(b"L", flag=b"L", size=4) + padded(b"d/e\0"),
    ]
)


@needs_root
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=6))
@example([link(b"d", b"../.."), header(b"d/.wh.a")])
@example([header(b"d/.wh.a"), link(b"d", b"../..")])
@example([directory(b"d"), file(b"d/a"), link(b"d", b"../..")])
def test_any_members_are_read_or_refused(tmp_path: Path, layer: list[bytes]) -> None:
    read_and_unpack(b"".join(layer) + END, tmp_path)


@needs_root
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=12), st.integers(0, 511), st.sampled_from([b"0", b"5", b"2", b"x", b"L"]))
def test_any_bytes_in_a_header_are_read_or_refused(
    tmp_path: Path, noise: bytes, at: int, flag: bytes
) -> None:
    raw = bytearray(header(b"name", flag=flag, size=600, link=b"target"))
    raw[at : at + len(noise)] = noise
    del raw[512:]
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    read_and_unpack(bytes(raw) + pax([(b"path", b"x")]) + file(b"y") + END, tmp_path)


def test_content_of_a_regular_file_with_a_slash_is_skipped() -> None:
    """Its bytes look like a header; read as members they would be files that docker never sees."""
    hidden = file(b"hidden", b"")
    for flag in (b"0", b"\0"):
        layer = header(b"d/", flag=flag, size=len(hidden)) + padded(hidden) + file(b"seen")
        assert [e.path for e in index_of(layer + END).entries] == [b"d", b"seen"]
    assert index_of(header(b"d/", flag=b"\0") + END).entries[0] == Entry(
        b"d", Kind.DIRECTORY, 0o644, offset=512
    )
