"""FROM gets another tag or digest where these stand."""

import pytest

from oakum.dockerfile import (
    Given,
    NotEditable,
    apply_edits,
    base_edit,
    base_of,
    parse_dockerfile,
    stages,
)

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64

CASES = [
    ("FROM debian:12", {"digest": NEW}, f"FROM debian:12@{NEW}"),
    (f"FROM debian:12@{OLD} AS x", {"digest": NEW}, f"FROM debian:12@{NEW} AS x"),
    (f"FROM debian@{OLD}", {"digest": NEW}, f"FROM debian@{NEW}"),
    ("FROM debian:12.1", {"tag": "12.2"}, "FROM debian:12.2"),
    ("FROM debian", {"tag": "12"}, "FROM debian:12"),
    ("FROM debian", {"tag": "12", "digest": NEW}, f"FROM debian:12@{NEW}"),
    ("FROM debian:11", {"tag": "12", "digest": NEW}, f"FROM debian:12@{NEW}"),
    (f"FROM debian@{OLD}", {"tag": "12", "digest": NEW}, f"FROM debian:12@{NEW}"),
    ("FROM host:5000/a/b", {"tag": "1"}, "FROM host:5000/a/b:1"),
    ("FROM --platform=linux/amd64 \\\n  debian:12", {"digest": NEW}, None),
    ("ARG B=debian:12\nFROM $B", {"digest": NEW}, f"ARG B=debian:12@{NEW}\nFROM $B"),
    (f"ARG B=debian:12@{OLD}\nFROM $B", {"digest": NEW}, f"ARG B=debian:12@{NEW}\nFROM $B"),
    ("ARG T=12.1\nFROM debian:${T}", {"tag": "12.2"}, "ARG T=12.2\nFROM debian:${T}"),
    (
        "ARG T=12.1\nFROM debian:${T}-slim",
        {"tag": "12.2-slim"},
        "ARG T=12.2\nFROM debian:${T}-slim",
    ),
    ("ARG T=12\nFROM debian:$T", {"digest": NEW}, f"ARG T=12\nFROM debian:$T@{NEW}"),
    (f"ARG D={OLD}\nFROM debian:12@$D", {"digest": NEW}, f"ARG D={NEW}\nFROM debian:12@$D"),
    ("FROM debian:${T:-12}", {"tag": "13"}, "FROM debian:${T:-13}"),
    (f"FROM debian:12@{OLD}", {"digest": OLD}, f"FROM debian:12@{OLD}"),
]


@pytest.mark.parametrize(("text", "change", "new"), CASES)
def test_edits(text: str, change: dict[str, str], new: str | None) -> None:
    file = parse_dockerfile(text.encode())
    stage = stages(file)[1][0]
    edited = apply_edits(file.raw, base_edit(file, stage, **change))
    assert edited.decode() == (new or f"{text}@{NEW}")
    again = parse_dockerfile(edited)
    assert base_edit(again, stages(again)[1][0], **change) == ()


def test_the_base_is_taken_apart() -> None:
    file = parse_dockerfile(f"ARG T=1\nFROM h:5000/a:$T@{OLD}\nFROM $NO\n".encode())
    first, second = (base_of(file, stage) for stage in stages(file)[1])
    assert (first.name, first.tag, first.digest) == ("h:5000/a", "1", OLD)
    assert first.known and not second.text


def test_what_a_build_argument_gives_is_not_in_the_file() -> None:
    file = parse_dockerfile(b"ARG B=debian:11\nARG T=1\nFROM $B\nFROM debian:$T\nFROM $NO\n")
    one, two, three = stages(file)[1]
    for stage, change in ((one, {"digest": NEW}), (two, {"tag": "2"})):
        with pytest.raises(NotEditable, match="--build-arg"):
            base_edit(file, stage, given=Given({"B": "debian:12", "T": "1"}), **change)
    with pytest.raises(NotEditable, match="not set"):
        base_edit(file, three, digest=NEW)
