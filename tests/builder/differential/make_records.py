"""Make the kept records anew from a real BuildKit: ``make records``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import msgspec

from builder.differential.case import PLACE, Case, read_cases
from builder.differential.engines import BuildKit
from builder.differential.record import Record
from builder.differential.web import serving
from support.reference import running_reference


def main() -> int:
    """Write one file a topic; complain of a case that does not fail as it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("topics", nargs="*", help="by default all")
    parser.add_argument("--new", action="store_true", help="only cases that have changed")
    given = parser.parse_args()
    cases = [case for case in read_cases() if not given.topics or case.topic in given.topics]
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="records-") as place,
        serving(Path(place) / "www") as server,
        running_reference(Path(place)) as reference,
    ):
        engine = BuildKit(Path(place), server, reference)
        for topic in dict.fromkeys(case.topic for case in cases):
            wrong += _write(engine, topic, [c for c in cases if c.topic == topic], given.new)
    return int(wrong > 0)


def _write(engine: BuildKit, topic: str, cases: list[Case], only_new: bool) -> int:
    path = PLACE / "records" / f"{topic}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    made = {}
    wrong = 0
    for case in cases:
        known = kept.get(case.name, {}).get("case") == case.mark
        if known and (only_new or "kept" in case.sections):
            made[case.name] = kept[case.name]
            continue
        record = msgspec.structs.replace(engine.record(case), case=case.mark)
        wrong += _complain(case, record)
        made[case.name] = msgspec.to_builtins(record)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    return wrong


def _complain(case: Case, record: Record) -> int:
    words = case.lines("fails")
    if record.error is None and "fails" not in case.sections:
        return 0
    if record.error is None:
        print(f"{case.id}: it does not fail", file=sys.stderr)
        return 1
    missing = [one for one in words if one.lower() not in record.error.lower()]
    if "outcome" in case.differs() or ("fails" in case.sections and not missing):
        return 0
    print(f"{case.id}: {record.error} (lacks {missing})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
