"""What is selected, what goes together, and what is left with a reason."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from oakum.builder import BuildRequest, prune, read_lock
from oakum.errors import BuildError
from oakum.fixes.reports import Finding
from oakum.verbs import (
    Plan,
    Selection,
    bump,
    lock,
    write_bump,
)
from support.lab import Deb, Lab
from verbs.conftest import FRESH, Project
from verbs.test_lock import locked
from verbs.test_raise_a_pin import fix, statuses

Outdated = Callable[..., str]


def pair(lab: Lab, one: str, version: str, suite: str = "stable") -> str:
    """Two packages of one source, the first of which needs the second at its own version."""
    common = f"{one}-common"
    lab.publish(
        Deb(one, version, "Fix CVE-2031-0001.", f"{common} (= {version})", source=f"src-{one}"),
        Deb(common, version, "Fix CVE-2031-0001.", source=f"src-{one}"),
        suite=suite,
    )
    return common


def test_pins_of_one_source_go_together(lab: Lab, project: Project) -> None:
    common = pair(lab, "tandem", "1.0-1")
    install = f"RUN apt-get update && apt-get install -y tandem=1.0-1 {common}=1.0-1"
    project.write(f"FROM BASE\n{install}\n")
    project.build()
    pair(lab, "tandem", "1.0-2", "stable-security")
    rebuilt = project.rebuild(only=("tandem",))
    assert rebuilt.outcome == "done"
    assert install.replace("1.0-1", "1.0-2") in project.dockerfile.read_text()
    assert any("of the same source" in change.why for change in rebuilt.plan.changes)


def test_a_pin_stays_where_its_companion_must(lab: Lab, project: Project) -> None:
    common = pair(lab, "couple", "1.0-1")
    project.write(
        f"FROM BASE\nRUN apt-get update && apt-get install -y couple=1.0-1 {common}=1.0-1\n"
    )
    pair(lab, "couple", "1.0-2", "stable-security")
    selection = Selection(ceilings={common: "1.0-1"})
    plan = bump(
        lab.store, BuildRequest(project.place), selection=selection, repositories=FRESH
    ).plan
    assert plan.diff == ""
    assert {u.package: u.reason for u in plan.unfixed} == {"couple": "ceiling", common: "ceiling"}


def test_a_plan_brings_its_own_selection(lab: Lab, project: Project, outdated: Outdated) -> None:
    one, other = outdated("1.0-1"), outdated("1.0-1")
    text = f"FROM BASE\nRUN apt-get update && apt-get install -y {one}=1.0-1 {other}=1.0-1\n"
    project.write(text)
    project.build()
    fix(lab, one)
    fix(lab, other)
    plan = project.rebuild(write=False, only=(one,)).plan
    read = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert read == plan
    assert project.rebuild(plan=read).outcome == "done"
    assert f"{one}=1.0-2 {other}=1.0-1" in project.dockerfile.read_text()


def test_a_version_that_is_only_known_when_the_step_runs_is_told_and_left(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name, plain = outdated("1.0-1"), outdated("1.0-1")
    script = f"V=$(cat /version) && apt-get update && apt-get install -y {name}=$V {plain}=1.0-1"
    project.write(f"FROM BASE\nCOPY version /version\nRUN {script}\n", version="1.0-1")
    project.build()
    fix(lab, name)
    fix(lab, plain)
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "partly-done"
    assert [(u.package, u.reason) for u in rebuilt.unfixed] == [(name, "not-editable")]
    assert [f.package for f in rebuilt.fixed] == [plain]


def test_a_step_that_chooses_its_versions_from_a_file_is_left_and_the_rest_is_done(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name, plain = outdated("1.0-1"), outdated("1.0-1")
    install = "apt-get update && xargs -a /list apt-get install -y"
    project.write(
        f"FROM BASE\nCOPY list /list\nRUN {install}\n"
        f"RUN apt-get update && apt-get install -y {plain}\n",
        list=f"{name}=1.0-1\n",
    )
    project.build()
    fix(lab, name)
    fix(lab, plain)
    before = project.dockerfile.read_bytes()
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "partly-done"
    assert [(u.package, u.reason) for u in rebuilt.unfixed] == [(name, "not-editable")]
    assert [f.package for f in rebuilt.fixed] == [plain]
    assert project.dockerfile.read_bytes() == before
    assert locked(project)[f"{plain}:amd64"] == "1.0-2"


@pytest.mark.parametrize("pin", ["=1.0-1", ""], ids=["pinned", "free"])
def test_an_update_step_runs_again(
    lab: Lab, project: Project, outdated: Outdated, pin: str
) -> None:
    name = outdated("1.0-1")
    project.write(
        f"FROM BASE AS lists\nRUN apt-get update && : {name}\n"
        f"FROM lists\nRUN apt-get install -y {name}{pin}\n"
    )
    project.build()
    fix(lab, name)
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "done"
    assert statuses(rebuilt) == ["ran", "ran"]
    again = project.rebuild()
    assert (again.outcome, statuses(again)) == ("nothing-to-do", ["cached", "cached"])


def test_a_build_with_an_old_lock_brings_nothing_old_into_one_without(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\n")
    request = BuildRequest(project.place)
    lock(lab.store, request)
    old = read_lock(project.place / "oakum.lock")
    fix(lab, name)
    assert project.rebuild().outcome == "done"
    project.build(lock=old, no_cache=True)
    assert lock(lab.store, request).outcome == "nothing-to-do"
    assert locked(project)[f"{name}:amd64"] == "1.0-2"


@pytest.mark.parametrize("opening", ["<<EOT bash -e", "<<-'EOT' bash -eo pipefail"])
def test_a_heredoc_before_its_interpreter(
    lab: Lab, project: Project, outdated: Outdated, opening: str
) -> None:
    name = outdated("1.0-1")
    script = f"apt-get update\napt-get install -y {name}=1.0-1\n"
    project.write(f"FROM BASE\nRUN {opening}\n{script}EOT\n")
    fix(lab, name)
    plan = bump(lab.store, BuildRequest(project.place), repositories=FRESH).plan
    assert [(c.package, c.new, c.line) for c in plan.changes] == [(name, "1.0-2", 4)]


def test_a_hold_of_the_steps_own_does_not_contradict_its_pin(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    project.write(
        f"FROM BASE\nRUN apt-get update && apt-get install -y {name}=1.0-1 "
        f"&& apt-mark hold {name}\n"
    )
    project.build()
    fix(lab, name)
    rebuilt = project.rebuild()
    assert (rebuilt.outcome, rebuilt.unfixed) == ("done", ())


def test_a_hold_of_the_base_keeps_a_pin(lab: Lab, project: Project, outdated: Outdated) -> None:
    name = outdated("1.0-1")
    install = f"RUN apt-get update && apt-get install -y {name} && apt-mark hold {name}"
    base = lab.make_base(f"{name}:1", install)
    project.write(f"FROM {base}\nRUN apt-get update && apt-get install -y {name}=1.0-1\n")
    project.build()
    fix(lab, name)
    rebuilt = project.rebuild(write=False)
    assert rebuilt.outcome == "not-possible"
    assert {u.reason for u in rebuilt.unfixed} == {"held"}


def test_a_lock_gets_the_digest_that_its_base_stands_for_now(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    base = lab.make_base(f"{outdated('1.0-1')}:1", "ENV A=1")
    project.write(f"FROM {base}\nRUN true\n")
    lock(lab.store, BuildRequest(project.place))
    before = read_lock(project.place / "oakum.lock")
    lab.make_base(base.split("/", 1)[1], "ENV A=2")
    request = BuildRequest(project.place)
    bumped = bump(lab.store, request, repositories=FRESH)
    write_bump(request, bumped)
    after = read_lock(project.place / "oakum.lock")
    assert before is not None and after is not None
    assert [b.image for b in after.bases] == [base]
    assert after.bases[0].digest != before.bases[0].digest
    assert lock(lab.store, request).outcome == "nothing-to-do"


def test_a_vanished_version_of_the_lock_is_a_change(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1", "1.0-2")
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {name}\n")
    lock(lab.store, BuildRequest(project.place))
    path = project.place / "oakum.lock"
    path.write_text(path.read_text().replace("1.0-2", "1.0-0"))
    lab.withdraw(name, "1.0-1")
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "done"
    assert [(c.kind, c.old, c.new) for c in rebuilt.plan.changes] == [("lock", "1.0-0", "1.0-2")]
    assert locked(project)[f"{name}:amd64"] == "1.0-2"


def test_a_fix_of_the_final_stage_leaves_the_builders_lock_alone(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    name = outdated("1.0-1")
    install = f"RUN apt-get update && apt-get install -y {name}"
    project.write(
        f"FROM BASE AS builder\n{install}\nRUN touch /made\nFROM BASE\nCOPY --from=builder "
        f"/made /made\nRUN echo final && apt-get update && apt-get install -y {name}\n"
    )
    lock(lab.store, BuildRequest(project.place))
    fix(lab, name)
    rebuilt = project.rebuild()
    assert rebuilt.outcome == "done"
    assert statuses(rebuilt) == ["cached", "cached", "cached", "ran"]


def test_what_dpkg_does_not_have_is_listed_with_a_reason(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    project.write(f"FROM BASE\nRUN apt-get update && apt-get install -y {outdated('1.0-1')}\n")
    project.build()
    finding = Finding(
        package="lodash",
        ecosystem="npm",
        installed="4.0",
        fixed="4.1",
        advisory="CVE-2031-0009",
        scanner="trivy",
    )
    rebuilt = project.rebuild(write=False, selection=Selection(findings=(finding,)))
    assert [(u.package, u.reason) for u in rebuilt.unfixed] == [("lodash", "other-ecosystem")]
    assert rebuilt.outcome == "not-possible"


def test_a_narrow_run_keeps_what_the_block_says_of_others(
    lab: Lab, project: Project, outdated: Outdated
) -> None:
    one, other = outdated("1.0-1"), outdated("1.0-1")
    base = lab.make_base(f"{one}:1", f"RUN apt-get update && apt-get install -y {one} {other}")
    project.write(f"FROM {base}\nRUN true\n")
    fix(lab, one)
    fix(lab, other)
    project.rebuild()
    assert f"# {other} 1.0-2: CVE-2031-0001" in project.dockerfile.read_text()
    fix(lab, one, "1.0-3", "Fix CVE-2031-0002.")
    project.rebuild(only=(one,))
    text = project.dockerfile.read_text()
    assert f"{one}=1.0-3" in text
    assert f"# {other} 1.0-2: CVE-2031-0001" in text


def test_a_vanished_pin_is_found_before_the_steps_above_it(
    project: Project, outdated: Outdated
) -> None:
    name, wget = outdated("1.0-1"), outdated("1.0-1")
    project.write(
        f"FROM BASE\nRUN touch /ran\nRUN apt-get update && apt-get install -y {wget} {name}=0.9-1\n"
    )
    with pytest.raises(BuildError, match=r"line 3: .*=0\.9-1 is not in the archive") as caught:
        project.build()
    assert "1.0-1" in caught.value.what


def test_a_vanished_pin_ends_the_steps_above_it(project: Project, outdated: Outdated) -> None:
    """The second one would wait for ever."""
    project.write(
        "FROM BASE\nRUN mkfifo /pipe\nRUN install /pipe /copy\n"
        f"RUN set -e; apt-get update; apt-get install -y {outdated('1.0-1')}=0.9-1\n"
    )
    with pytest.raises(BuildError, match=r"line 4: .*=0\.9-1 is not in the archive"):
        project.build()


@pytest.mark.parametrize(
    "script",
    [
        "apt-get update && (apt-get install -y {}=0.9-1 || apt-get install -y {})",
        "apt-get update; apt-get install -y {}=0.9-1; true",
        "if test -e /nowhere; then apt-get install -y {}=0.9-1; fi",
        "apt-get update && apt-get install -y {}=0.9-1 | true",
        "apt-get update && apt-get install -y {}=0.9-1 || true",
    ],
)
def test_a_step_that_succeeds_is_right(project: Project, outdated: Outdated, script: str) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN true\nRUN {script.format(name, name)}\nRUN sleep 1\n")
    assert project.build().ran  # type: ignore[attr-defined]


def test_a_step_that_fails_for_a_vanished_pin_says_so(project: Project, outdated: Outdated) -> None:
    name = outdated("1.0-1")
    project.write(f"FROM BASE\nRUN set -x; apt-get update; apt-get install -y {name}=0.9-1\n")
    with pytest.raises(BuildError, match=r"exit code: 100.*=0\.9-1 is not in the archive"):
        project.build()


def test_an_archive_that_never_answers_holds_no_step(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/debian"
        project.write(
            f"FROM BASE\nRUN echo 'deb [trusted=yes] {address} bookworm main'"
            " >/etc/apt/sources.list\n"
            "RUN apt-get install -y tool=1.0 2>/dev/null || echo done\n"
            "RUN apt-get install -y tool=1.0 && touch /made\n"
        )
        with pytest.raises(BuildError, match="line 4: the step failed"):
            project.build()


@pytest.mark.parametrize("behind", ["\nRUN ", " && "], ids=["a step", "a script of the step"])
def test_a_step_may_bring_the_source_of_a_later_pin_in_a_way_that_only_it_knows(
    lab: Lab, project: Project, outdated: Outdated, behind: str
) -> None:
    name = outdated("1.0-1")
    lab.publish(Deb(name, "2.0-1"), suite="stable-security")
    lists = lab.sources().splitlines()
    project.write(
        "FROM BASE\nRUN rm /etc/apt/sources.list\nCOPY one /opt/one\nCOPY setup /opt/setup\n"
        f"RUN echo none\nRUN sh /opt/setup{behind}"
        f"apt-get update && apt-get install -y {name}=2.0-1\n",
        one=f"{lists[1]}\n",
        setup="cp /opt/one /etc/apt/sources.list\n",
    )
    assert project.build().ran  # type: ignore[attr-defined]


def test_pruning_keeps_the_results_of_images_that_have_a_name(
    lab: Lab, project: Project, tmp_path: Path
) -> None:
    from oakum.builder import build
    from oakum.oci import parse_reference
    from oakum.store import Store

    project.write("FROM BASE\nRUN echo one >/one\nRUN echo two >/two\n")
    request = BuildRequest(project.place)
    with Store(tmp_path / "pruned") as store:
        build(store, request, tags=(parse_reference("pruned:1"),))
        prune(store, older_than=0)
        assert build(store, request).ran == 0
        prune(store, older_than=None)
        assert build(store, request).ran == 2
