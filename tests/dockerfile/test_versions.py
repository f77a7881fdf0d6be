"""Versions are written where they stand; everything else keeps its bytes."""

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from oakum.dockerfile import (
    Dockerfile,
    Edit,
    Given,
    Mention,
    NotEditable,
    Span,
    Wanted,
    allows,
    apply_edits,
    holds,
    mentions,
    parse_dockerfile,
    set_version,
    set_versions,
    survey,
    unified_diff,
    upgrade_steps,
)
from oakum.dockerfile.shape import distribute, shaped


def parse(text: str) -> Dockerfile:
    return parse_dockerfile(text.encode())


def the(file: Dockerfile, package: str) -> Mention:
    return next(one for one in mentions(file) if one.package == package)


def test_a_variable_shared_by_two_packages_takes_one_new_version() -> None:
    file = parse("FROM x\nARG V=1-1\nRUN apt-get install nginx=$V nginx-common=$V\n")
    both = [Wanted(the(file, name), "1-2") for name in ("nginx", "nginx-common")]
    plan = set_versions(file, both)
    assert apply_edits(file.raw, plan.edits) == file.raw.replace(b"V=1-1", b"V=1-2")
    assert plan.refused == () and plan.also == () and len(plan.edits) == 2


def test_what_changes_along_is_said() -> None:
    file = parse("FROM x\nARG V=1-1\nRUN apt-get install nginx=$V nginx-common=$V\n")
    plan = set_versions(file, [Wanted(the(file, "nginx"), "1-2")])
    assert [(one.mention.package, one.version) for one in plan.also] == [("nginx-common", "1-2")]


def test_a_variable_cannot_take_two_versions() -> None:
    file = parse("FROM x\nARG V=1-1\nRUN apt-get install nginx=$V curl=$V tar=1\n")
    wanted = [Wanted(the(file, "nginx"), "1-2"), Wanted(the(file, "curl"), "1-3")]
    plan = set_versions(file, [*wanted, Wanted(the(file, "tar"), "2")])
    assert [one.mention.package for one in plan.refused] == ["nginx", "curl"]
    assert all("nginx" in one.reason and "curl" in one.reason for one in plan.refused)
    assert [edit.text for edit in plan.edits] == [b"2"]


def test_one_that_stays_conflicts_with_one_that_changes() -> None:
    file = parse("FROM x\nARG V=1-1\nRUN apt-get install nginx=$V curl=$V\n")
    wanted = [Wanted(the(file, "nginx"), "1-2"), Wanted(the(file, "curl"), "1-1")]
    assert len(set_versions(file, wanted).refused) == 2


def test_one_arg_in_two_stages() -> None:
    file = parse(
        "ARG V=1-1\nFROM x\nARG V\nRUN apt install nginx=$V\n"
        "FROM y\nARG V\nRUN apt install nginx=$V\n"
    )
    assert [one.stage for one in mentions(file)] == [0, 1]
    edits = set_version(file, mentions(file)[1], "1-2")
    assert apply_edits(file.raw, edits).startswith(b"ARG V=1-2\n")


def test_a_variable_that_names_the_package_too_is_left_alone() -> None:
    file = parse("FROM x\nARG V=7\nRUN apt-get install php$V=$V.0\n")
    with pytest.raises(NotEditable, match="other packages"):
        set_version(file, the(file, "php7"), "8.0")
    assert [edit.text for edit in set_version(file, the(file, "php7"), "7.1")] == [b".1"]


@pytest.mark.parametrize("version", ["", "1 2", "$(x)", "1;rm", "1'", "-1", "1\n2", "1*", "a:1"])
def test_hostile_versions_are_refused(version: str) -> None:
    file = parse("FROM x\nRUN apt-get install nginx=1\n")
    with pytest.raises(NotEditable):
        set_version(file, the(file, "nginx"), version)


def test_holder_tells_where_the_version_stands() -> None:
    file = parse("FROM x\nARG V=9.18.12\nRUN apt-get install bind9=1:${V}* \\\n curl='7.8'\n")
    holder = the(file, "bind9").holder
    assert holder is not None
    assert (holder.kind, holder.name, holder.line) == ("ARG", "V", 2)
    assert (holder.prefix, holder.suffix, holder.glob) == ("1:", "*", True)
    assert [file.raw[s.start : s.end] for s in holder.spans] == [b"9.18.12"]
    curl = the(file, "curl")
    assert curl.line == 4 and curl.holder is not None and curl.holder.kind == "word"
    assert curl.word == "curl='7.8'"


def test_a_build_argument_overrides() -> None:
    file = parse("FROM x\nARG V=1\nRUN apt-get install nginx=$V\n")
    outside = Given({"V": "2"})
    mention = survey(file, outside).mentions[0]
    assert mention.holder is not None and mention.holder.overridden_by_build_arg
    with pytest.raises(NotEditable, match="--build-arg"):
        set_version(file, mention, "3", outside)


def test_upgrades_and_holds() -> None:
    file = parse(
        "FROM x\nRUN apt-get update && \\\n apt-get -y dist-upgrade; apt-mark hold nginx curl\n"
        "RUN apt upgrade -y; apt-mark unhold curl; apt-mark showmanual\n"
    )
    assert [(one.line, one.kind) for one in upgrade_steps(file)] == [
        (3, "dist-upgrade"),
        (4, "upgrade"),
    ]
    assert [(one.package, one.held) for one in holds(file)] == [
        ("nginx", True),
        ("curl", True),
        ("curl", False),
    ]


