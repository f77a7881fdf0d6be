"""dpkg's database is read from layers as dpkg itself reads it from a root."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from oakum.packages import (
    Package,
    audit,
    diversions,
    has_dpkg,
    info_file,
    owned_paths,
    parse_md5sums,
)
from oakum.store import Store
from packages.images import Seen, layer_of, layer_of_tar, layer_with, see
from support.dpkg import Root
from support.lab import Deb
from support.roots import debian_tar


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root with three packages that dpkg installed."""
    made = Root(tmp_path / "dpkg")
    made.install(
        Deb("alpha", "1:2.0-1", source="origin (3.0)", files=(("usr/share/a b/c", "text"),)),
        Deb("beta", "0.1~rc1", files=(("usr/lib/beta/data", "data"),)),
        Deb("gamma", "9", source="delta"),
    )
    return made


def row(package: Package) -> list[str]:
    """A package in the order of `support.dpkg.FORMAT`."""
    want = "hold" if package.held else "install" if package.installed else "deinstall"
    essential = "yes" if package.essential else "no"
    return [
        package.name,
        package.architecture,
        package.version,
        package.source,
        package.source_version,
        want,
        package.state,
        essential,
    ]


def differing(seen: Seen) -> set[str]:
    """Files that are gone or not what their package shipped, as ``dpkg --verify`` finds them."""
    found = set()
    for package in seen.packages:
        diverted = diversions(seen.files, package.name)
        sums = info_file(seen.files, package, "md5sums") if package.installed else None
        shipped = dict(parse_md5sums(sums)) if sums else {}
        if package.installed:
            shipped |= dict(package.conffiles)
        for path, digest in shipped.items():
            if seen.md5(diverted.get(path, path)) != digest:
                found.add(f"/{path}")
    return found


def test_packages_are_those_that_dpkg_query_shows(store: Store, root: Root) -> None:
    seen = see(store, layer_of(store, root.path))
    assert [row(package) for package in seen.packages] == root.query()
    assert seen.package("alpha").source_version == "3.0"
    assert [package.layer for package in seen.packages] == [0, 0, 0]
    assert has_dpkg(seen.files)


def test_removed_and_held_packages_are_marked(store: Store, root: Root) -> None:
    root.dpkg("--remove", "beta")
    root.dpkg("--purge", "gamma")
    selections = root.database / "status"
    selections.write_text(
        selections.read_text().replace("install ok installed", "hold ok installed")
    )
    seen = see(store, layer_of(store, root.path))
    assert [row(package) for package in seen.packages] == root.query()
    assert seen.package("alpha").held
    assert audit(seen.files, seen.packages) == [] and root.audit() == set()


def test_a_list_names_what_dpkg_lists(store: Store, root: Root) -> None:
    seen = see(store, layer_of(store, root.path))
    for package in seen.packages:
        listed = root.dpkg("--listfiles", package.name).splitlines()
        assert [f"/{path}" for path in owned_paths(seen.files, package)] == listed[1:]


def test_a_files_checksum_is_that_of_the_package(store: Store, root: Root) -> None:
    assert differing(see(store, layer_of(store, root.path))) == root.verify() == set()
    (root.path / "usr/share/a b/c").write_text("other")
    (root.path / "usr/lib/beta/data").unlink()
    found = differing(see(store, layer_of(store, root.path)))
    assert found == root.verify() == {"/usr/share/a b/c", "/usr/lib/beta/data"}


def test_a_diverted_file_is_looked_for_where_it_went(store: Store, root: Root) -> None:
    root.divert("/usr/bin/beta", "--local")
    (root.path / "usr/bin/beta").write_text("a wrapper")
    seen = see(store, layer_of(store, root.path))
    assert diversions(seen.files) == {"usr/bin/beta": "usr/bin/beta.distrib"}
    assert differing(seen) == root.verify() == set()


def test_a_package_does_not_divert_its_own_file(store: Store, root: Root) -> None:
    root.divert("/usr/bin/beta", "--package", "wrapper")
    root.install(Deb("wrapper", "1", files=(("usr/bin/beta", "a wrapper"),)))
    seen = see(store, layer_of(store, root.path))
    assert diversions(seen.files, "wrapper") == {}
    assert differing(seen) == root.verify() == set()


STATES = {
    "half-installed": "install ok half-installed",
    "unpacked": "install ok unpacked",
    "half-configured": "install ok half-configured",
    "reinstreq": "install reinstreq installed",
    "reinstreq-unpacked": "install reinstreq half-installed",
    "held": "hold ok installed",
    "deinstall": "deinstall ok installed",
    "config-files": "deinstall ok config-files",
}


@pytest.mark.parametrize("state", STATES)
def test_an_audit_complains_of_what_dpkg_complains_of(store: Store, root: Root, state: str) -> None:
    status = root.database / "status"
    first, *rest = status.read_text().split("install ok installed")
    status.write_text(first + STATES[state] + "install ok installed".join(rest))
    assert complained(see(store, layer_of(store, root.path))) == root.audit()


