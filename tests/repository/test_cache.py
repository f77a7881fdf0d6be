"""What is kept: one round trip for a warm suite, none within `max_age`, nothing half-written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from test_trust import opened, version

from conftest import Files
from oakum.errors import RepositoryError
from support.archive import Archive, Server


def test_one_conditional_request_for_a_warm_suite(
    archive: Archive, image: Files, tmp_path: Path
) -> None:
    archive.publish()
    opened(image, tmp_path / "c")
    archive.server.asked.clear()
    assert version(opened(image, tmp_path / "c")) == "2.0-1"
    assert archive.server.asked == ["dists/stable/InRelease"]
    assert archive.server.unchanged == 1


def test_no_request_within_max_age(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    opened(image, tmp_path / "c")
    archive.server.asked.clear()
    assert version(opened(image, tmp_path / "c", max_age=600)) == "2.0-1"
    assert version(opened(image, tmp_path / "c", offline=True)) == "2.0-1"
    assert archive.server.asked == []


def test_offline_without_a_cache(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    with pytest.raises(RepositoryError, match="stay offline"):
        opened(image, tmp_path / "c", offline=True)


def test_a_kept_release_of_another_key_is_not_believed(
    archive: Archive, image: Files, tmp_path: Path, other_key: object
) -> None:
    archive.publish()
    opened(image, tmp_path / "c")
    image.put("etc/apt/trusted.gpg.d/archive.asc", other_key.public)  # type: ignore[attr-defined]
    with pytest.raises(RepositoryError, match="no such key"):
        opened(image, tmp_path / "c", max_age=600)


def test_damage_in_the_cache_is_healed(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    opened(image, tmp_path / "c")
    for path in (tmp_path / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-7])
    assert version(opened(image, tmp_path / "c", max_age=600)) == "2.0-1"


def test_several_at_once(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(version(opened(image, tmp_path / "c"))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["2.0-1"] * 6
    assert not [p for p in (tmp_path / "c").rglob(".*") if p.is_file()]


def test_the_images_proxy_is_used(
    archive: Archive, server: Server, image: Files, tmp_path: Path
) -> None:
    archive.publish()
    image.put("etc/apt/apt.conf.d/proxy", 'Acquire::http::Proxy "http://127.0.0.1:9";')
    with pytest.raises(RepositoryError, match="tried 4 times"):
        opened(image, tmp_path / "c")
    image.put("etc/apt/apt.conf", 'Acquire::http::Proxy::127.0.0.1 "DIRECT";')
    assert version(opened(image, tmp_path / "c")) == "2.0-1"
