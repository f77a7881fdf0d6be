"""The block of fixes: written once, kept up to date, removed when it is no longer needed."""

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from oakum.dockerfile import (
    FixLine,
    NotEditable,
    apply_edits,
    fixes_blocks,
    in_block,
    mentions,
    parse_dockerfile,
    set_fixes_block,
    stages,
)

SSL = FixLine("libssl3", "3.0.17-1~deb12u3", ("CVE-2025-9230", "CVE-2025-9232"))
LIBC = FixLine("libc6:i386", "2.36-9+deb12u13")


def changed(
    raw: bytes, fixes: list[FixLine], at: str = "base", user: str | None = None, stage: int = -1
) -> bytes:
    file = parse_dockerfile(raw)
    edit = set_fixes_block(file, stages(file)[1][stage], fixes, at, user)  # type: ignore[arg-type]
    return apply_edits(raw, [edit] if edit else [])


def test_the_block_says_what_and_why() -> None:
    new = changed(b"FROM debian:12\nCMD x\n", [SSL, LIBC])
    assert new.decode() == (
        "FROM debian:12\n"
        "# oakum: fixes begin\n"
        "# libc6:i386 2.36-9+deb12u13\n"
        "# libssl3 3.0.17-1~deb12u3: CVE-2025-9230, CVE-2025-9232\n"
        "RUN apt-get update && DEBIAN_FRONTEND=noninteractive \\\n"
        "    apt-get install -y --no-install-recommends --only-upgrade \\\n"
        "    libc6:i386=2.36-9+deb12u13 \\\n"
        "    libssl3=3.0.17-1~deb12u3 \\\n"
        "    && rm -rf /var/lib/apt/lists/*\n"
        "# oakum: fixes end\n"
        "CMD x\n"
    )
    (block,) = fixes_blocks(parse_dockerfile(new))
    assert (block.stage, block.first_line, block.last_line) == (0, 2, 10)
    assert block.packages == (("libc6:i386", LIBC.version), ("libssl3", SSL.version))
    assert [one.package for one in mentions(parse_dockerfile(new))] == ["libc6", "libssl3"]


FILES = [
    b"FROM debian:12\nCMD x\n",
    b"FROM debian:12",
    b"FROM debian:12\nRUN <<E\nx\nE",
    b"ARG A\nFROM a AS one\nRUN x\n\n# next\nFROM one\nUSER app\nRUN y \\\n # c\n  z\n",
    b"FROM debian:12\r\nRUN a \\\r\n  b\r\n",
    b"# escape=`\nFROM debian:12\nRUN a `\n  b\n",
    b"FROM debian:12\nRUN <<E\n# oakum: fixes begin\nE\n",
]


@pytest.mark.parametrize("raw", FILES)
@pytest.mark.parametrize("at", ["base", "end"])
@pytest.mark.parametrize("user", [None, "root", "app", "1000:1000"])
def test_written_updated_and_removed(raw: bytes, at: str, user: str | None) -> None:
    once = changed(raw, [SSL], at, user)
    assert changed(once, [SSL], at, user) == once
    before, after = parse_dockerfile(raw), parse_dockerfile(once)
    blocks = fixes_blocks(after)
    kept = [one.original for one in after.instructions if not in_block(one.first_line, blocks)]
    assert kept == [one.original for one in before.instructions]
    newer = FixLine("libssl3", "3.0.18-1", ("CVE-2026-1",))
    twice = changed(once, [newer, LIBC], at, user)
    assert changed(twice, [SSL], at, user) == once
    assert changed(once, [], at, user).rstrip(b"\r\n") == raw.rstrip(b"\r\n")
    assert once.count(b"\r\n") in (0, once.count(b"\n"))


def test_root_for_a_while() -> None:
    raw = b"FROM x\nUSER app\nRUN a\n"
    assert b"USER" not in changed(raw, [SSL], "base").split(b"USER app")[0]
    at_end = changed(raw, [SSL], "end").decode()
    assert "USER root\nRUN apt-get" in at_end
    assert at_end.endswith("lists/*\nUSER app\n# oakum: fixes end\n")
    assert "USER root\n" in changed(b"FROM x\n", [SSL], "base", "65532").decode()


def test_the_user_of_a_parent_stage_counts() -> None:
    raw = b"FROM x AS a\nUSER app\nFROM a\n"
    assert b"USER root\n" in changed(raw, [SSL])


def test_each_stage_has_its_own() -> None:
    raw = b"FROM x AS a\nRUN b\nFROM y\n"
    both = changed(changed(raw, [SSL], stage=0), [LIBC], stage=1)
    assert [block.stage for block in fixes_blocks(parse_dockerfile(both))] == [0, 1]
    assert changed(changed(both, [], stage=0), [], stage=1) == raw


@pytest.mark.parametrize(
    "fix",
    [
        FixLine("a b", "1"),
        FixLine("-y", "1"),
        FixLine("ab", "1;x"),
        FixLine("ab", "1", ("CVE\nRUN x",)),
        FixLine("ab", ""),
    ],
)
def test_hostile_names_are_refused(fix: FixLine) -> None:
    with pytest.raises(NotEditable):
        changed(b"FROM x\n", [fix])


def test_damaged_blocks_are_errors() -> None:
    with pytest.raises(NotEditable, match="without"):
        changed(b"FROM x\n# oakum: fixes begin\nRUN a\n", [SSL])
    with pytest.raises(NotEditable, match="no room"):
        changed(b"FROM x\nRUN a \\\n", [SSL], "end")


@drawn(
    st.lists(
        st.builds(
            FixLine,
            st.from_regex(r"[a-z][a-z0-9+.-]{1,8}", fullmatch=True),
            st.from_regex(r"[0-9][0-9.+~-]{0,8}", fullmatch=True),
        ),
        max_size=4,
        unique_by=lambda fix: fix.package,
    )
)
def test_what_is_written_is_read_back(fixes: list[FixLine]) -> None:
    blocks = fixes_blocks(parse_dockerfile(changed(b"FROM x\nRUN a\n", fixes)))
    found = [pair for block in blocks for pair in block.packages]
    assert found == sorted((fix.package, fix.version) for fix in fixes)
