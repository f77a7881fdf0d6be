"""Bad input: one clear error of two lines, with the place it comes from, and nothing raw."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.conftest import Ready
from support.busy import Context
from support.command import Oakum


def complaint(oakum: Oakum, place: Path, *more: str) -> tuple[str, str]:
    ended = oakum("build", place, "-q", *more)
    assert ended.code == 1
    assert ended.out == ""
    return ended.complaint


@pytest.mark.parametrize(
    ("line", "why", "hint"),
    [
        ("CPOY a /", "unknown instruction: CPOY", "did you mean COPY?"),
        ("ENV alone", "ENV must have two arguments", "write name=value"),
        ("COPY --fro=x a /b", "unknown flag: --fro", "did you mean --from?"),
        ("COPY alone", "COPY requires at least two arguments", "name the sources"),
        ("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD", "write the command"),
        ("RUN <<END", "unterminated heredoc", "END"),
        ("COPY nothing /b", "'nothing': not found in the build context", "check the path"),
        ("EXPOSE many", "invalid port or protocol 'many'", "write 80"),
        ("RUN --mount=type=box true", "unsupported mount type 'box'", "known: bind"),
        ("COPY --from=base /x /y", "'/x': not found in the stage", "check the path"),
        ('RUN ["/nothing"]', "'/nothing' is not in the image", "install it"),
        ("COPY --chown=nobody a /", "invalid user 'nobody'", "create the accounts"),
        ('RUN ["busybox", "false"]', "the step failed, exit code: 1", "fix the command"),
        ("USER ghost\nRUN true", "no user 'ghost' in /etc/passwd", "create the user"),
    ],
)
def test_a_mistake_in_a_dockerfile_is_shown_with_its_line(
    oakum: Oakum, context: Context, line: str, why: str, hint: str
) -> None:
    begin = ["FROM scratch AS base", "COPY a /a", "COPY busybox /bin/", "FROM base"]
    place = context.write_all(*begin, line, a="a")
    what, todo = complaint(oakum, place)
    number = len(begin) + line.count("\n") + 1
    assert why in what
    assert hint in todo
    assert f"Dockerfile:{number}: " in what or f"Dockerfile, line {number}: " in what
    assert line.rpartition("\n")[2] in what


def test_an_unknown_base_is_named_with_its_line(
    oakum: Oakum, context: Context, registry: str
) -> None:
    base = f"{registry}/no-such-base:1"
    place = context.write_all(f"FROM {base}", "COPY busybox /")
    what, todo = complaint(oakum, place)
    assert what.startswith("Dockerfile, line 1: ")
    assert what.endswith(f"FROM {base}")
    assert todo


@pytest.mark.parametrize("option", ["--iidfile", "--metadata-file", "--result-file"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_named(
    oakum: Oakum, context: Context, option: str
) -> None:
    place = context.write_all("FROM scratch", "COPY a /a", a="a")
    for file in ("/nowhere/x", str(place)):
        ended = oakum("build", place, "-t", "half:1", option, file)
        assert ended.code == 2 and f"cannot write {file}" in ended.complaint[0]
    assert "half" not in oakum.done("images").out


@pytest.mark.parametrize("text", ["300000000000", "9" * 20, "-1", "\u00b2", "soon"])
def test_a_time_that_no_image_can_have_is_a_usage_error(
    oakum: Oakum, context: Context, text: str
) -> None:
    place = context.write_all("FROM scratch", "COPY a /a", a="a")
    ended = oakum("build", place, SOURCE_DATE_EPOCH=text)
    assert ended.code == 2 and "SOURCE_DATE_EPOCH" in ended.complaint[0]
    oakum.done("build", place, SOURCE_DATE_EPOCH="253402300799")


def test_an_unknown_target_is_a_usage_error_that_lists_the_stages(
    oakum: Oakum, context: Context
) -> None:
    place = context.write_all("FROM scratch AS one", "FROM scratch AS two")
    ended = oakum("build", place, "--target", "three")
    assert ended.code == 2
    what, todo = ended.complaint
    assert "there is no stage 'three'" in what
    assert "one, two" in todo


def test_a_directory_without_a_dockerfile_says_where_it_was_looked_for(
    oakum: Oakum, tmp_path: Path
) -> None:
    what, todo = complaint(oakum, tmp_path)
    assert str(tmp_path / "Dockerfile") in what
    assert "-f" in todo


def test_an_error_in_a_continued_line_is_told_for_its_first_line(
    oakum: Oakum, context: Context
) -> None:
    place = context.write("RUN : one \\\n    # a comment\n    && exit 3")
    what, _ = complaint(oakum, place)
    assert "Dockerfile, line 5: the step failed, exit code: 3" in what


ODD = [b"new\nline", b"\x1b[31mred", b"not-\xff-utf8", "right\u202eleft".encode(), b"\x9bcsi\x07"]


def is_harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.fixture(scope="module")
def odd(ready: Ready, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image of files with odd names."""
    place = tmp_path_factory.mktemp("odd")
    (place / "files").mkdir()
    for name in ODD:
        Path(os.fsdecode(os.fsencode(place / "files") + b"/" + name)).write_text("x")
    (place / "Dockerfile").write_text("FROM scratch\nCOPY files /\nLABEL odd=\x1b[31m\n")
    ready.oakum.done("build", place, "-t", "odd:1", "-q")
    return "odd:1"


