"""The first workflow on Debian's own archive: its release suite is outdated, its fixes are real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, Images, build
from oakum.oci import host_platform, parse_reference
from oakum.store import Store
from oakum.transport import RegistryOptions
from oakum.verbs import RepositoryOptions, publish
from oakum.verbs.sources import Shelves
from support.mirror import security_mirror
from support.outdated import outdated_pins
from support.roots import SUITE, debian_tar, mirror


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("debian")


@pytest.fixture(scope="module")
def base(place: Path, registry: str) -> str:
    """A Debian of the release suite alone, whose apt also knows the security suite."""
    context = place / "base"
    context.mkdir()
    shutil.copyfile(debian_tar(), context / "root.tar")
    sources = f"deb {mirror()} {SUITE} main\ndeb {security_mirror()} {SUITE}-security main\n"
    (context / "sources.list").write_text(sources)
    (context / "Dockerfile").write_text(
        "FROM scratch\nADD root.tar /\nCOPY --link sources.list /etc/apt/sources.list\n"
    )
    name = parse_reference(f"{registry}/debian:12-slim")
    with Store(place / "store") as store:
        built = build(store, BuildRequest(context), tags=(name,))
        publish(store, built.image, name, RegistryOptions())
    return str(name)


@pytest.fixture(scope="module")
def pins(place: Path, base: str) -> list[str]:
    with Store(place / "store") as store:
        image = Images(store, RegistryOptions()).find(base, host_platform())
        shelves = Shelves(store, RepositoryOptions())
        content = shelves.content(image.layers, image.config.platform)
        try:
            return outdated_pins(shelves.repository(content))
        except LookupError as error:
            pytest.skip(str(error))
        finally:
            shelves.close()


def oakum(place: Path, *words: str) -> dict[str, object]:
    """Run a verb for its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "oakum", *words, "--format", "json", "-q"],
        capture_output=True,
        text=True,
        env={**os.environ, "OAKUM_STORE": str(place / "store")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_an_outdated_package_of_debian_is_raised_rebuilt_proved_and_pushed(
    place: Path, base: str, pins: list[str], registry: str
) -> None:
    project = place / "app-source"
    (project / "app").mkdir(parents=True)
    (project / "app" / "run").write_text("#!/bin/sh\n")
    text = (
        f"FROM {base}\nRUN apt-get update && apt-get install -y {' '.join(pins)}\n"
        'COPY ./app /app\nCMD ["/app/run"]\n'
    )
    (project / "Dockerfile").write_text(text)
    tag = f"{registry}/app"
    oakum(place, "build", str(project), "-t", f"{tag}:1.0", "--push")
    only = [word for pin in pins for word in ("--only", pin.partition("=")[0])]
    found = oakum(place, "scan", f"docker://{tag}:1.0", *only)
    fixes = {fix["package"]: fix for fix in found["fixes"]}  # type: ignore[attr-defined]
    rebuilt = oakum(
        place, "rebuild", str(project), "-t", f"{tag}:1.0.1", *only, "--write", "--push"
    )
    expected = text
    for pin in pins:
        name, _, version = pin.partition("=")
        expected = expected.replace(pin, f"{name}={fixes[name]['fixed']}")
        assert fixes[name]["installed"] == version and fixes[name]["line"] == 2
    assert expected != text
    assert (project / "Dockerfile").read_text() == expected
    steps = [s["status"] for s in rebuilt["steps"] if s["status"] != "config"]  # type: ignore[attr-defined]
    assert steps == ["ran", "cached"]
    assert rebuilt["outcome"] == "done" and rebuilt["proof"]["passed"]  # type: ignore[index]
    [pushed] = rebuilt["published"]  # type: ignore[misc]
    assert pushed["bytes_kept"] + pushed["bytes_mounted"] > 0
    again = oakum(place, "scan", f"docker://{tag}:1.0.1", *only)
    assert again["fixes"] == []


def test_an_install_of_nginx_and_python_comes_out_the_same_twice(place: Path, base: str) -> None:
    """On Debian's own archive; without the rules, logs and caches differ."""
    project = place / "twice"
    project.mkdir()
    (project / "Dockerfile").write_text(
        f"FROM {base}\nRUN apt-get update && apt-get install -y --no-install-recommends nginx "
        "python3 dbus fontconfig && useradd -m app && rm -rf /var/lib/apt/lists/*\n"
    )
    built = oakum(place, "build", str(project), "--reproducible", "--verify-reproducible")
    [checked] = built["reproducibility"]  # type: ignore[misc]
    assert checked["identical"] and checked["differences"] == []
    command = [sys.executable, "-m", "oakum", "build", str(project), "--verify-reproducible"]
    env = {**os.environ, "OAKUM_STORE": str(place / "store")}
    plain = subprocess.run(
        [*command, "--format", "json", "-q"], capture_output=True, text=True, env=env
    )
    assert plain.returncode == 4, plain.stderr
    [checked] = json.loads(plain.stdout)["reproducibility"]
    paths = {item["path"] for item in checked["differences"]}
    assert paths >= {"/var/log/dpkg.log", "/var/cache/ldconfig/aux-cache"}
    assert all("--reproducible" in item["advice"] for item in checked["differences"]), paths


def test_a_suite_that_the_image_does_not_look_into_is_told_and_not_written(
    place: Path, base: str, pins: list[str]
) -> None:
    """A Dockerfile must not name versions that its own sources cannot give."""
    lacking = place / "lacking"
    lacking.mkdir()
    (lacking / "sources.list").write_text(f"deb {mirror()} {SUITE} main\n")
    (lacking / "Dockerfile").write_text(f"FROM {base}\nCOPY sources.list /etc/apt/sources.list\n")
    oakum(place, "build", str(lacking), "-t", "lacking:12")
    project = place / "on-lacking"
    project.mkdir()
    (project / "Dockerfile").write_text(
        f"FROM lacking:12\nRUN apt-get update && apt-get install -y {' '.join(pins)}\n"
    )
    found = oakum(place, "rebuild", str(project), "--with-security")
    plan = found["plan"]
    assert plan["diff"] == ""  # type: ignore[index, call-overload]
    beyond = [u for u in found["unfixed"] if "sources lack" in u["detail"]]  # type: ignore[attr-defined]
    assert beyond and {u["reason"] for u in beyond} == {"not-in-archive"}
    assert found["outcome"] == "not-possible"
