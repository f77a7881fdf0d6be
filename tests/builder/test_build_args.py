"""Build arguments that are given."""

from __future__ import annotations

from pathlib import Path

from oakum.builder import BuildRequest, build
from oakum.progress import Event
from oakum.store import Store


def test_an_argument_that_no_arg_declares_is_noted(store: Store, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nARG USED\nLABEL a=b\n")
    events: list[Event] = []
    request = BuildRequest(tmp_path, build_args={"USED": "1", "SLIP": "2"})
    build(store, request, progress=events.append)
    notes = [event.text for event in events if event.kind == "note"]
    assert notes == ["no ARG declares SLIP"]
