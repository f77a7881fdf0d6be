"""Package databases from anybody: a list of packages, or `InvalidImage`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oakum.errors import InvalidImage
from oakum.packages import (
    audit,
    diversions,
    info_file,
    owned_paths,
    parse_md5sums,
    parse_status,
)
from oakum.packages.dpkg import stanzas
from oakum.store import Store
from packages.images import layer_with, see

WORDS = [
    b"Package: a",
    b"Package: ../../etc",
    b"Package: \xff",
    b"Version: 1",
    b"Version:",
    b"Architecture: amd64",
    b"Architecture: a/b",
    b"Status: install ok installed",
    b"Status: hold reinstreq half-installed",
    b"Status: x",
    b"Source: s (2)",
    b"Source: (",
    b"Essential: YES",
    b"Conffiles:",
    b" /etc/x 0123456789abcdef0123456789abcdef obsolete",
    b" /etc",
    b" ",
    b"\t",
    b"",
    b"",
    b":",
    b"no colon",
    b"\0",
    b"\x1b[31m: red",
    b"package: lower",
    b"0123456789abcdef0123456789abcdef  usr/x",
    b"/usr/x",
    b"/.",
]
texts = st.builds(
    lambda lines, end: end.join(lines),
    st.lists(st.sampled_from(WORDS) | st.binary(max_size=15), max_size=15),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
noise = texts | st.binary(max_size=80)


@settings(max_examples=300)
@given(noise)
@example(b"\n" * 300)
def test_any_bytes_are_a_status_file(raw: bytes) -> None:
    for package in parse_status(raw).values():
        assert package.name and package.version and package.source and package.source_version
        assert all(path and not path.startswith("/") for path, _ in package.conffiles)
        package.name.encode()


@settings(max_examples=200)
@given(noise)
def test_any_bytes_are_checksums(raw: bytes) -> None:
    for path, digest in parse_md5sums(raw):
        assert path and len(digest) == 32


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise, noise, noise)
def test_any_database_is_read_or_refused(
    store: Store, status: bytes, info: bytes, diverted: bytes
) -> None:
    layer = layer_with(
        store,
        {
            "var/lib/dpkg/diversions": diverted,
            "var/lib/dpkg/info/a.list": info,
            "var/lib/dpkg/info/a.md5sums": info,
            "var/lib/dpkg/status": status,
            "var/lib/dpkg/status.d/a.md5sums": info,
            "var/lib/dpkg/status.d/b": info,
        },
    )
    seen = see(store, layer)
    for package in seen.packages:
        assert package.layer == 0
        owned_paths(seen.files, package)
        info_file(seen.files, package, "md5sums")
    assert all(isinstance(line, str) for line in audit(seen.files, seen.packages))
    diversions(seen.files)


@given(
    st.lists(st.sampled_from([b"Package: a", b"Version: 1", b"X: y", b" more", b""]), max_size=9)
)
def test_line_ends_of_windows_are_line_ends(lines: list[bytes]) -> None:
    assert list(stanzas(b"\n".join(lines))) == list(stanzas(b"\r\n".join(lines)))


def test_more_packages_than_any_system_has() -> None:
    with pytest.raises(InvalidImage, match="200000"):
        parse_status(b"Package: a\nVersion: 1\n\n" * 200_002)


@pytest.mark.parametrize(
    "kind",
    ["directory", "link to itself", "link out", "fifo"],
)
def test_a_database_that_is_no_file(store: Store, kind: str) -> None:
    from oakum.layer import Entry, Kind
    from support.layers import write_layer

    path = b"var/lib/dpkg/status"
    entries: dict[str, Callable[[], Entry]] = {
        "directory": lambda: Entry(path, Kind.DIRECTORY),
        "link to itself": lambda: Entry(path, Kind.SYMLINK, link=b"status"),
        "link out": lambda: Entry(
            path, Kind.SYMLINK, link=b"../../../../../../var/lib/dpkg/status"
        ),
        "fifo": lambda: Entry(path, Kind.FIFO),
    }
    layer = write_layer(store, [(entries[kind](), b"")]).descriptor
    assert see(store, layer).packages == ()
