"""Where a build context may be, and what one from elsewhere cannot do."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, build, opened_context, parse_place, read_dockerfile
from oakum.builder.archives import is_archive
from oakum.errors import BuildError, DockerfileError, InvalidImage, OakumError, UsageError
from oakum.store import Store
from support.git_server import GitServer, running_git_server

Member = tuple[str, bytes | tarfile.TarInfo]


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    """A git server."""
    with running_git_server(tmp_path / "server") as server:
        yield server


def tar_of(*members: Member) -> bytes:
    """A tar with these members: content, or a header."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, what in members:
            header = what if isinstance(what, tarfile.TarInfo) else tarfile.TarInfo()
            header.name = name
            if isinstance(what, bytes):
                header.size = len(what)
            tar.addfile(header, io.BytesIO(what) if isinstance(what, bytes) else None)
    return made.getvalue()


def of_type(kind: bytes, link: str = "", *, major: int = 0) -> tarfile.TarInfo:
    header = tarfile.TarInfo()
    header.type, header.linkname, header.devmajor, header.devminor = kind, link, major, 3
    return header


DOCKERFILE: Member = ("Dockerfile", b"FROM scratch\nCOPY . /x/\n")


def taken(store: Store, stdin: bytes, file: str | None = None) -> list[str]:
    """What the context on standard input holds."""
    request = BuildRequest(None)
    with opened_context(store, request, parse_place("-"), file, io.BytesIO(stdin)) as opened:
        read_dockerfile(opened)
        assert opened.context is not None
        return sorted(os.listdir(opened.context))


def test_a_context_is_gone_afterwards(store: Store) -> None:
    place = parse_place("-")
    stdin = io.BytesIO(tar_of(DOCKERFILE, ("f", b"f")))
    with opened_context(store, BuildRequest(None), place, None, stdin) as opened:
        built = build(store, opened)
        root = opened.context
        assert root is not None and (root / "f").read_bytes() == b"f"
    assert built.ran == 1
    assert [path.name for path in store.place.scratch.iterdir()] == ["lock"]
    assert not list((store.root / "records").glob("filedigests/*"))


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (("../out", b""), ".."),
        (("a/../../out", b""), ".."),
        (("null", of_type(tarfile.CHRTYPE, major=1)), "device"),
        (("disk", of_type(tarfile.BLKTYPE, major=8)), "device"),
        (("hard", of_type(tarfile.LNKTYPE, "/etc/passwd")), "hard link"),
        (("hard", of_type(tarfile.LNKTYPE, "../../etc/passwd")), ".."),
        (("a" * 5000, b""), "4096"),
    ],
)
def test_a_hostile_archive_is_refused(store: Store, member: Member, why: str) -> None:
    with pytest.raises(BuildError, match=r"context from standard input") as caught:
        taken(store, tar_of(DOCKERFILE, member))
    assert why in caught.value.what


def test_two_dockerfiles_are_one_too_many(store: Store, git: GitServer) -> None:
    for file in ("Other", f"{git.url}/main.git/HEAD"):
        with pytest.raises(UsageError, match="ambiguous Dockerfile source"):
            taken(store, b"FROM scratch\n", file)


