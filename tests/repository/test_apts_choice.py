"""apt itself, in a real root, says which version it would take; so must we."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from conftest import Files
from oakum.repository import Installed, open_apt

PREFERENCES = {
    "none": "",
    "backports": "Package: *\nPin: release n=bookworm-backports\nPin-Priority: 600\n",
    "backports glob": "Package: *\nPin: release a=*backports\nPin-Priority: 990\n",
    "backports for some": (
        "Package: curl libcurl* git\nPin: release n=bookworm-backports\nPin-Priority: 900\n"
    ),
    "no security": "Package: *\nPin: release l=Debian-Security\nPin-Priority: -1\n",
    "never security": "Package: *\nPin: release l=Debian-Security\nPin-Priority: never\n",
    "low security": "Package: *\nPin: release n=bookworm-security\nPin-Priority: 50\n",
    "hold one": "Package: openssl libssl3\nPin: version 3.0.*\nPin-Priority: -10\n",
    "version": "Package: openssl\nPin: version 3.0.2*\nPin-Priority: 1001\n",
    "downgrade": "Package: *\nPin: release n=bookworm, l=Debian\nPin-Priority: 1001\n",
    "downgrade at 1000": "Package: *\nPin: release n=bookworm\nPin-Priority: 1000\n",
    "by source": "Package: src:openssl src:git\nPin: release l=Debian\nPin-Priority: 995\n",
    "source glob": "Package: src:*ss*\nPin: release l=Debian-Security\nPin-Priority: -5\n",
    "source version": "Package: src:openssl\nPin: source-version 3*\nPin-Priority: -5\n",
    "expression": "Package: /^lib[s-t]/\nPin: release l=Debian-Security\nPin-Priority: -1\n",
    "glob": "Package: lib?s* *ssl\nPin: release l=Debian\nPin-Priority: 991\n",
    "order": (
        "Package: openssl\nPin: release l=Debian\nPin-Priority: 700\n\n"
        "Package: openssl\nPin: release l=Debian-Security\nPin-Priority: 800\n"
    ),
    "specific beats general": (
        "Package: *\nPin: release l=Debian-Security\nPin-Priority: 999\n\n"
        "Package: openssl\nPin: release l=Debian-Security\nPin-Priority: 1\n"
    ),
    "first general wins": (
        "Package: *\nPin: release o=Debian\nPin-Priority: 400\n\n"
        "Package: *\nPin: release l=Debian-Security\nPin-Priority: 450\n"
    ),
    "origin": 'Package: *\nPin: origin "{host}"\nPin-Priority: 1001\n',
    "other origin": 'Package: *\nPin: origin "example.com"\nPin-Priority: -1\n',
    "empty origin": 'Package: *\nPin: origin ""\nPin-Priority: 1001\n',
    "component": "Package: *\nPin: release c=main\nPin-Priority: 1001\n",
    "release version": "Package: *\nPin: release v=12*\nPin-Priority: 80\n",
    "two conditions": "Package: *\nPin: release o=Debian, a=nothing\nPin-Priority: -1\n",
    "installed": "Package: *\nPin: release a=now\nPin-Priority: 900\n",
    "plain word": "Package: *\nPin: release bookworm-backports\nPin-Priority: 600\n",
    "comments": (
        "# first\nExplanation: why\nPackage: git\n# within\nPin: release n=bookworm-backports\n"
        "Pin-Priority: 600\n"
    ),
    "star in a list": "Package: * foo\nPin: release l=Debian-Security\nPin-Priority: -1\n",
    "native only": "Package: openssl:amd64 git:i386\nPin: release o=*\nPin-Priority: -1\n",
    "any architecture": "Package: openssl:any\nPin: release o=*\nPin-Priority: -1\n",
}


def installed_of(root: Path) -> list[Installed]:
    show = ["dpkg-query", "--root", str(root), "-W"]
    show.append("-f=${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n")
    lines = subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    return [Installed(p, v, a) for status, p, v, a in rows if status == "installed"]


def policies(root: Path, preferences: str, *options: str) -> dict[str, str]:
    """What apt-cache policy names as Candidate, for every installed package."""
    place = root / f"tmp/oakum-preferences-{os.getpid()}"
    place.write_text(preferences)
    names = [p.package for p in installed_of(root)]
    command = ["chroot", str(root), "env", "LC_ALL=C", "apt-cache", "policy"]
    command += ["-o", f"Dir::Etc::preferences=/tmp/{place.name}", *options, *names]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found, name = {}, ""
    for line in text.splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.startswith("  Candidate: "):
            found[name] = line.removeprefix("  Candidate: ")
    return found


@pytest.mark.parametrize("name", PREFERENCES)
def test_under_preferences(bookworm: Path, kept: Path, mirror: str, name: str) -> None:
    preferences = PREFERENCES[name].replace("{host}", mirror.split("/")[2])
    expected = policies(bookworm, preferences)
    files = Files(bookworm)
    files.put("etc/apt/preferences", preferences)
    repository = open_apt(files, "amd64", kept, max_age=3600)
    wrong = {}
    for package in installed_of(bookworm):
        found = repository.candidate(package)
        ours = found.version if found else package.version
        if ours != expected[package.package] and expected[package.package] != "(none)":
            wrong[package.package] = (ours, expected[package.package])
        if expected[package.package] == "(none)" and found is not None:
            wrong[package.package] = (ours, "(none)")
    assert not wrong
    assert len(expected) > 80


@pytest.mark.parametrize(
    "release", ["bookworm-backports", "bookworm", "n=bookworm-security", "12*", "now"]
)
def test_under_a_default_release(bookworm: Path, kept: Path, release: str) -> None:
    expected = policies(bookworm, "", "-o", f"APT::Default-Release={release}")
    files = Files(bookworm)
    files.put("etc/apt/apt.conf", f'APT {{ Default-Release "{release}"; }};')
    repository = open_apt(files, "amd64", kept, max_age=3600)
    for package in installed_of(bookworm):
        found = repository.candidate(package)
        assert (found.version if found else package.version) == expected[package.package]


def test_there_is_something_to_upgrade(bookworm: Path, kept: Path) -> None:
    repository = open_apt(Files(bookworm), "amd64", kept, max_age=3600)
    found = repository.upgrades(installed_of(bookworm))
    assert found
    assert any(candidate.security for _, candidate in found)
    assert all(candidate.sha256 and candidate.size for _, candidate in found)


def test_files_are_where_apt_would_get_them(bookworm: Path, kept: Path) -> None:
    repository = open_apt(Files(bookworm), "amd64", kept, max_age=3600)
    ours = {
        f"{c.package}={c.version}": (unquote(c.url), c.size)
        for _, c in repository.upgrades(installed_of(bookworm))
    }
    command = ["chroot", str(bookworm), "apt-get", "download", "--print-uris", *ours]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    theirs = {(unquote(line.split("'")[1]), int(line.split("'")[2].split()[1])) for line in lines}
    assert set(ours.values()) == theirs