def test_odd_names_are_listed_one_a_line_with_escapes(ready: Ready, odd: str) -> None:
    shown = ready.oakum.done("ls", odd).out
    assert is_harmless(shown)
    lines = shown.splitlines()
    assert len(lines) == 1 + len(ODD)
    for name in ("/new\\nline", "/\\x1b[31mred", "/not-\\xff-utf8", "/right\\u202eleft"):
        assert any(line.endswith(name) for line in lines), name


def test_odd_names_survive_json(ready: Ready, odd: str) -> None:
    shown = ready.oakum.done("ls", odd, "--format", "json").out
    assert shown.isascii()
    assert is_harmless(shown)
    paths = {os.fsencode(file["path"]) for file in json.loads(shown)["files"]}
    assert paths == {b"/" + name for name in ODD}


@pytest.mark.parametrize("format_", ["json", "table"])
def test_an_odd_label_does_not_reach_the_terminal(ready: Ready, odd: str, format_: str) -> None:
    assert is_harmless(ready.oakum.done("inspect", odd, "--format", format_).out)


def test_a_file_with_an_odd_name_can_be_read(ready: Ready, odd: str) -> None:
    for name in ODD:
        assert ready.oakum.done("cat", odd, os.fsdecode(b"/" + name)).out == "x"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_in_an_error_is_escaped(ready: Ready, odd: str, name: bytes) -> None:
    ended = ready.oakum("ls", odd, os.fsdecode(b"/no" + name))
    assert ended.code == 1
    assert all(part.isprintable() for part in ended.complaint)
    ended = ready.oakum("build", os.fsdecode(name))
    assert ended.code == 2
    assert all(part.isprintable() for part in ended.complaint)
    ended = ready.oakum(os.fsdecode(name))
    assert all(part.isprintable() for part in ended.complaint)


def test_what_a_step_prints_cannot_steer_the_terminal(oakum: Oakum, context: Context) -> None:
    place = context.write(r"RUN printf 'a\033[2Jb\r\nc\377d\n\007\te\n'; exit 1")
    ended = oakum("build", place, "--progress", "plain")
    assert is_harmless(ended.err)
    assert "a\\x1b[2Jb" in ended.err


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 64, b"\xff\xfe", b"FROM", b"{" * 5000, b"FROM scratch\n" + b"x" * 70_000],
    ids=["empty", "zeroes", "not text", "FROM alone", "brackets", "a long line"],
)
def test_a_file_that_is_no_dockerfile_is_refused(
    oakum: Oakum, context: Context, content: bytes
) -> None:
    (context.place / "Dockerfile").write_bytes(content)
    assert all(part.isprintable() for part in complaint(oakum, context.place))


def test_a_traceback_is_for_those_who_ask(oakum: Oakum, context: Context) -> None:
    place = context.write_all("FROM scratch", "COPY nothing /")
    assert "Traceback" not in oakum("build", place).err
    assert "Traceback" in oakum("--debug", "build", place).err


@pytest.mark.parametrize(
    "words",
    [
        ["--annotation", "a=b"],
        ["--attest", "type=sbom"],
        ["--sbom", "true"],
        ["--provenance", "mode=max"],
    ],
)
def test_what_is_not_attached_yet_is_said(oakum: Oakum, context: Context, words: list[str]) -> None:
    place = context.write_all("FROM scratch", "COPY a /", a="a")
    ended = oakum("build", place, *words)
    assert ended.code == 2
    assert f"{words[0]} {words[1]} is not supported yet" in ended.complaint[0]
    oakum.done("build", place, "--provenance=false", "--sbom=false")