def test_an_archive_writes_nowhere_through_its_links(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members: list[Member] = [
        ("l", of_type(tarfile.SYMTYPE, str(outside))),
        ("l/f", b"f"),
        ("m", of_type(tarfile.SYMTYPE, "../" * 20 + str(outside)[1:])),
        ("m/f", b"f"),
    ]
    with contextlib.suppress(BuildError):
        taken(store, tar_of(DOCKERFILE, *members))
    assert list(outside.iterdir()) == []
    assert not (store.root / "f").exists()


@pytest.mark.parametrize("name", ["Dockerfile", "oakum.lock"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../../../etc/passwd", "/"])
def test_no_file_is_read_through_a_link_out_of_the_context(
    store: Store, name: str, target: str
) -> None:
    from oakum.builder import lock_path, read_lock

    rest = [DOCKERFILE] if name != "Dockerfile" else []
    tar = tar_of(*rest, (name, of_type(tarfile.SYMTYPE, target)))
    place = parse_place("-")
    try:
        with opened_context(store, BuildRequest(None), place, None, io.BytesIO(tar)) as opened:
            read_dockerfile(opened)
            assert read_lock(lock_path(opened)) is None
    except DockerfileError as error:
        assert "root:" not in error.what


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("name", ["Dockerfile", "oakum.lock"])
def test_what_is_no_file_is_not_read(store: Store, name: str, kind: bytes) -> None:
    rest = [DOCKERFILE] if name != "Dockerfile" else []
    with pytest.raises(DockerfileError, match="is not a file"):
        taken(store, tar_of(*rest, (name, of_type(kind))))


def test_an_archive_may_not_be_larger_than_allowed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    tar = tar_of(DOCKERFILE, ("zeros", bytes(1 << 20)))
    monkeypatch.setenv("OAKUM_MAX_LAYER_BYTES", str(1 << 19))
    with pytest.raises(BuildError, match="larger than"):
        taken(store, tar)
    with pytest.raises(BuildError, match="unpacks to more than"):
        taken(store, gzip.compress(tar))


@pytest.mark.parametrize("head", [b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
@pytest.mark.parametrize("rest", [b"", b"garbage" * 200])
def test_a_damaged_archive_is_an_error(store: Store, head: bytes, rest: bytes) -> None:
    with pytest.raises(BuildError) as caught:
        taken(store, head + rest)
    assert not isinstance(caught.value, InvalidImage) and caught.value.todo


def test_what_is_an_archive_is_told_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for raw, expected in (
        (tar_of(DOCKERFILE), True),
        (b"\x1f\x8b\x08", True),
        (b"FROM scratch\n", False),
        (b"", False),
        (b"#" * 2000, False),
    ):
        file.write_bytes(raw)
        assert is_archive(file) is expected


@pytest.mark.parametrize("text", ["none", "https//h", "oci-layout://x", "github.com", ""])
def test_a_place_that_is_none_is_told_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="build context"):
        parse_place(text)


def test_places_of_repositories() -> None:
    place = parse_place("github.com/moby/buildkit#v1:docs")
    assert place.git is not None
    assert place.git.remote == "https://github.com/moby/buildkit.git"
    assert (place.git.ref, place.git.subdir) == ("v1", "docs")
    assert parse_place("https://me:secret@h.example/b.git").shown == "https://h.example/b.git"


def test_a_repository_with_a_lock_is_held_to_it(store: Store, git: GitServer) -> None:
    from oakum.builder import lock_path, read_lock

    git.change("main", "echo 'version = 1' > oakum.lock; git add .; git commit -qm lock")
    place = parse_place(f"{git.url}/main.git")
    with opened_context(store, BuildRequest(None), place, None, io.BytesIO()) as opened:
        assert opened.origin == f"{git.url}/main.git"
        assert read_lock(lock_path(opened)) is not None


@pytest.mark.parametrize(
    ("contexts", "why"),
    [
        ({"g": "target:s"}, "bake"),
        ({"g": "s"}, "not a directory"),
        ({"g": "ftp://h/x"}, "no place"),
    ],
)
def test_a_named_context_that_is_none(
    store: Store, tmp_path: Path, contexts: dict[str, str], why: str
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY --from=g / /x/\n")
    with pytest.raises(OakumError) as caught:
        build(store, BuildRequest(tmp_path, contexts=contexts))
    assert why in caught.value.what


def test_stages_do_not_wait_for_a_context_that_they_do_not_use(
    store: Store, tmp_path: Path, git: GitServer
) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch AS one\nCOPY f /f\nFROM scratch\nCOPY --from=one /f /f\n"
    )
    build(store, BuildRequest(tmp_path, contexts={"g": f"{git.url}/none.git"}))
    assert git.asked == []
