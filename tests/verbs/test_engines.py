"""The verbs with another engine: the same plan, proof, lock and push; limits are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from oakum.builder import BuildRequest, Built, build, read_lock
from oakum.errors import BuildError, LockError
from oakum.oci import parse_reference
from oakum.transport import RegistryOptions
from oakum.verbs import lock, publish
from support.lab import Deb, Lab
from support.peers import Peer
from verbs.conftest import Project

Outdated = Callable[..., str]
INSTALL = "FROM BASE\nRUN apt-get update && apt-get install -y {}\n"


def with_engine(peer: Peer) -> dict[str, Any]:
    return {"engine": peer.engine, "network": "host"}


def fix(lab: Lab, name: str) -> None:
    lab.publish(Deb(name, "1.0-2", "Fix CVE-2031-0001."), suite="stable-security")


def locked(project: Project, peer: Peer | None, **more: Any) -> Built:
    """A build of the project that honours its lock."""
    found = read_lock(project.place / "oakum.lock")
    fields = with_engine(peer) if peer else {}
    return build(project.lab.store, BuildRequest(project.place, lock=found, **fields, **more))


@pytest.mark.parametrize("built_before", [True, False])
def test_a_pin_is_raised_built_proven_and_pushed(
    lab: Lab, project: Project, outdated: Outdated, peer: Peer, built_before: bool
) -> None:
    name = outdated("1.0-1")
    project.write(INSTALL.format(f"{name}=1.0-1") + "COPY app /app\n", app="hello")
    if built_before:
        project.build(**with_engine(peer))
    fix(lab, name)
    planned = project.rebuild(write=False, **with_engine(peer))
    assert (planned.applied, bool(planned.old_digest)) == (False, built_before)
    before = project.dockerfile.read_text()
    rebuilt = project.rebuild(push=True, **with_engine(peer))
    assert rebuilt.outcome == "done"
    assert project.dockerfile.read_text() == before.replace("=1.0-1", "=1.0-2")
    assert not (project.place / "oakum.lock").exists()
    run = next(step for step in rebuilt.steps if step.run)
    assert (run.line, run.packages) == (2, {f"{name}:amd64": "1.0-2"})
    assert rebuilt.proof is not None and rebuilt.proof.passed
    assert (rebuilt.proof.paths_changed > 0) == built_before
    [sent] = rebuilt.published
    assert sent.bytes_kept + sent.bytes_mounted > 10 * sent.bytes_sent
    assert rebuilt.engine.name == peer.engine
    assert rebuilt.engine.version and rebuilt.engine.limits


def test_the_lock_is_the_one_that_the_embedded_engine_writes(
    lab: Lab, project: Project, outdated: Outdated, peer: Peer
) -> None:
    name = outdated("1.0-1")
    project.write(INSTALL.format(name) + "RUN true\n")
    own = lock(lab.store, BuildRequest(project.place), write=False)
    other = lock(lab.store, BuildRequest(project.place, **with_engine(peer)), write=False)
    files = [msgspec.structs.replace(step, files={}) for step in own.lock.steps]
    assert other.lock == msgspec.structs.replace(own.lock, steps=tuple(files))
    assert other.lock.steps[0].packages == {f"{name}:amd64": "1.0-1"}


@pytest.mark.parametrize("stage", ["BASE", "BASE AS named"])
def test_a_cached_step_runs_anew(
    lab: Lab, project: Project, outdated: Outdated, peer: Peer, stage: str
) -> None:
    """What is not pinned is raised through the lock, though the Dockerfile stays as it is."""
    name = outdated("1.0-1")
    project.write(INSTALL.replace("BASE", stage).format(name))
    lock(lab.store, BuildRequest(project.place, **with_engine(peer)))
    before = project.dockerfile.read_bytes()
    fix(lab, name)
    rebuilt = project.rebuild(**with_engine(peer))
    assert rebuilt.outcome == "done"
    assert project.dockerfile.read_bytes() == before
    kept = read_lock(project.place / "oakum.lock")
    assert kept is not None and kept.steps[0].packages == {f"{name}:amd64": "1.0-2"}


def test_a_lock_holds_bases_and_tells_of_packages(
    lab: Lab, project: Project, outdated: Outdated, peer: Peer
) -> None:
    name = outdated("1.0-1")
    base = lab.make_base(f"moving-{peer.name.replace(' ', '-')}:1")
    project.write(INSTALL.replace("BASE", base).format(name))
    made = lock(lab.store, BuildRequest(project.place)).lock
    below = build(lab.store, BuildRequest(project.place, lock=made)).image.layers[:-1]
    (project.place / "Other").write_text(f"FROM {base}\nRUN touch /other\n")
    other = build(lab.store, BuildRequest(project.place, dockerfile=project.place / "Other"))
    publish(lab.store, other.image, parse_reference(base), RegistryOptions())
    fix(lab, name)
    built = locked(project, peer, no_cache=True)
    assert built.image.layers[: len(below)] == below
    assert built.lock.bases == made.bases
    [told] = [limit for limit in built.engine.limits if "not held" in limit]
    assert f"line 2: {name}:amd64 is 1.0-2, locked at 1.0-1" in told
    with pytest.raises(LockError, match="out of date"):
        locked(project, peer, locked=True)


def test_stages_beside_the_image_keep_what_the_lock_says_of_them(
    lab: Lab, project: Project, outdated: Outdated, peer: Peer
) -> None:
    name = outdated("1.0-1")
    project.write(
        INSTALL.format(name).replace("BASE", "BASE AS tools")
        + "FROM BASE\nCOPY --from=tools /etc/hostname /tool\n"
    )
    made = lock(lab.store, BuildRequest(project.place)).lock
    built = locked(project, peer)
    assert built.lock == made
    assert any(limit.endswith("not recorded: tools") for limit in built.engine.limits)
    assert locked(project, peer, locked=True).image.layers == built.image.layers


def test_a_failing_step_leaves_sources_and_names_alone(
    lab: Lab, project: Project, outdated: Outdated, peer: Peer
) -> None:
    name = outdated("1.0-1")
    project.write(INSTALL.format(f"{name}=1.0-1") + f"RUN {name} | grep 1.0-1\n")
    project.build(**with_engine(peer))
    fix(lab, name)
    before = project.dockerfile.read_bytes()
    with pytest.raises(BuildError, match="line 3"):
        project.rebuild(**with_engine(peer))
    assert project.dockerfile.read_bytes() == before
    assert lab.store.names.get(parse_reference(f"{project.tag}:1.0.1")) is None


def test_the_report_of_a_build_says_who_built(lab: Lab, project: Project) -> None:
    from oakum.verbs import build_result

    project.write("FROM BASE\n")
    built = build(lab.store, BuildRequest(project.place))
    document = msgspec.to_builtins(build_result(built, "done", (), ()))
    assert document["engine"]["name"] == "embedded"
    assert not document["engine"]["limits"]
