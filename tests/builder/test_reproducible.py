"""``--reproducible`` and ``--verify-reproducible``, through real builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.sandbox.conftest import opened_box
from oakum.builder import BuildRequest, build
from oakum.store import Store
from support.busy import Context
from support.command import Oakum
from support.lab import Deb, Lab

APT = "RUN apt-get update && apt-get install -y gadget && rm -rf /var/lib/apt/lists/*"


def digest(oakum: Oakum, place: Path, *words: str, **env: str) -> str:
    built = oakum.done("build", place, "-q", "--format", "json", *words, **env)
    return str(built.document["digest"])


def test_an_install_gives_the_same_digest_in_two_stores(lab: Lab, tmp_path: Path) -> None:
    lab.publish(Deb("gadget", "1.0-1"))
    (tmp_path / "Dockerfile").write_text(f"FROM {lab.base}\n{APT}\n")
    found: dict[bool, list[str]] = {}
    for reproducible in (False, True):
        for name in ("one", "two"):
            request = BuildRequest(tmp_path, reproducible=reproducible, no_cache=True)
            with Store(tmp_path / f"{name}-{reproducible}") as store:
                built = build(store, request)
                [step] = [step for step in built.steps if step.run]
                assert step.packages["gadget:amd64"] == "1.0-1"
                found.setdefault(reproducible, []).append(built.image.manifest.digest)
    assert len(set(found[True])) == 1
    assert len(set(found[False])) == 2, "there was no noise to be left out"


def test_an_install_gives_the_same_digest_whoever_does_it_and_how(
    lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab.publish(Deb("gadget", "1.0-1"))
    found = {}
    for sandbox, who, how in (
        ("runc", "root", "overlay"),
        ("bwrap", "root", "copy"),
        ("runc", "ranges", "copy"),
        ("bwrap", "ranges", "overlay"),
    ):
        with opened_box(sandbox, who, tmp_path_factory.mktemp("box")) as box:
            context = box.place / "context"
            context.mkdir()
            (context / "Dockerfile").write_text(f"FROM {lab.base}\n{APT}\nRUN useradd -m app\n")
            words = ("--sandbox", sandbox, "--reproducible")
            way = f"{sandbox} {who} {how}"
            found[way] = digest(box.oakum, context, *words, OAKUM_SNAPSHOTTER=how)
    assert len(set(found.values())) == 1, found


def test_a_plain_build_and_a_reproducible_one_share_no_step(oakum: Oakum, context: Context) -> None:
    place = context.write("RUN mkdir -p /var/log && date > /var/log/today")
    plain = digest(oakum, place)
    built = oakum.done("build", place, "--format", "json", "-q", "--reproducible").document
    assert built["digest"] != plain
    assert [s["status"] for s in built["steps"] if s["text"].startswith("RUN")] == ["ran"] * 3
    assert digest(oakum, place) == plain
    again = oakum.done("build", place, "--format", "json", "-q", "--reproducible").document
    assert (again["digest"], again["ran"]) == (built["digest"], 0)


@pytest.mark.parametrize("sandbox", ["runc", "bwrap"])
@pytest.mark.parametrize("who", ["root", "ranges"])
def test_each_way_leaves_out_and_hides_the_same(tmp_path: Path, sandbox: str, who: str) -> None:
    """What a lower layer has under such a name is gone where the step changed it."""
    with opened_box(sandbox, who, tmp_path) as box:
        context = box.context().write(
            "COPY old.pyc /app/__pycache__/a.pyc",
            "COPY old.pyc /app/__pycache__/untouched.pyc",
            "COPY log /var/log/app.log",
            "RUN echo new > /app/__pycache__/a.pyc && date > /var/log/app.log",
            "RUN date > /etc/group-",
            "RUN test ! -e /app/__pycache__/a.pyc && test -e /app/__pycache__/untouched.pyc "
            "&& test -f /var/log/app.log && test ! -s /var/log/app.log && test ! -e /etc/group-",
            **{"old.pyc": "old", "log": "old"},
        )
        words = ("--sandbox", sandbox, "--reproducible", "--no-cache")
        found = {
            digest(box.oakum, context, *words, OAKUM_SNAPSHOTTER=how) for how in ("overlay", "copy")
        }
    assert len(found) == 1


@pytest.mark.parametrize("how", ["overlay", "copy"])
def test_the_umask_of_the_caller_does_not_show(
    oakum: Oakum, context: Context, tmp_path: Path, how: str
) -> None:
    place = context.write(
        "COPY --link log /new/directory/log", "WORKDIR /work", "USER user", "RUN cat /new/*/log",
        log="x",
    )  # fmt: skip
    strict = Oakum(tmp_path / "strict", tmp_path, "sh", "-c", 'umask 077; exec "$@"', "sh")
    found = {digest(one, place, OAKUM_SNAPSHOTTER=how) for one in (oakum, strict)}
    assert len(found) == 1


@pytest.mark.parametrize("how", ["overlay", "copy"])
def test_a_step_may_remove_compiled_python_and_link_to_it(
    oakum: Oakum, context: Context, how: str
) -> None:
    place = context.write(
        "COPY old.pyc /app/a.pyc",
        "RUN rm /app/a.pyc && ln -s gone /app/link.pyc && mkfifo /app/pipe.pyc && mkdir /app/d.pyc",
        "RUN test ! -e /app/a.pyc && test -L /app/link.pyc && test -p /app/pipe.pyc",
        **{"old.pyc": "old"},
    )
    oakum.done("build", place, OAKUM_SNAPSHOTTER=how)


def test_a_build_that_comes_out_the_same_is_named(oakum: Oakum, context: Context) -> None:
    place = context.write("RUN mkdir /d && touch /d/b /d/a && ls /d > /list")
    ended = oakum.done("build", place, "-t", "app:1", "--verify-reproducible")
    assert "built again, the same" in ended.out
    shown = oakum.done("build", place, "-t", "app:1", "--verify-reproducible", "--format", "json")
    [checked] = shown.document["reproducibility"]
    assert checked["identical"] and checked["differences"] == []
    assert checked["digest"] == checked["other_digest"] == shown.document["digest"]
    assert shown.document["ran"] == 0 and checked["from_cache"] == shown.document["cached"]
    assert oakum.done("images", "--format", "json").document["images"]


NOISY = {
    "/when": ("date > /when", "content", "time"),
    "/host": ("hostname > /host", "content", "host name"),
    "/id": ("cat /proc/sys/kernel/random/uuid > /id", "content", "random"),
    "/order": (
        "mkdir /d && for n in 1 2 3 4 5 6 7 8 9; do touch /d/f$n; done && find /d > /order",
        "content",
        "order",
    ),
    "/some": ("echo $(($(date +%s) % 2)) > /some; touch /s$(date +%s)", "", ""),
    "/mode": ("touch /mode && chmod $((600 + $(date +%s) % 8)) /mode", "mode", "unknown"),
}


def test_what_differs_is_named_by_step_path_and_kind(oakum: Oakum, context: Context) -> None:
    place = context.write(
        *(f"RUN {command}" for command, _, _ in NOISY.values()),
        "RUN echo '-----BEGIN PRIVATE KEY-----' > /key && "
        "cat /proc/sys/kernel/random/uuid >> /key && echo '-----END PRIVATE KEY-----' >> /key",
        "RUN mkdir -p /var/log && date > /var/log/x.log",
    )
    ended = oakum("build", place, "-t", "app:1", "-q", "--verify-reproducible", "--format", "json")
    document = ended.document
    assert (ended.code, document["exit_code"], document["outcome"]) == (4, 4, "failed")
    [checked] = document["reproducibility"]
    assert not checked["identical"]
    found = {item["path"]: item for item in checked["differences"]}
    varied = " ".join(checked["varied"])
    for number, (path, (_, aspect, cause)) in enumerate(NOISY.items()):
        if path in ("/some", "/mode") or (path == "/order" and "order of dir" not in varied):
            continue
        item = found[path]
        assert (item["aspects"], item["cause"]) == ([aspect], cause), item
        assert item["line"] == 5 + number and item["step"].startswith("RUN "), item
        assert item["advice"] and item["excerpt"], item
    stamps = [item["aspects"] for path, item in found.items() if path.startswith("/s1")]
    assert sorted(stamps) == [["added"], ["missing"]]
    assert found["/key"]["cause"] == "key" and "container starts" in found["/key"]["advice"]
    assert "--reproducible" in found["/var/log/x.log"]["advice"]
    assert not found["/when"]["follows"] and found["/host"]["follows"]
    assert oakum.done("images", "--format", "json").document["images"] == []


def test_the_second_build_leaves_nothing_in_the_cache(oakum: Oakum, context: Context) -> None:
    place = context.write("RUN date +%s > /when")
    plain = digest(oakum, place)
    ended = oakum("build", place, "--verify-reproducible", "-q")
    error, hint = ended.complaint
    assert ended.code == 4 and "gave different images" in error and "stand above" in hint
    assert "line 5 [0] RUN date +%s > /when" in ended.out and "  /when: content" in ended.out
    assert digest(oakum, place) == plain


def test_nothing_is_pushed_when_builds_differ(
    oakum: Oakum, context: Context, registry: str
) -> None:
    place = context.write("RUN date +%s > /when")
    name = f"{registry}/differs:1"
    assert oakum("build", place, "-t", name, "--push", "--verify-reproducible", "-q").code == 4
    assert oakum("pull", f"docker://{name}", "-q").code == 1


def test_each_of_several_platforms_is_built_again(oakum: Oakum, context: Context) -> None:
    place = context.write_all("FROM scratch", "COPY busybox /busybox")
    both = "linux/amd64,linux/arm64"
    words = ("--platform", both, "-t", "app:1", "--verify-reproducible", "--format", "json", "-q")
    document = oakum.done("build", place, *words).document
    checked = document["reproducibility"]
    assert [(one["platform"], one["identical"]) for one in checked] == [
        ("linux/amd64", True),
        ("linux/arm64", True),
    ]
    [named] = oakum.done("images", "--format", "json").document["images"]
    assert named["digest"] == document["digest"]


def test_nothing_is_left_mounted_when_the_second_build_fails(
    oakum: Oakum, context: Context
) -> None:
    place = context.write("RUN test $(hostname) = buildkitsandbox")
    ended = oakum("build", place, "-t", "app:1", "--verify-reproducible", "-q")
    assert ended.code == 1 and "the step failed" in ended.complaint[0]
    assert oakum.done("images", "--format", "json").document["images"] == []
    assert str(oakum.store) not in Path("/proc/mounts").read_text()
    assert list((oakum.store / "tmp").glob("*/second-build")) == []


def test_a_step_sees_one_processor_the_second_time(oakum: Oakum, context: Context) -> None:
    place = context.write("RUN nproc > /count")
    ended = oakum("build", place, "--verify-reproducible", "-q", "--format", "json")
    document = ended.document
    if ended.code == 0:
        [checked] = document["reproducibility"]
        assert any("processors" in text for text in checked["not_varied"])
        return
    [item] = document["reproducibility"][0]["differences"]
    assert (item["path"], item["cause"]) == ("/count", "processors")
    assert item["excerpt"][1] == "+1"


def test_a_user_who_is_not_root_can_verify(tmp_path: Path) -> None:
    with opened_box("runc", "ranges", tmp_path) as box:
        context = box.context().write("RUN mkdir /d && touch /d/a && rm /etc/passwd && id > /id")
        said = box.output(context, "--verify-reproducible")
    assert "built again, with other" in said


def test_a_stage_that_differs_is_told_of_though_the_image_does_not(
    oakum: Oakum, context: Context
) -> None:
    place = context.write(
        "RUN date +%s > /when && echo same > /result",
        "FROM scratch",
        "COPY --from=0 /result /result",
    )
    shown = oakum.done("build", place, "--verify-reproducible", "-q", "--format", "json")
    [checked] = shown.document["reproducibility"]
    assert checked["identical"]
    assert [item["path"] for item in checked["differences"]] == ["/when"]
