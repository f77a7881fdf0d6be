"""Steps' apt reads archives through oakum: asked again, not downloaded; recorded; replayed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, Built, build, read_lock
from oakum.dockerfile import Lock
from oakum.errors import BuildError, OakumError
from oakum.layer import index_blob
from oakum.store import Store
from oakum.tree import ImageTree
from support.lab import Deb, Lab

INSTALL = "RUN apt-get update && apt-get install -y {}\n"


class Project:
    """A build context on the lab's base image, with a store of its own."""

    def __init__(self, lab: Lab, place: Path, store: Store) -> None:
        self.lab, self.place, self.store = lab, place, store
        place.mkdir()

    def build(self, text: str, **more: object) -> Built:
        (self.place / "Dockerfile").write_text(f"FROM {self.lab.base}\n{text}")
        return build(self.store, BuildRequest(self.place, **more))  # type: ignore[arg-type]

    def files(self, built: Built) -> ImageTree:
        layers = built.image.layers
        indexes = [index_blob(self.store, x.descriptor, x.diff_id) for x in layers]
        return ImageTree(self.store, indexes, [x.descriptor for x in layers])


@pytest.fixture
def project(lab: Lab, tmp_path: Path) -> Project:
    return Project(lab, tmp_path / "project", lab.store)


@pytest.fixture
def package(lab: Lab) -> str:
    """A package of its own, at 1.0-1."""
    name = f"tool{os.urandom(4).hex()}"
    lab.publish(Deb(name, "1.0-1"))
    return name


def fetched(lab: Lab, since: int) -> list[str]:
    return lab.server.asked[since:]


def test_nothing_is_downloaded_twice(lab: Lab, project: Project, package: str) -> None:
    project.build(INSTALL.format(package))
    before, unchanged = len(lab.server.asked), lab.server.unchanged
    project.build(INSTALL.format(package), no_cache=True)
    asked = fetched(lab, before)
    releases = [path for path in asked if path.endswith("InRelease")]
    others = [path for path in asked if path not in releases]
    assert len(releases) == 2
    assert lab.server.unchanged - unchanged == len(asked), (asked, others)


def test_the_layer_is_what_a_plain_download_leaves(
    lab: Lab, project: Project, package: str
) -> None:
    first = project.build(INSTALL.format(package))
    again = project.build(INSTALL.format(package), no_cache=True)
    lists = "var/lib/apt/lists"
    names = [project.files(built).list(lists) for built in (first, again)]
    assert names[0] == names[1]
    assert any(name.endswith("_Packages") for name in names[0])
    for name in names[0]:
        one, other = (project.files(built).read(f"{lists}/{name}") for built in (first, again))
        assert one == other
    for built in (first, again):
        assert not any("oakum" in name for name in project.files(built).list("dev"))


def test_what_a_step_was_installed_from_is_recorded(
    lab: Lab, project: Project, package: str
) -> None:
    import hashlib

    built = project.build(INSTALL.format(package))
    again = project.build(INSTALL.format(package), no_cache=True)
    for one in (built, again):
        (step,) = one.lock.steps
        url = f"{lab.server.url}/pool/stable/{package}_1.0-1_amd64.deb"
        data = (lab.server.root / f"pool/stable/{package}_1.0-1_amd64.deb").read_bytes()
        assert step.files[url] == hashlib.sha256(data).hexdigest()
        kinds = {address.rpartition("/")[2] for address in step.files}
        assert "InRelease" in kinds
        assert any("/by-hash/" in a or "Packages" in a for a in step.files)


def test_a_locked_build_needs_no_archive(lab: Lab, project: Project, package: str) -> None:
    text = INSTALL.format(package) + "RUN rm -rf /var/log /var/cache/ldconfig/aux-cache\n"
    first = project.build(text)
    before = len(lab.server.asked)
    replayed = project.build(text, lock=first.lock, offline=True, no_cache=True)
    assert fetched(lab, before) == []
    names = [project.files(one).list("var/lib/apt/lists") for one in (first, replayed)]
    assert names[0] == names[1]
    assert [step.packages for step in replayed.lock.steps] == [
        step.packages for step in first.lock.steps
    ]
    assert replayed.lock.steps == first.lock.steps


def test_a_version_that_vanished_is_installed_as_recorded(
    lab: Lab, project: Project, package: str
) -> None:
    first = project.build(INSTALL.format(f"{package}=1.0-1"))
    lab.withdraw(package, "1.0-1")
    lab.publish(Deb(package, "1.0-2"))
    with pytest.raises(BuildError):
        project.build(INSTALL.format(f"{package}=1.0-1"), no_cache=True)
    built = project.build(INSTALL.format(f"{package}=1.0-1"), lock=first.lock, no_cache=True)
    assert b"1.0-1" in (project.files(built).read(f"usr/bin/{package}") or b"")
    assert built.lock.steps == first.lock.steps