def test_only_the_stages_that_a_target_needs() -> None:
    file = parse(
        "FROM x AS a\nRUN apt install aa=1\nFROM x AS b\nRUN apt install bb=1\n"
        "FROM a AS c\nRUN apt install cc=1\nFROM x AS d\nCOPY --from=b / /\nRUN apt install dd=1\n"
    )
    assert [one.package for one in mentions(file, target="C")] == ["aa", "cc"]
    assert [one.package for one in mentions(file, target="d")] == ["bb", "dd"]


def test_unreadable_scripts_are_named_and_the_rest_is_read() -> None:
    file = parse('FROM x\nRUN echo ( ) ) then apt-get install no=1\nSHELL ["pwsh"]\nRUN x\n')
    found = survey(file)
    assert [one.instruction.first_line for one in found.unreadable] == [2, 4]


@pytest.mark.parametrize(
    ("pinned", "version", "new"),
    [
        ("1.22.*", "1.24.0-1", "1.24.*"),
        ("1.22*", "1.24.0-1", "1.24*"),
        ("1:1.22*", "1:1.24.0-1", "1:1.24*"),
        ("1.22.1-9*", "1.24.0-2+deb12u1", "1.24.0-2*"),
        ("1.22*", "1:1.24.0-1", "1:1.24*"),
        ("1.*.3", "2.0", None),
        ("1.2", "1.3", "1.3"),
    ],
)
def test_shapes(pinned: str, version: str, new: str | None) -> None:
    assert shaped(pinned, version) == new
    assert new is None or allows(new, version)


@pytest.mark.parametrize(
    ("pieces", "fixed", "wanted", "new"),
    [
        (["1:", "9.18", "*"], [1, 0, 1], "1:9.20*", ["1:", "9.20", "*"]),
        (["1.22", "-1~b"], [0, 0], "1.24-2~b", ["1.24", "-2~b"]),
        (["1.22", "-1~b"], [0, 1], "1.24-2~b", None),
        (["1", ".", "22"], [0, 1, 0], "2.3", ["2", ".", "3"]),
        (["1"], [1], "2", None),
    ],
)
def test_pieces(pieces: list[str], fixed: list[int], wanted: str, new: list[str] | None) -> None:
    assert distribute(pieces, [bool(one) for one in fixed], wanted) == new


def test_edits_must_not_overlap() -> None:
    edits = [Edit(Span(0, 3), b"x", "one"), Edit(Span(2, 4), b"y", "two")]
    with pytest.raises(NotEditable, match="one; two"):
        apply_edits(b"abcdef", edits)
    assert apply_edits(b"abcdef", [edits[0], edits[0]]) == b"xdef"
    with pytest.raises(NotEditable):
        apply_edits(b"", edits)


def test_a_diff_knows_missing_final_newlines() -> None:
    assert unified_diff(b"a\nb", b"a\nc", "f") == (
        "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n"
        "+c\n\\ No newline at end of file\n"
    )
    assert unified_diff(b"a", b"a", "f") == ""


VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){1,2}-[1-9](\+deb12u[1-9])?", fullmatch=True)
PACKAGES = st.sampled_from(["nginx", "libssl3", "g++", "bind9"])
SPACE = st.sampled_from([" ", "  ", "\t", " \\\n  ", " \\\n # note\n\n "])
TAIL = st.sampled_from(["", "\n", "\n# end\n", " # x\n", "\nRUN echo '\u00fc'\n"])


@st.composite
def dockerfiles(draw: st.DrawFn) -> tuple[bytes, str, str]:
    """A file that pins one package once, the package, and the pinned version."""
    package, version, gap = draw(PACKAGES), draw(VERSIONS), draw(SPACE)
    upstream, _, revision = version.partition("-")
    held, word = draw(
        st.sampled_from(
            [
                ("", f"{package}={version}"),
                ("", f'"{package}={version}"'),
                (f"ARG V={version}\n", f"{package}=$V"),
                (f"ENV V {version}\n", f"{package}='1:'$V".replace("'1:'", "")),
                (f'ENV A=b \\\n  V="{version}"\n', f'{package}="${{V}}"'),
                (f"ARG U={upstream}\nENV V=$U-{revision}\n", f"{package}=${{V}}"),
                (f'ARG L="make {package}={version}"\n', "$L"),
            ]
        )
    )
    head = draw(
        st.sampled_from(["apt-get install -y", "set -eux; apt -y install", "sudo apt-get install"])
    )
    text = f"# t\u00e9st\nFROM x\n{held}RUN {head}{gap}curl{gap}{word}{draw(TAIL)}"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text.encode(), package, version


@drawn(dockerfiles(), VERSIONS)
def test_only_the_version_changes(made: tuple[bytes, str, str], new: str) -> None:
    raw, package, old = made
    file = parse_dockerfile(raw)
    mention = the(file, package)
    assert mention.version == old
    edits = set_version(file, mention, new)
    edited = apply_edits(raw, edits)
    kept = bytearray(raw)
    for edit in sorted(edits, key=lambda one: one.span, reverse=True):
        assert raw[edit.span.start : edit.span.end].decode() in old
        assert edit.text.decode() in new
        kept[edit.span.start : edit.span.end] = edit.text
    assert bytes(kept) == edited
    again = parse_dockerfile(edited)
    assert the(again, package).version == new
    assert set_version(again, the(again, package), new) == ()
    back = apply_edits(edited, set_version(again, the(again, package), old))
    assert the(parse_dockerfile(back), package).version == old


@drawn(st.text(alphabet="abc \\\n#$\"'`(){}<>|&;=EOFRUNapt-get install1.0~", max_size=120))
def test_no_script_crashes(text: str) -> None:
    body = text.replace("\n", " \\\n")
    try:
        file = parse_dockerfile(f"FROM x\nRUN apt-get {body}\n".encode())
    except Exception as error:
        assert type(error).__name__ == "DockerfileError"
        return
    survey(file)
