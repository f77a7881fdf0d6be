"""Package files: whole and checked or not there; and the changelogs inside them."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest
from test_apts_choice import installed_of
from test_trust import opened

from conftest import Files
from oakum.errors import RepositoryError
from oakum.progress import Event
from oakum.repository import Candidate, closed_cves, open_apt
from support.archive import Archive, stanza

CHANGELOG = "hello (2.0-1) stable; urgency=high\n\n  * CVE-2026-1234\n\n -- A <a@b>  now\n"


def deb(place: Path, package: str, files: dict[str, bytes], *options: str) -> bytes:
    root = place / package
    (root / "DEBIAN").mkdir(parents=True)
    control = f"Package: {package}\nVersion: 2.0-1\nArchitecture: amd64\nSource: hello\n"
    (root / "DEBIAN/control").write_text(control + "Maintainer: A <a@b>\nDescription: d\n")
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    target = place / f"{package}.deb"
    command = ["dpkg-deb", *options, "-b", str(root), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_bytes()


def offer(archive: Archive, package: str, data: bytes, **more: str) -> str:
    """Put a package into the archive's pool and return its stanza."""
    archive.server.write(f"pool/{package}_2.0-1.deb", data)
    sha256 = hashlib.sha256(data).hexdigest()
    return stanza(package, "2.0-1", Size=str(len(data)), SHA256=sha256, **more)


def candidate(archive: Archive, image: Files, cache: Path) -> tuple[object, Candidate]:
    archive.publish()
    repository = opened(image, cache)
    found = repository.policy("hello", "amd64")
    assert found is not None
    return repository, found


def test_a_package_is_checked_and_kept(archive: Archive, image: Files, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4000
    archive.packages = [offer(archive, "hello", data)]
    archive.publish()
    events: list[Event] = []
    repository = opened(image, tmp_path / "c", progress=events.append)
    found = repository.policy("hello", "amd64")
    assert found is not None
    path = repository.download(found)
    assert path.read_bytes() == data
    assert [e.done for e in events if e.kind == "advance" and "package" in e.task][-1] == len(data)
    asked = len(archive.server.asked)
    assert repository.download(found) == path
    assert len(archive.server.asked) == asked


def test_a_cut_download_goes_on_where_it_was(
    archive: Archive, image: Files, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 4000
    archive.packages = [offer(archive, "hello", data)]
    archive.server.cut = {"pool/hello_2.0-1.deb": [400_000, 100_000]}
    repository, found = candidate(archive, image, tmp_path / "c")
    assert repository.download(found).read_bytes() == data  # type: ignore[attr-defined]
    assert len(archive.server.ranges) == 2


def test_a_damaged_start_is_thrown_away(archive: Archive, image: Files, tmp_path: Path) -> None:
    data = bytes(range(256)) * 400
    archive.packages = [offer(archive, "hello", data)]
    repository, found = candidate(archive, image, tmp_path / "c")
    part = tmp_path / "c/packages" / f"{found.sha256}.part"
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"wrong" * 100)
    assert repository.download(found).read_bytes() == data  # type: ignore[attr-defined]


def test_another_package_than_promised(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.packages = [offer(archive, "hello", b"right" * 100)]
    repository, found = candidate(archive, image, tmp_path / "c")
    archive.server.write("pool/hello_2.0-1.deb", b"wrong" * 100)
    with pytest.raises(RepositoryError, match="size and digest"):
        repository.download(found)  # type: ignore[attr-defined]
    assert not list((tmp_path / "c/packages").glob("*.deb"))


def test_a_package_that_is_gone(archive: Archive, image: Files, tmp_path: Path) -> None:
    repository, found = candidate(archive, image, tmp_path / "c")
    with pytest.raises(RepositoryError, match="HTTP 404"):
        repository.download(found)  # type: ignore[attr-defined]


@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
def test_the_changelog_of_a_package(
    archive: Archive, image: Files, tmp_path: Path, compression: str
) -> None:
    files = {"usr/share/doc/hello/changelog.Debian.gz": gzip.compress(CHANGELOG.encode())}
    data = deb(tmp_path, "hello", files, f"-Z{compression}")
    archive.packages = [offer(archive, "hello", data)]
    repository, found = candidate(archive, image, tmp_path / "c")
    text = repository.changelog(found)  # type: ignore[attr-defined]
    assert text == CHANGELOG
    assert closed_cves(text, "1.9", found.version) == ("CVE-2026-1234",)


def test_the_changelog_of_a_sibling(archive: Archive, image: Files, tmp_path: Path) -> None:
    native = {"usr/share/doc/lib/changelog.gz": gzip.compress(CHANGELOG.encode())}
    upstream = {"usr/share/doc/hello/changelog.gz": gzip.compress(b"2.0: better\n")}
    archive.packages = [
        offer(archive, "hello", deb(tmp_path, "hello", upstream)),
        offer(archive, "lib", deb(tmp_path, "lib", native | {"big": b"x" * 99}), Source="hello"),
    ]
    repository, found = candidate(archive, image, tmp_path / "c")
    assert repository.changelog(found) == CHANGELOG  # type: ignore[attr-defined]
    asked = len(archive.server.asked)
    assert repository.changelog(found) == CHANGELOG  # type: ignore[attr-defined]
    assert len(archive.server.asked) == asked


@pytest.mark.parametrize("data", [b"", b"!<arch>\n", b"!<arch>\n" + b"x" * 100, b"no package"])
def test_a_package_that_is_none(
    archive: Archive, image: Files, tmp_path: Path, data: bytes
) -> None:
    archive.packages = [offer(archive, "hello", data)]
    if not data:
        return
    repository, found = candidate(archive, image, tmp_path / "c")
    with pytest.raises(RepositoryError, match="not a valid package"):
        repository.changelog(found)  # type: ignore[attr-defined]


def test_the_changelogs_of_debian(bookworm: Path, kept: Path) -> None:
    repository = open_apt(Files(bookworm), "amd64", kept, max_age=3600)
    upgrades = [(i, c) for i, c in repository.upgrades(installed_of(bookworm)) if c.security]
    sources = {}
    for installed, found in upgrades:
        sources.setdefault(found.source, (installed, found))
    for _, found in list(sources.values())[:6]:
        text = repository.changelog(found)
        assert text is not None
        assert text.startswith(f"{found.source} (")
        assert f"({found.source_version})" in text
    assert any(
        closed_cves(repository.changelog(c) or "", i.version, c.version)
        for i, c in list(sources.values())[:6]
    )


def test_the_binaries_of_a_source(bookworm: Path, kept: Path) -> None:
    repository = open_apt(Files(bookworm), "amd64", kept, max_age=3600)
    found = repository.policy("openssl", "amd64")
    assert found is not None
    names = {c.package for c in repository.binaries_of("openssl", found.source_version)}
    assert {"openssl", "libssl3", "libssl-dev", "libssl-doc"} <= names
    versions = [c.version for c in repository.versions("openssl", "amd64")]
    assert versions[0] == found.version
