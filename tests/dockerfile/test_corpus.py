"""Dockerfiles in many styles: what they install, and one raised version each.

Beside each file, JSON: ``mentions`` (``package``, ``package=version``, or ``package=?`` for a
version that only a run can tell), how many scripts are ``unreadable``, what is ``given`` from
outside, and an ``edit`` with the lines that it adds or the reason why it is refused.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from oakum.dockerfile import (
    Given,
    Mention,
    NotEditable,
    allows,
    apply_edits,
    parse_dockerfile,
    set_version,
    survey,
    unified_diff,
)

FILES = sorted((Path(__file__).parent / "corpus").glob("*.Dockerfile"))


def expected(path: Path) -> Any:
    return json.loads(path.with_suffix(".json").read_text())


def given(path: Path) -> Given:
    outside = expected(path).get("given", {})
    env = {int(stage): values for stage, values in outside.get("image_env", {}).items()}
    return Given(outside.get("build_args", {}), {}, env)


def shown(mention: Mention) -> str:
    return f"{mention.package}={mention.version or '?'}" if mention.pinned else mention.package


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mentions(path: Path) -> None:
    file = parse_dockerfile(path.read_bytes(), path.name)
    found = survey(file, given(path))
    assert [shown(mention) for mention in found.mentions] == expected(path)["mentions"]
    assert len(found.unreadable) == expected(path).get("unreadable", 0)


@pytest.mark.parametrize(
    "path", [path for path in FILES if "edit" in expected(path)], ids=lambda path: path.stem
)
def test_edits(path: Path) -> None:
    wanted = expected(path)["edit"]
    file = parse_dockerfile(path.read_bytes(), path.name)
    mentions = survey(file, given(path)).mentions
    mention = next(one for one in mentions if one.package == wanted["package"])
    if "refused" in wanted:
        with pytest.raises(NotEditable, match=wanted["refused"]):
            set_version(file, mention, wanted["version"], given(path))
        return
    new = apply_edits(file.raw, set_version(file, mention, wanted["version"], given(path)))
    diff = unified_diff(file.raw, new, path.name).split("\n")[2:]
    assert [line[1:] for line in diff if line.startswith("+")] == wanted["added"]
    assert len([line for line in diff if line.startswith("-")]) == len(wanted["added"])
    again = parse_dockerfile(new, path.name)
    now = next(
        one for one in survey(again, given(path)).mentions if one.package == wanted["package"]
    )
    assert now.version is not None and allows(now.version, wanted["version"])
    assert set_version(again, now, wanted["version"], given(path)) == ()
