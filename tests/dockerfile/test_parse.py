"""A file becomes instructions that know their places; mistakes name file, line and a hint."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dockerfile as moby
from oakum.dockerfile import Dockerfile, Flag, Span, find_stage, parse_dockerfile, stages
from oakum.dockerfile.pairs import pairs
from oakum.dockerfile.pairs import parse_args as args_of
from oakum.dockerfile.pairs import parse_key_values as values_of
from oakum.errors import DockerfileError


def parse(text: str) -> Dockerfile:
    return parse_dockerfile(text.encode())


def test_continued_lines_are_joined_without_comments_and_mapped() -> None:
    file = parse("FROM x\nRUN a \\\n  # why\n\n  b=1 \\\n\t&& c\n")
    run = file.instructions[1]
    assert run.body.text == "a   b=1 \t&& c"
    assert (run.first_line, run.last_line) == (2, 6)
    at = run.body.text.index("b=1")
    assert run.body.span(at, at + 3) == Span(*((s := file.raw.index(b"b=1")), s + 3))
    assert run.body.span(0, at) is None


def test_flags_and_json() -> None:
    file = parse('FROM --platform=$P x AS y\nRUN --mount=type=bind --network="none" ["a", "b"]\n')
    run = file.instructions[1]
    assert run.flags == (Flag("mount", "type=bind"), Flag("network", "none"))
    assert run.json and run.arguments == ("a", "b")
    assert run.body.text == '["a", "b"]'


def test_heredocs() -> None:
    file = parse("FROM x\nRUN cat <<A 3<<-'B'\none $X\nA\n\ttwo\n\tB\nCOPY <<f /\nz\nf\n")
    first, second = file.instructions[1].heredocs
    assert (first.name, first.content, first.expand, first.chomp) == ("A", "one $X\n", True, False)
    assert (second.content, second.text, second.descriptor) == ("\ttwo\n", "two\n", 3)
    assert not second.expand and second.chomp
    assert file.raw[second.span.start : second.span.end] == b"\ttwo\n"
    assert file.instructions[2].heredocs[0].content == "z\n"


def test_onbuild_holds_an_instruction() -> None:
    file = parse("FROM x\nONBUILD RUN --network=none a <<E\nb\nE\n")
    trigger = file.instructions[1].onbuild
    assert trigger is not None and trigger.keyword == "RUN"
    assert trigger.flags == (Flag("network", "none"),)
    assert trigger.heredocs[0].content == "b\n"
    assert trigger.body.span(0, 1) == Span(34, 35)


def test_crlf_bom_and_bytes_that_are_not_utf8() -> None:
    raw = b"\xef\xbb\xbfFROM x\r\nRUN a \\\r\n  \xff\x00\xc3\xa9 b\r\n"
    run = parse_dockerfile(raw).instructions[1]
    assert run.body.text == "a   \udcff\0\xe9 b"
    assert run.arguments == ("a   \udcff\0\xe9 b",)
    assert run.body.offset(len(run.body.text)) == raw.rindex(b"\r\n")


def test_the_escape_directive() -> None:
    file = parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM x\nRUN dir c:\\ `\n  d\n")
    assert file.directives == {"syntax": "docker/dockerfile:1", "escape": "`"}
    assert file.instructions[1].body.text == "dir c:\\   d"


def test_pairs_know_where_values_stand() -> None:
    file = parse('FROM x\nENV A=1 B="2 3" \\\n  C=4\nENV OLD some  words\nARG D E=5\n')
    env, old, arg = file.instructions[1:]
    assert values_of(env) == (("A", "1"), ("B", '"2 3"'), ("C", "4"))
    assert [(p.name, p.value.text) for p in pairs(env) if p.value] == list(values_of(env))
    assert values_of(old) == (("OLD", "some  words"),)
    assert [p.value.text for p in pairs(old) if p.value] == ["some  words"]
    assert args_of(arg) == (("D", None), ("E", "5"))
    assert [p.value and p.value.text for p in pairs(arg)] == [None, "5"]


def test_stages() -> None:
    file = parse("ARG V=1\nFROM a AS One\nRUN x\nFROM --platform=p one\nFROM $V\n")
    first, found = stages(file)
    assert [one.keyword for one in first] == ["ARG"]
    assert [(s.index, s.name, s.base, s.platform) for s in found] == [
        (0, "one", "a", None),
        (1, None, "one", "p"),
        (2, None, "$V", None),
    ]
    assert find_stage(found, "ONE") is found[0]
    assert find_stage(found, "2") is found[2] and find_stage(found, "2", before=2) is None


MISTAKES = [
    ("", "no instructions", "FROM"),
    ("# only\n", "no instructions", "FROM"),
    ("ARG A\n", "FROM is missing", "FROM"),
    ("RUN a\nFROM x\n", "Dockerfile:1: no build stage in current context for RUN: RUN a", "ARG"),
    (
        "FROM x\n\nFORM y\n",
        "Dockerfile:3: unknown instruction: FORM: FORM y",
        "did you mean FROM?",
    ),
    ("FROM x\nENV A\n", "Dockerfile:2: ENV must have two arguments: ENV A", "name=value"),
    ("FROM x\nENV A=1 B\n", "Dockerfile:2: Syntax error - can't find = in", "name=value"),
    ("FROM x\nRUN <<E\na\n", "Dockerfile:2: unterminated heredoc: RUN <<E", "only E"),
    ("FROM x y\n", "one or three", "AS"),
    ("FROM x AS 1y\n", "invalid name", "letter"),
    ("FROM x\nCOPY a\n", "at least two arguments", "destination"),
    ("FROM x\nCOPY --form=a b c\n", "unknown flag: --form", "did you mean --from?"),
    ("FROM x\nCOPY --link=maybe b c\n", "boolean", "--link"),
    ("FROM x\nCOPY --from b c\n", "missing a value", "--from="),
    ("FROM x\nCOPY --from=a --from=b c d\n", "duplicate flag", "one"),
    ("FROM x\nCOPY a <<b\nb\n", "heredoc as a destination", "last"),
    ("FROM x\nUSER\n", "exactly one", "USER"),
    ("FROM x\nSHELL bash\n", "JSON array", "SHELL"),
    ("FROM x\nENTRYPOINT [1]\n", "comprised of strings", "quotes"),
    ("FROM x\nONBUILD ONBUILD RUN x\n", "not allowed as an ONBUILD trigger", "stage"),
    ("FROM x\nHEALTHCHECK --interval=3 CMD x\n", "not a duration: '3'", "30s"),
    ("FROM x\nHEALTHCHECK --interval=3us CMD x\n", "less than 1ms", "1ms"),
    ("FROM x\nHEALTHCHECK --retries=-1 CMD x\n", "--retries", "3"),
    ("FROM x\nHEALTHCHECK CDM x\n", "unknown type 'CDM'", "CMD"),
    ("FROM x\nRUN --mount=from=$A,target=/x b\n", "does not take variables", "stage"),
    ("FROM x\n\\", "unknown instruction: ", "known"),
    ("# escape=x\nFROM x\n", "escape character", "`"),
    ("# escape=`\n# escape=`\nFROM x\n", "given twice", "one"),
    ("FROM x\nRUN " + "a" * 70000, "longer than", "break"),
]


@pytest.mark.parametrize(("text", "what", "todo"), MISTAKES)
def test_mistakes_name_file_line_and_hint(text: str, what: str, todo: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert what in caught.value.what and todo in caught.value.todo
    assert "\n" not in caught.value.what


PIECES = ["FROM x\n", "RUN a", "ENV A=1 B='2 3'", " \\\n", "\\", "\n", "# c\n", "\r\n", "`", "\t"]
PIECES += ["RUN <<EOF\n", "EOF\n", "COPY <<-'B' /\n", "\tB\n", "ONBUILD ", "\u00e9", "'", " ", "[]"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_parts_are_those_of_mobys_parser_and_know_their_bytes(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        file = parse("FROM x\n" + text)
        commands = moby.parse_string("FROM x\n" + text)
        assert len(commands) == len(file.instructions)
        for one, command in zip(file.instructions, commands, strict=True):
            assert one.original == command.original.split("\n")[0].strip()
            assert (one.first_line, one.last_line) == (command.start_line, command.end_line)
            for index, character in enumerate(one.body.text):
                at = one.body.offset(index)
                assert file.raw[at:].decode("utf-8", "replace").startswith(character)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    with contextlib.suppress(DockerfileError):
        parse_dockerfile(b"FROM x\nRUN " + raw)
