"""What is believed and what is refused: signatures, dates, digests, sizes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
from datetime import datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest
import zstandard

from conftest import Files
from oakum.errors import RepositoryError
from oakum.repository import AptRepository, open_apt
from support.archive import Archive, Key, Server, stanza


def opened(image: Files, cache: Path, **options: object) -> AptRepository:
    return open_apt(image, "amd64", cache, env={}, **options)  # type: ignore[arg-type]


def version(repository: AptRepository, package: str = "hello") -> str:
    found = repository.policy(package, "amd64")
    assert found is not None
    return found.version


def refused(image: Files, cache: Path, **options: object) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        opened(image, cache, **options)
    assert caught.value.todo
    return caught.value


def test_a_signed_suite_is_read(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    assert version(opened(image, tmp_path / "c")) == "2.0-1"


def test_a_detached_signature_is_as_good(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish(detached=True)
    assert version(opened(image, tmp_path / "c")) == "2.0-1"


@pytest.mark.parametrize("detached", [False, True])
def test_a_changed_text_is_a_bad_signature(
    archive: Archive, image: Files, tmp_path: Path, detached: bool
) -> None:
    archive.publish(detached=detached)
    path = "dists/stable/Release" if detached else "dists/stable/InRelease"
    raw = (archive.server.root / path).read_bytes()
    archive.server.write(path, raw.replace(b"Origin: Test", b"Origin: Evil"))
    assert "bad signature" in refused(image, tmp_path / "c").what


def test_text_outside_the_signature_does_not_count(
    archive: Archive, image: Files, tmp_path: Path
) -> None:
    archive.publish()
    path = "dists/stable/InRelease"
    raw = (archive.server.root / path).read_bytes()
    archive.server.write(path, raw + b"\nSuite: evil\n")
    try:
        repository = opened(image, tmp_path / "c")
    except RepositoryError:
        return
    assert repository.sources[0].release_suite == "stable"


def test_text_before_the_signature_is_refused(
    archive: Archive, image: Files, tmp_path: Path
) -> None:
    archive.publish()
    path = "dists/stable/InRelease"
    raw = (archive.server.root / path).read_bytes()
    archive.server.write(path, b"Suite: evil\n\n" + raw)
    assert "not signed" in refused(image, tmp_path / "c").what


def test_a_key_that_the_image_does_not_have(
    archive: Archive, image: Files, tmp_path: Path, other_key: Key
) -> None:
    archive.key = other_key
    archive.publish()
    error = refused(image, tmp_path / "c")
    assert other_key.fingerprint in error.what
    assert "no such key" in error.what
    ring = tmp_path / "ring.asc"
    ring.write_bytes(other_key.public)
    assert version(opened(image, tmp_path / "c", keyrings=[ring])) == "2.0-1"


def test_signed_by_names_the_only_key(
    archive: Archive, image: Files, tmp_path: Path, key: Key, other_key: Key
) -> None:
    archive.publish()
    url = archive.server.url
    image.put("usr/share/keyrings/other.asc", other_key.public)
    line = f"deb [signed-by=/usr/share/keyrings/other.asc] {url} stable main\n"
    image.put("etc/apt/sources.list", line)
    assert "no such key" in refused(image, tmp_path / "c").what
    image.put("usr/share/keyrings/other.asc", key.public)
    assert version(opened(image, tmp_path / "c")) == "2.0-1"
    image.put("etc/apt/sources.list", line.replace("other.asc", "none.asc"))
    assert "does not have" in refused(image, tmp_path / "c").what


def test_signed_by_a_fingerprint(
    archive: Archive, image: Files, tmp_path: Path, key: Key, other_key: Key
) -> None:
    archive.publish()
    image.put("etc/apt/trusted.gpg.d/other.asc", other_key.public)
    line = f"deb [signed-by={{}}] {archive.server.url} stable main\n"
    image.put("etc/apt/sources.list", line.format(key.fingerprint))
    assert version(opened(image, tmp_path / "c")) == "2.0-1"
    image.put("etc/apt/sources.list", line.format(other_key.fingerprint))
    assert "Signed-By names" in refused(image, tmp_path / "c").what
    image.put("etc/apt/sources.list", line.format("ABCD1234"))
    assert "fingerprint" in refused(image, tmp_path / "c").what


def test_signed_by_an_embedded_key(
    archive: Archive, image: Files, tmp_path: Path, key: Key
) -> None:
    archive.publish()
    image.over.clear()
    lines = [f" {line}" if line else " ." for line in key.public.decode().splitlines()]
    image.put(
        "etc/apt/sources.list.d/test.sources",
        f"Types: deb\nURIs: {archive.server.url}\nSuites: stable\nComponents: main\n"
        "Signed-By:\n" + "\n".join(lines) + "\n",
    )
    assert version(opened(image, tmp_path / "c")) == "2.0-1"


def test_an_expired_key(server: Server, image: Files, tmp_path: Path) -> None:
    home = tmp_path / "old"
    home.mkdir()
    archive = Archive(server, Key(home, "old", expires="2020-06-01", faked="20200101T000000"))
    archive.publish()
    image.put("etc/apt/trusted.gpg.d/old.asc", archive.key.public)
    assert "expired on 2020-0" in refused(image, tmp_path / "c").what


@pytest.mark.parametrize("mark", ["", "[trusted=yes] ", "[allow-insecure=yes] "])
def test_an_unsigned_suite_is_refused_also_when_the_image_trusts_it(
    archive: Archive, image: Files, tmp_path: Path, mark: str
) -> None:
    archive.publish(signed=False)
    image.put("etc/apt/sources.list", f"deb {mark}{archive.server.url} stable main\n")
    image.put("etc/apt/apt.conf", 'Acquire::AllowInsecureRepositories "true";')
    assert "not signed" in refused(image, tmp_path / "c").what


def test_past_its_time(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.fields["Valid-Until"] = formatdate(time.time() - 3600, usegmt=True)
    archive.publish()
    assert "was valid until" in refused(image, tmp_path / "c").what
    url = archive.server.url
    image.put("etc/apt/sources.list", f"deb [check-valid-until=no] {url} stable main\n")
    assert any("was valid until" in note for note in opened(image, tmp_path / "c").notes)
    image.put("etc/apt/sources.list", f"deb {url} stable main\n")
    image.put("etc/apt/apt.conf.d/99snapshot", 'Acquire::Check-Valid-Until "false";')
    assert any("was valid until" in note for note in opened(image, tmp_path / "c").notes)


def test_past_its_time_in_the_cache(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.fields["Valid-Until"] = formatdate(time.time() + 2, usegmt=True)
    archive.publish()
    opened(image, tmp_path / "c")
    time.sleep(3.1)
    assert "was valid until" in refused(image, tmp_path / "c", max_age=600).what


def test_of_the_future(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.date = time.time() + 7200
    archive.publish()
    assert "2.0 hours ahead" in refused(image, tmp_path / "c").what


def test_an_older_state_is_a_replay(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    first = opened(image, tmp_path / "c").state
    archive.date -= 86400
    archive.publish()
    assert "older than" in refused(image, tmp_path / "c").what
    archive.date += 86400 + 30
    archive.publish()
    assert opened(image, tmp_path / "c").state != first


def test_another_suite_is_noted(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.fields |= {"Suite": "oldstable", "Codename": "older"}
    archive.publish()
    assert any("conflicting distribution" in note for note in opened(image, tmp_path / "c").notes)


def test_an_index_with_another_digest(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    path = "dists/stable/main/binary-amd64/Packages.gz"
    size = (archive.server.root / path).stat().st_size
    archive.server.write(path, b"x" * size)
    assert "digest" in refused(image, tmp_path / "c").what


def test_a_truncated_index(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    path = "dists/stable/main/binary-amd64/Packages.gz"
    raw = (archive.server.root / path).read_bytes()
    archive.server.write(path, raw[:-20])
    assert "bytes came" in refused(image, tmp_path / "c").what


def test_a_longer_index(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    path = "dists/stable/main/binary-amd64/Packages.gz"
    archive.server.write(path, (archive.server.root / path).read_bytes() + b"more")
    assert "longer than" in refused(image, tmp_path / "c").what


def test_a_missing_index_is_an_error(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    (archive.server.root / "dists/stable/main/binary-amd64/Packages.gz").unlink()
    assert "not there" in refused(image, tmp_path / "c").what


def test_a_missing_suite_is_an_error(archive: Archive, image: Files, tmp_path: Path) -> None:
    assert "404" in refused(image, tmp_path / "c").what


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".zst", ".bz2"])
def test_a_bomb_is_stopped_at_the_signed_size(
    archive: Archive, image: Files, tmp_path: Path, suffix: str
) -> None:
    packers = {
        ".xz": lzma.compress,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".zst": zstandard.ZstdCompressor().compress,
    }
    bomb = packers[suffix](b"\n" * 300_000_000 if suffix != ".bz2" else b"\n" * 30_000_000)
    archive.compress = {suffix: lambda _: bomb}
    archive.publish()
    started = time.monotonic()
    assert "unpacks to more than" in refused(image, tmp_path / "c").what
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".zst", ".bz2", ""])
def test_each_compression(archive: Archive, image: Files, tmp_path: Path, suffix: str) -> None:
    packers = {
        ".xz": lzma.compress,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".zst": zstandard.ZstdCompressor().compress,
    }
    archive.compress = {suffix: packers[suffix]} if suffix else {}
    archive.packages = [stanza(f"p{n}", f"1.{n}") for n in range(5000)]
    archive.publish()
    repository = opened(image, tmp_path / "c")
    assert all(version(repository, f"p{n}") == f"1.{n}" for n in range(0, 5000, 250))


def test_by_hash(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.by_hash = True
    archive.publish()
    assert version(opened(image, tmp_path / "c")) == "2.0-1"
    assert any("/by-hash/SHA256/" in path for path in archive.server.asked)


def test_a_flat_suite(server: Server, key: Key, image: Files, tmp_path: Path) -> None:
    archive = Archive(server, key, directory="flat")
    archive.index = "Packages"
    archive.publish()
    image.put("etc/apt/sources.list", f"deb {server.url} flat/\n")
    repository = opened(image, tmp_path / "c")
    found = repository.policy("hello", "amd64")
    assert found is not None
    assert found.url == f"{server.url}/pool/hello_2.0-1.deb"


def test_failures_that_pass(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    index = "dists/stable/main/binary-amd64/Packages.gz"
    archive.server.fail = {"dists/stable/InRelease": [500, 503], index: [502]}
    archive.server.cut = {index: [30]}
    assert version(opened(image, tmp_path / "c")) == "2.0-1"


def test_a_failure_that_stays(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    opened(image, tmp_path / "c")
    archive.server.fail = {"dists/stable/InRelease": [500] * 9}
    assert "said 500" in refused(image, tmp_path / "c").what


def test_a_missing_component_is_a_note(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    image.put("etc/apt/sources.list", f"deb {archive.server.url} stable main nonsense\n")
    image.put("var/lib/dpkg/arch", "amd64\narm64\n")
    notes = opened(image, tmp_path / "c").notes
    assert any("no component nonsense" in note for note in notes)
    assert any("does not support architecture arm64" in note for note in notes)


def test_a_damaged_stanza_is_an_error(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.packages = [stanza("hello", "1"), "Version: 3\nFilename: x\nSize: 1\n"]
    archive.publish()
    assert "not a valid Packages index" in refused(image, tmp_path / "c").what


def test_dates_are_read_as_apt_does() -> None:
    from oakum.repository.release import parse_date

    date = parse_date("Sat, 11 Jul 2026 10:16:37 UTC")
    assert isinstance(date, datetime)
    assert date.utcoffset() == timedelta(0)
    assert parse_date("yesterday") is None
