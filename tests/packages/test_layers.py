"""Which layer brought a package: the lowest since which the database has it at its version."""

from __future__ import annotations

import pytest

from oakum.oci import Descriptor
from oakum.store import Store
from packages.images import layer_with, see

STATUS = "var/lib/dpkg/status"


def status(*packages: str) -> bytes:
    """A status file; a package is written ``name=version``, or ``name=version!`` once removed."""
    stanzas = []
    for text in packages:
        name, _, version = text.partition("=")
        state = "deinstall ok config-files" if version.endswith("!") else "install ok installed"
        lines = [f"Package: {name}", f"Status: {state}", "Architecture: amd64"]
        stanzas.append("\n".join([*lines, f"Version: {version.rstrip('!')}", ""]))
    return "\n".join(stanzas).encode()


def database(store: Store, *packages: str) -> Descriptor:
    return layer_with(store, {STATUS: status(*packages)})


def other(store: Store) -> Descriptor:
    return layer_with(store, {"app/run": b"#!/bin/sh\n"})


@pytest.mark.parametrize(
    ("history", "layers"),
    [
        ([["a=1", "b=1"]], {"a": 0, "b": 0}),
        ([["a=1"], ["a=1", "b=1"]], {"a": 0, "b": 1}),
        ([["a=1"], None, ["a=1", "b=1"]], {"a": 0, "b": 2}),
        ([["a=1"], ["a=2"]], {"a": 1}),
        ([["a=1"], ["a=2"], ["a=2", "b=1"]], {"a": 1, "b": 2}),
        ([["a=1"], ["a=2"], ["a=1"]], {"a": 2}),
        ([["a=1"], [], ["a=1"]], {"a": 2}),
        ([["a=1"], ["a=1!"], ["a=1"]], {"a": 2}),
        ([["a=1"], None, None], {"a": 0}),
        ([None, ["a=1"]], {"a": 1}),
    ],
)
def test_a_package_belongs_to_the_layer_that_brought_its_version(
    store: Store, history: list[list[str] | None], layers: dict[str, int]
) -> None:
    stack = [other(store) if step is None else database(store, *step) for step in history]
    assert {package.name: package.layer for package in see(store, *stack).packages} == layers


def test_a_database_that_is_gone_has_no_packages(store: Store) -> None:
    removed = layer_with(store, {}, [STATUS])
    assert see(store, database(store, "a=1"), removed).packages == ()
    again = see(store, database(store, "a=1"), removed, database(store, "a=1")).packages
    assert [package.layer for package in again] == [2]


def test_architectures_are_packages_apart(store: Store) -> None:
    both = status("a=1") + b"\n" + status("a=1").replace(b"amd64", b"i386")
    seen = see(store, database(store, "a=1"), layer_with(store, {STATUS: both}))
    assert [(p.key, p.layer) for p in seen.packages] == [
        (("a", "amd64"), 0),
        (("a", "i386"), 1),
    ]


def test_files_of_status_d_come_and_go_by_themselves(store: Store) -> None:
    def one(name: str, version: str) -> dict[str, bytes]:
        return {f"var/lib/dpkg/status.d/{name}": status(f"{name}={version}")}

    stack = [
        layer_with(store, one("a", "1")),
        layer_with(store, one("b", "1")),
        layer_with(store, one("a", "2") | one("c", "1")),
        layer_with(store, {}, ["var/lib/dpkg/status.d/c"]),
    ]
    assert {p.name: p.layer for p in see(store, *stack).packages} == {"a": 2, "b": 1}


def test_a_database_behind_a_link_is_read_and_its_layer_is_not_known(store: Store) -> None:
    from oakum.layer import Entry, Kind
    from support.layers import write_layer

    body = status("a=1")
    members = [
        (Entry(b"usr/lib/dpkg-db/status", Kind.FILE, size=len(body)), body),
        (Entry(b"var/lib/dpkg", Kind.SYMLINK, link=b"../../usr/lib/dpkg-db"), b""),
    ]
    (package,) = see(store, write_layer(store, members).descriptor).packages
    assert (package.name, package.layer) == ("a", -1)