def test_offline_says_what_is_missing(
    lab: Lab, project: Project, package: str, tmp_path: Path
) -> None:
    first = project.build(INSTALL.format(package))
    (url,) = (u for u in first.lock.steps[0].files if u.endswith(".deb"))
    digest = first.lock.steps[0].files[url]
    (project.store.cache("archives") / "files" / digest).unlink()
    with pytest.raises(BuildError, match=r"\.deb, of which oakum has no copy"):
        project.build(INSTALL.format(package), lock=first.lock, offline=True, no_cache=True)
    with (
        Store(tmp_path / "empty") as empty,
        pytest.raises(OakumError, match="told to stay offline"),
    ):
        build(empty, BuildRequest(project.place, offline=True))


def test_a_damaged_copy_is_never_served(lab: Lab, project: Project, package: str) -> None:
    first = project.build(INSTALL.format(package))
    place = project.store.cache("archives") / "files"
    for url, digest in first.lock.steps[0].files.items():
        data = (place / digest).read_bytes()
        (place / digest).write_bytes(b"\0" * len(data))
        assert url
    built = project.build(INSTALL.format(package), no_cache=True)
    assert built.lock.steps == first.lock.steps
    for digest in first.lock.steps[0].files.values():
        (place / digest).write_bytes(b"")
    with pytest.raises(BuildError, match="no copy"):
        project.build(INSTALL.format(package), lock=first.lock, offline=True, no_cache=True)


def test_a_list_that_was_tampered_with_is_never_offered(
    lab: Lab, project: Project, package: str
) -> None:
    """Lists are found by the digests that the signed Release file gives."""
    project.build(INSTALL.format(package))
    lists = project.store.cache("archives") / "lists"
    kept = sorted(lists.iterdir())
    assert kept
    evil = b"Package: evil\nVersion: 9\nArchitecture: amd64\nFilename: x\nSize: 1\n\n"
    for path in kept:
        path.write_bytes(path.read_bytes() + evil)
    built = project.build(INSTALL.format(package) + "RUN ! apt-cache show evil\n", no_cache=True)
    for name in project.files(built).list("var/lib/apt/lists"):
        assert b"evil" not in (project.files(built).read(f"var/lib/apt/lists/{name}") or b"")


def test_a_step_without_network_is_offered_nothing(project: Project) -> None:
    built = project.build("RUN --network=none test ! -e /dev/.oakum && echo $APT_CONFIG >/seen\n")
    assert project.files(built).read("seen") == b"\n"


def test_the_images_own_apt_configuration_counts(lab: Lab, project: Project, package: str) -> None:
    (project.place / "own.conf").write_text('APT::Install-Recommends "false";\n')
    built = project.build(
        "COPY own.conf /own.conf\nENV APT_CONFIG=/own.conf\n"
        + "RUN apt-config dump | grep -q 'APT::Install-Recommends \"false\"'\n"
        + INSTALL.format(package)
    )
    assert built.lock.steps[0].files


def test_strangers_are_not_served(project: Project) -> None:
    """A port of loopback is open to every user of the machine; the password is the step's."""
    script = r"""RUN <<"EOF" bash
port=$(sed -n 's/.*http::Proxy ".*:\([0-9]*\)";/\1/p' /dev/.oakum/apt.conf)
for login in '' 'b2FrdW06' 'b2FrdW06c2VjcmV0' '%%%'; do
  exec 3<>/dev/tcp/127.0.0.1/$port
  printf 'GET http://127.0.0.1/ HTTP/1.1\r\nProxy-Authorization: Basic %s\r\n\r\n' "$login" >&3
  head -n 1 <&3 >>/said
done
EOF
"""
    said = project.files(project.build(script)).read("said") or b""
    assert said.split(b"\r\n")[:-1] == [b"HTTP/1.1 407 Who is it?"] * 4


def test_the_lock_keeps_files_apart(
    tmp_path: Path, lab: Lab, project: Project, package: str
) -> None:
    from oakum.dockerfile import format_lock, parse_lock

    first = project.build(INSTALL.format(package))
    raw = format_lock(first.lock)
    assert parse_lock(raw) == first.lock
    place = tmp_path / "oakum.lock"
    place.write_bytes(raw)
    found = read_lock(place)
    assert isinstance(found, Lock)
    assert found.steps[0].files == first.lock.steps[0].files
