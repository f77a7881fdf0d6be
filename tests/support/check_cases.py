"""Cases of ``--check`` and ``--call``, and what BuildKit answers to them: ``make records``.

The cases stand in ``tests/dockerfile/checks``, in the form of those of the builder's differential
suite, with a section ``foreign NAME`` for a base image of another platform; the answers stand
beside them in ``records.json``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from builder.differential.case import Case, read_cases, write_context
from oakum.oci import host_platform
from support.reference import Failed, Reference, running_reference

PLACE = Path(__file__).parent.parent / "dockerfile" / "checks"
RECORDS = PLACE / "records.json"
_VIOLATED = "lint violation found for rules"
CASES = read_cases(PLACE)


def kept() -> dict[str, dict[str, Any]]:
    """The records by the cases' ids."""
    return dict(json.loads(RECORDS.read_text())) if RECORDS.exists() else {}


def words(case: Case) -> list[str]:
    """The options of a case."""
    return case.lines("options")


def write_images(case: Case, context: Path) -> list[tuple[str, str]]:
    """Write the Dockerfiles of the base images; their names and platforms."""
    foreign = case.named("foreign")
    for name, text in foreign.items():
        (context / f"{name}.Dockerfile").write_text(text)
    here = str(host_platform())
    other = "linux/s390x" if here != "linux/s390x" else "linux/amd64"
    return [*((name, here) for name in case.named("image")), *((name, other) for name in foreign)]


def asked(reference: Reference, case: Case, context: Path) -> dict[str, Any]:
    """What BuildKit answers to a case."""
    for name, platform in write_images(case, context):
        file = context / f"{name}.Dockerfile"
        reference.build(context, f"--file={file}", f"--tag={name}", f"--platform={platform}")
    record: dict[str, Any] = {"case": case.mark, "check": _check(reference, case, context)}
    if case.topic == "outline":
        record |= _listed(reference, case, context)
    return record


def _check(reference: Reference, case: Case, context: Path) -> dict[str, Any]:
    try:
        found = reference.call(context, "check", *words(case))
    except Failed as error:
        return {"refused": str(error).strip().splitlines()[-1]}
    warnings = [
        [one["ruleName"], *_lines(one), one["detail"], one.get("url", "")]
        for one in found["warnings"] or ()
    ]
    error = found["buildError"]["message"] if "buildError" in found else None
    if error is not None and error.startswith(_VIOLATED):
        # The rules come in any order.
        error = _VIOLATED
    return {"warnings": sorted(warnings), "error": error}


def _lines(value: dict[str, Any]) -> tuple[int, int]:
    ranges = value["location"]["ranges"]
    return ranges[0]["start"]["line"], ranges[-1]["end"]["line"]


def _listed(reference: Reference, case: Case, context: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"outline": None}
    try:
        found = reference.call(context, "outline", *words(case))
    except Failed as error:
        record["refused"] = str(error).strip().splitlines()[-1]
    else:
        record["outline"] = {
            "name": found.get("name", ""),
            "description": found.get("description", ""),
            "args": [
                [one["name"], one.get("value", ""), one.get("description", ""), _lines(one)[0]]
                for one in found.get("args") or ()
            ],
            **{
                kind: [
                    [one["name"], one.get("required", False), _lines(one)[0]]
                    for one in found.get(kind) or ()
                ]
                for kind in ("secrets", "ssh")
            },
        }
    stages = reference.call(context, "targets", *words(case))["targets"]
    record["targets"] = [
        [
            *(one.get(key, "") for key in ("name", "description", "base", "platform")),
            one.get("default", False),
            _lines(one)[0],
        ]
        for one in stages
    ]
    return record


def main() -> None:
    """Write the records; those of cases that are marked ``kept`` stay as they are."""
    before = kept()
    made = {}
    with (
        tempfile.TemporaryDirectory(prefix="checks-") as place,
        running_reference(Path(place)) as reference,
    ):
        for number, case in enumerate(CASES):
            known = before.get(case.id, {}).get("case") == case.mark
            if known and ("kept" in case.sections or "--new" in sys.argv):
                made[case.id] = before[case.id]
                continue
            context = write_context(case, Path(place) / str(number), "")
            made[case.id] = asked(reference, case, context)
    RECORDS.write_text(json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