@pytest.mark.parametrize(
    ("field", "other"),
    [("Triggers-Awaited: beta", "triggers-awaited"), ("Triggers-Pending: x", "triggers-pending")],
)
def test_an_audit_knows_triggers(store: Store, root: Root, field: str, other: str) -> None:
    status = root.database / "status"
    text = status.read_text().replace("install ok installed", f"install ok {other}\n{field}", 1)
    status.write_text(text)
    if other == "triggers-awaited":
        text = text.replace("Package: beta\n", "Package: beta\nTriggers-Pending: y\n")
        text = text.replace("ok installed", "ok triggers-pending", 1)
        status.write_text(text)
    assert complained(see(store, layer_of(store, root.path))) == root.audit() != set()


@pytest.mark.parametrize("kind", ["list", "md5sums"])
def test_an_audit_misses_what_dpkg_misses(store: Store, root: Root, kind: str) -> None:
    (root.database / f"info/alpha.{kind}").unlink()
    assert complained(see(store, layer_of(store, root.path))) == root.audit() == {"alpha"}


def test_an_audit_knows_a_package_without_an_architecture(store: Store, root: Root) -> None:
    status = root.database / "status"
    status.write_text(status.read_text().replace("Architecture: amd64\n", "", 1))
    assert complained(see(store, layer_of(store, root.path))) == root.audit() == {"alpha"}


def complained(seen: Seen) -> set[str]:
    return {line.split(":")[0] for line in audit(seen.files, seen.packages)}


def test_conffiles_have_the_checksum_that_was_shipped(store: Store) -> None:
    stanza = (
        b"Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nConffiles:\n"
        b" /etc/plain 0123456789abcdef0123456789abcdef\n"
        b" /etc/with some space 1123456789abcdef0123456789abcdef obsolete\n"
        b" /etc/leaving 2123456789abcdef0123456789abcdef remove-on-upgrade\n"
        b" /etc/new newconffile\nDescription: x\n"
    )
    seen = see(store, layer_with(store, {"var/lib/dpkg/status": stanza}))
    assert seen.package("a").conffiles == (
        ("etc/plain", "0123456789abcdef0123456789abcdef"),
        ("etc/with some space", "1123456789abcdef0123456789abcdef"),
        ("etc/leaving", "2123456789abcdef0123456789abcdef"),
        ("etc/new", "newconffile"),
    )


def test_a_distroless_image_has_a_file_for_each_package(store: Store) -> None:
    status_d = "var/lib/dpkg/status.d"
    data = hashlib.md5(b"data").hexdigest()
    first = layer_with(
        store,
        {
            f"{status_d}/base": b"Package: base-files\nVersion: 1\nArchitecture: amd64\n",
            f"{status_d}/base.md5sums": f"{data}  usr/share/x\n".encode(),
        },
    )
    second = layer_with(
        store,
        {f"{status_d}/libc6": b"Package: libc6\nVersion: 2\nArchitecture: amd64\nSource: glibc\n"},
    )
    seen = see(store, first, second)
    assert [(p.name, p.version, p.layer, p.source, p.installed) for p in seen.packages] == [
        ("base-files", "1", 0, "base-files", True),
        ("libc6", "2", 1, "glibc", True),
    ]
    assert owned_paths(seen.files, seen.package("base-files")) == ("usr/share/x",)
    assert owned_paths(seen.files, seen.package("libc6")) == ()
    assert audit(seen.files, seen.packages) == [] and has_dpkg(seen.files)


def test_an_image_without_dpkg_has_no_packages(store: Store) -> None:
    seen = see(store, layer_with(store, {"etc/passwd": b"root"}))
    assert seen.packages == () and not has_dpkg(seen.files) and diversions(seen.files) == {}


def test_a_debian_root_is_read_as_dpkg_reads_it(store: Store, tmp_path: Path) -> None:
    root = Root(tmp_path / "dpkg")
    subprocess.run(["tar", "-xpf", str(debian_tar()), "-C", str(root.path)], check=True)
    changed = {"etc/pam.conf": b"# changed\n", "usr/bin/dpkg": b"#!/bin/sh\n"}
    gone = ["usr/bin/apt-get", "etc/bash.bashrc"]
    for path, text in changed.items():
        (root.path / path).write_bytes(text)
    for path in gone:
        (root.path / path).unlink()
    seen = see(store, layer_of_tar(store, debian_tar()), layer_with(store, changed, gone))
    assert [row(package) for package in seen.packages] == root.query()
    assert complained(seen) == root.audit()
    documents = {
        path for path in root.verify() if path.startswith(("/usr/share/doc", "/usr/share/locale"))
    }
    assert differing(seen) - documents == root.verify() - documents
    assert {f"/{path}" for path in (*changed, *gone)} <= differing(seen)
