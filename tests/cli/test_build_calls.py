"""``oakum build --check`` and ``--call``: what is printed, how it ends, and what a build says."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import Oakum

CLEAN = "FROM scratch AS one\nCOPY Dockerfile /\n"
UNCLEAN = "FROM scratch as one\nCOPY Dockerfile /$NAME\n\nCMD a\nENV B=1\nENV C=1\n"


@pytest.fixture
def oakum(tmp_path: Path) -> Oakum:
    return Oakum(tmp_path / "store", tmp_path)


def context(place: Path, text: str) -> Path:
    place.mkdir(exist_ok=True)
    (place / "Dockerfile").write_text(text)
    return place


def test_without_a_warning_it_ends_well(oakum: Oakum, tmp_path: Path) -> None:
    done = oakum.done("build", context(tmp_path / "c", CLEAN), "--check", "-t", "app:1")
    assert done.out == "Check complete, no warnings found.\n"
    assert oakum.done("images", "--format", "json").document["images"] == []


def test_a_warning_is_shown_in_its_place(oakum: Oakum, tmp_path: Path) -> None:
    ended = oakum("build", context(tmp_path / "c", UNCLEAN), "--check")
    assert ended.code == 1 and ended.err == ""
    assert ended.out.startswith("Check complete, 3 warnings have been found!\n")
    shown = """
WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:4
--------------------
   2 |     COPY Dockerfile /$NAME
   3 |
   4 | >>> CMD a
   5 |     ENV B=1
   6 |     ENV C=1
--------------------
"""
    assert ended.out.endswith(shown)


def test_the_exit_code_can_be_left_alone(oakum: Oakum, tmp_path: Path) -> None:
    place = context(tmp_path / "c", UNCLEAN)
    done = oakum.done("build", place, "--call", "check,format=json,ignorestatus=true")
    assert done.document["outcome"] == "failed"
    assert [one["line"] for one in done.document["warnings"]] == [1, 2, 4]


def test_what_stops_a_build_is_told_behind_the_warnings(oakum: Oakum, tmp_path: Path) -> None:
    text = "FROM scratch as one\nWORKDIR /\nCOPY ${X /\n"
    ended = oakum("build", context(tmp_path / "c", text), "--check")
    assert ended.code == 1 and "FromAsCasing" in ended.out
    assert ended.complaint[0].startswith("Dockerfile:3: cannot expand")
    told = oakum("build", tmp_path / "c", "--check", "--format", "json")
    assert told.document["error"] == ended.complaint[0]


def test_a_base_that_is_not_there(oakum: Oakum, tmp_path: Path) -> None:
    text = "FROM localhost:1/nothing as one\nENV A 1\n"
    ended = oakum("build", context(tmp_path / "c", text), "--check", "-q")
    assert ended.code == 1 and "FromAsCasing" in ended.out
    assert "Dockerfile:1" in ended.complaint[0]


def test_a_build_tells_of_its_warnings_once_and_ends_well(oakum: Oakum, tmp_path: Path) -> None:
    place = context(tmp_path / "c", UNCLEAN)
    done = oakum.done("build", place, "--format", "json")
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    assert notes[0] == "note: 3 build checks fired, see 'oakum build --check':"
    assert [note.split(":")[1].strip() for note in notes[1:]] == [
        *("FromAsCasing", "UndefinedVar", "JSONArgsRecommended")
    ]
    assert [one["rule"] for one in done.document["warnings"]] == [
        note.split(":")[1].strip() for note in notes[1:]
    ]
    assert oakum.done("build", place, "-q").err == ""


def test_a_build_looks_only_at_what_it_needs(oakum: Oakum, tmp_path: Path) -> None:
    text = "FROM scratch AS one\nWORKDIR a\nFROM scratch\nCOPY Dockerfile /\n"
    done = oakum.done("build", context(tmp_path / "c", text), "--format", "json", "-q")
    assert done.document["warnings"] == []
    assert oakum("build", tmp_path / "c", "--check").code == 1


def test_error_true_fails_a_build_before_anything_runs(oakum: Oakum, tmp_path: Path) -> None:
    text = f"# check=error=true\n{UNCLEAN}"
    ended = oakum("build", context(tmp_path / "c", text), "-t", "app:1")
    assert ended.code == 1
    what, hint = ended.complaint
    assert "line 2, FromAsCasing" in what and "line 3, UndefinedVar" in what
    assert "--check" in hint
    skip = "BUILDKIT_DOCKERFILE_CHECK=skip=all;error=true"
    assert oakum.done("build", tmp_path / "c", "--build-arg", skip).err.count("note") == 0


def test_options_of_checks_that_make_no_sense(oakum: Oakum, tmp_path: Path) -> None:
    ended = oakum("build", context(tmp_path / "c", f"# check=skp=all\n{CLEAN}"))
    assert ended.code == 1 and ended.complaint[0].startswith("Dockerfile:1: invalid check option")


def test_the_outline(oakum: Oakum, tmp_path: Path) -> None:
    text = """# VERSION what is built
ARG VERSION=1
# app the image
FROM scratch AS app
ARG VERSION
RUN --mount=type=secret,id=key,required --mount=type=cache,target=/var/cache true
RUN --mount=type=ssh --mount=type=cache,id=pip,target=/pip true
"""
    done = oakum.done("build", context(tmp_path / "c", text), "--call", "outline")
    expected = """TARGET:      app
DESCRIPTION: the image

BUILD ARG  VALUE  DESCRIPTION
VERSION    1      what is built

SECRET  REQUIRED
key     true

SSH      REQUIRED
default

CACHE       TARGET
/var/cache  /var/cache
pip         /pip
"""
    assert done.out == expected
    told = oakum.done("build", tmp_path / "c", "--call", "outline", "--format", "json")
    assert [one["id"] for one in told.document["outline"]["caches"]] == ["/var/cache", "pip"]


def test_the_targets(oakum: Oakum, tmp_path: Path) -> None:
    text = "# one is first\nFROM scratch AS one\nFROM one\n"
    done = oakum.done("build", context(tmp_path / "c", text), "--call=targets")
    assert done.out.splitlines() == [
        "TARGET     BASE     DESCRIPTION",
        "one        scratch  is first",
        "(default)  one",
    ]


def test_nothing_of_a_file_is_obeyed_by_a_terminal(oakum: Oakum, tmp_path: Path) -> None:
    text = 'FROM scratch\n# x \x1b[31m\nENV A="$B\x1b[31m \x9b"\n'
    ended = oakum("build", context(tmp_path / "c", text), "--check")
    assert ended.code == 1 and "\x1b" not in ended.out and "\\x1b[31m" in ended.out
