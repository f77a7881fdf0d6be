"""Why a step ran: which of its inputs is not what it was the last time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oakum.builder import BuildRequest, Secret, build
from oakum.builder.steps import StepReport
from oakum.store import Store
from support.busy import Context
from support.command import Oakum

TEXT = "COPY d /d\nRUN --mount=target=/m,source=e cat /d/* /m/* >/tmp/f\nWORKDIR /w\n"


class Project:
    def __init__(self, context: Context, store: Store) -> None:
        self.context = context
        self.store = store
        self.options: dict[str, Any] = {}
        for name in ("d/x", "d/y", "e/z"):
            self.write(name, name)

    def write(self, name: str, text: str) -> None:
        path = self.context.place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def build(self, text: str, **options: Any) -> dict[str, StepReport]:
        """The steps that change files, by keyword: the last of each."""
        request = BuildRequest(self.context.write(*text.splitlines()), **options)
        return {s.text.split()[0]: s for s in build(self.store, request).steps}


@pytest.fixture
def project(context: Context, store: Store) -> Project:
    made = Project(context, store)
    made.build(TEXT)
    return made


def test_a_first_build_has_nothing_to_compare_with(context: Context, store: Store) -> None:
    steps = Project(context, store).build(TEXT)
    assert {steps[name].why for name in ("COPY", "RUN", "WORKDIR")} == {"never built before"}
    assert not steps["COPY"].changed


def test_a_cached_step_has_no_reason(project: Project) -> None:
    steps = project.build(TEXT)
    assert {(s.status, s.why, s.changed) for s in steps.values() if s.status != "config"} == {
        ("cached", "", ())
    }


def test_files_by_name(project: Project) -> None:
    project.write("d/x", "other")
    (project.context.place / "d/y").chmod(0o600)
    project.write("d/new", "")
    steps = project.build(TEXT.replace("COPY", "COPY --chown=5:6"))
    assert set(steps["COPY"].changed) == {
        "owner of /d changed",
        "owner and content of /d/x changed",
        "mode and owner of /d/y changed",
        "/d/new is new",
    }
    line = steps["COPY"].line
    assert steps["RUN"].changed == (f"files before it: line {line} gave others",)


def test_a_long_list_ends(project: Project) -> None:
    for number in range(80):
        project.write(f"d/{number}", "")
    step = project.build(TEXT)["COPY"]
    assert len(step.changed) == 51
    assert step.changed[-1] == "and 30 more"
    assert step.why.endswith("; and 48 more")


@pytest.mark.parametrize(
    ("text", "options", "changed"),
    [
        (TEXT.replace("cat", "tac"), {}, "the command changed"),
        ("ENV V=1\n" + TEXT, {}, "environment V is new: '1'"),
        ("ENV API_TOKEN=1\n" + TEXT, {}, "environment API_TOKEN is new"),
        (f"ENV V={'x' * 300}\n" + TEXT, {}, "environment V is new"),
        ("USER user\n" + TEXT, {}, "user: was '', is 'user'"),
        ("WORKDIR /tmp\n" + TEXT, {}, "working directory: was '/', is '/tmp'"),
        (TEXT, {"network": "none"}, "network: was 'default', is 'none'"),
        (TEXT, {"add_hosts": (("h", "10.0.0.1"),)}, "hosts: was '', is 'h=10.0.0.1'"),
        (TEXT.replace("=e", "=e,rw"), {}, "options of the bind mount at /m changed"),
        (TEXT.replace("=e", "=d"), {}, "content of the bind mount at /m changed"),
        (TEXT.replace("/m,s", "/n,s").replace("/m/", "/n/"), {}, "the command changed"),
    ],
)
def test_an_input_of_a_command(
    project: Project, text: str, options: dict[str, Any], changed: str
) -> None:
    step = project.build(text, **options)["RUN"]
    assert step.status == "ran"
    assert changed in step.changed


def test_values_that_change(context: Context, store: Store) -> None:
    project = Project(context, store)
    text = "ARG V\nARG PASSWORD\nRUN echo $V >/f"
    project.build(text, build_args={"V": "a", "PASSWORD": "one"})
    step = project.build(text, build_args={"V": "b", "PASSWORD": "two"})["RUN"]
    assert step.changed == ("environment PASSWORD changed", "environment V: was 'a', is 'b'")
    assert step.why == "; ".join(step.changed)


def test_steps_that_come_and_go(project: Project) -> None:
    step = project.build(TEXT.replace("RUN", "RUN touch /new\nRUN"))["RUN"]
    assert step.changed == (f"files before it: line {step.line - 1} is new",)
    step = project.build(TEXT)["RUN"]
    assert (step.status, step.why) == ("cached", "")
    project.write("e/z", "other")
    step = project.build(TEXT)["RUN"]
    assert step.changed == ("content of the bind mount at /m changed",)


def test_a_stage_whose_base_is_another(context: Context, store: Store) -> None:
    project = Project(context, store)
    text = "FROM scratch AS x\nCOPY busybox /bin/sh\nCOPY d /d\nFROM x\nRUN echo 1 >/f"
    (context.place / "Dockerfile").write_text(text)
    build(store, BuildRequest(context.place))
    project.write("d/x", "other")
    (*_, step) = build(store, BuildRequest(context.place)).steps
    assert step.changed == ("files before it: the base is another",)


def test_what_is_run_for_no_input(project: Project) -> None:
    step = project.build(TEXT, no_cache=True)["RUN"]
    assert (step.why, step.changed) == ("the cache was not to be used", ())
    for key, _ in list(project.store.records.keys("step-2")):
        project.store.records.remove("step-2", key)
    assert project.build(TEXT)["RUN"].why == "its result is not in the cache any more"


def test_damaged_memories_are_none(project: Project) -> None:
    for kind in ("last-1", "inputs-1"):
        for key, path in list(project.store.records.keys(kind)):
            project.store.records.put(kind, path.name, b"\xc1" + key.encode())
        project.write("e/z", kind)
        step = project.build(TEXT)["RUN"]
        assert (step.status, step.changed) == ("ran", ())


def test_a_secrets_value_is_remembered_nowhere(project: Project, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("hunter-two-is-it")
    text = "RUN --mount=type=secret,id=s,env=S true"
    project.build(text, secrets=(Secret("s", tmp_path / "s"),))
    stored = [path for path in project.store.root.rglob("*") if path.is_file()]
    assert not [path for path in stored if b"hunter-two-is-it" in path.read_bytes()]


def test_a_build_without_changes_writes_nothing(project: Project) -> None:
    def records() -> dict[Path, int]:
        found = (project.store.root / "records").rglob("*-1/*/*")
        return {path: path.stat().st_ino for path in found}

    before = records()
    project.build(TEXT)
    assert records() == before


def test_the_command_says_it(oakum: Oakum, context: Context) -> None:
    place = str(context.write("COPY a /a", a="1"))
    first = oakum.done("build", place, "--explain")
    assert first.out.count("never built before") == 4
    context.write("COPY a /a", a="2")
    (*lines, _) = oakum.done("build", place, "--explain").out.splitlines()
    assert [line.split()[0] for line in lines] == ["STATUS", *["cached"] * 3, "ran"]
    assert lines[-1].split() == ["ran", "0:5", "COPY", "a", "/a", "content", "of", "/a", "changed"]
    assert oakum.done("build", place).out.count("\n") == 1
