"""The image does not depend on who builds it, with which runtime, and on which file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.sandbox.conftest import WAYS, opened_box
from support.busy import LINES, Context
from support.command import Oakum
from support.disks import small_disk

CHANGES = (
    "RUN mkdir -p /d/e /f /r && echo a > /d/a && ln /d/a /d/a2 && echo b > /d/e/b "
    "&& touch /f/1 /f/2 /f/3 /r/old && echo s > /s && ln -s /f /link && mkfifo /pipe",
    "RUN rm /f/1 && rm /r/old && touch /r/new && rm /s && mkdir /s && touch /s/in "
    "&& chmod 700 /f/2 && rm -r /d/e && echo e > /d/e && mv /f/3 /f/4 && rm /link && touch /link",
    "RUN test ! -e /r/old && test -d /s && test -f /d/e && rm -r /r /s",
    "RUN --mount=type=tmpfs,target=/mnt/t --mount=type=cache,target=/c touch /mnt/t/x /c/x",
    "RUN test ! -e /mnt && test ! -e /c && mkdir /mnt",
)
"""The kinds of change that a layer can hold, for one user."""


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the image, built here with what works."""
    place = tmp_path_factory.mktemp("right")
    context = Context(place / "context").write(*CHANGES)
    return digest(Oakum(place / "store", place), context)


def digest(oakum: Oakum, context: Path, *words: str, **env: str) -> str:
    built = oakum.done("build", context, "-q", "--format", "json", *words, **env)
    return str(built.document["digest"])


@pytest.mark.parametrize(("sandbox", "who"), WAYS)
@pytest.mark.parametrize("snapshotter", ["overlay", "copy"])
def test_each_way_gives_the_same_digest(
    right: str, tmp_path: Path, sandbox: str, who: str, snapshotter: str
) -> None:
    with opened_box(sandbox, who, tmp_path) as box:
        context = box.context().write(*CHANGES)
        words = ("--sandbox", sandbox)
        assert digest(box.oakum, context, *words, OAKUM_SNAPSHOTTER=snapshotter) == right


@pytest.mark.parametrize("snapshotter", ["overlay", "copy"])
def test_a_store_in_memory_gives_the_same_digest(
    right: str, tmp_path: Path, snapshotter: str
) -> None:
    """Its directories list names in another order, and its clock is another."""
    context = Context(tmp_path / "context").write(*CHANGES)
    with small_disk(tmp_path / "memory", 256 << 20) as disk:
        oakum = Oakum(disk / "store", tmp_path)
        assert digest(oakum, context, OAKUM_SNAPSHOTTER=snapshotter) == right


def test_a_directory_in_the_place_of_another_hides_its_files_in_a_copied_root(
    oakum: Oakum, context: Context
) -> None:
    place = context.write(
        "RUN mkdir -p /d/e && touch /d/old /d/e/old && mkdir /kept && touch /kept/file",
        "RUN rm -r /d && mkdir -p /d/e && touch /d/new /d/e/new",
        "RUN test ! -e /d/old && test ! -e /d/e/old && test -e /d/e/new && test -e /kept/file",
    )
    oakum.done("build", place, "-t", "app:1", OAKUM_SNAPSHOTTER="copy")
    listed = oakum.done("ls", "app:1", "/d", "-R", "--format", "json").document["files"]
    assert {file["path"] for file in listed} >= {"/d/e", "/d/e/new", "/d/new"}
    assert not [file for file in listed if file["path"].endswith("old")]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_store_on_an_overlay_is_copied_from(right: str, context: Context, tmp_path: Path) -> None:
    """The kernel refuses an overlay whose upper directory is on an overlay."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    script = f'mount -t overlay overlay -o {options} {tmp_path}/merged && exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", script, "sh")
    oakum = Oakum(tmp_path / "merged" / "store", tmp_path, *before)
    place = context.write(*CHANGES)
    assert digest(oakum, place) == right
    assert "every step works on a copy of its root" in oakum.done("build", place, "--no-cache").err


@pytest.mark.parametrize("who", ["root", "ranges"])
def test_a_copied_root_mounts_stages_and_offers_certificates(tmp_path: Path, who: str) -> None:
    with opened_box("runc", who, tmp_path) as box:
        context = box.context().write_all(
            "FROM scratch AS first",
            *LINES[1:],
            "FROM first",
            "RUN --mount=type=bind,from=first,source=/etc,target=/there test -f /there/passwd",
        )
        box.output(context, OAKUM_SNAPSHOTTER="copy")


def test_users_and_owners_are_kept_where_there_are_ranges(tmp_path: Path) -> None:
    with opened_box("runc", "ranges", tmp_path) as box:
        place = box.context().write(
            "RUN touch /theirs && chown 1000:1000 /theirs", "USER user", "RUN touch /tmp/mine"
        )
        box.output(place, "-t", "app:1")
        listed = box.oakum.done("ls", "app:1", "/", "-R", "--format", "json").document["files"]
    owners = {file["path"]: (file["uid"], file["gid"]) for file in listed}
    assert owners["/theirs"] == owners["/tmp/mine"] == (1000, 1000)
    assert owners["/etc/passwd"] == (0, 0)


@pytest.mark.parametrize("sandbox", ["runc", "bwrap"])
def test_without_ranges_a_user_is_told_what_will_fail(tmp_path: Path, sandbox: str) -> None:
    with opened_box(sandbox, "alone", tmp_path) as box:
        place = box.context().write("RUN chown 1000:1000 /etc/passwd")
        ended = box.build(place)
        assert ended.code == 1
        assert "without ranges for somebody in /etc/subuid and /etc/subgid" in ended.err
        other = box.build(box.context().write("USER user", "RUN true"))
        assert "user 1000:1000 of the step does not exist in this user namespace" in other.err
