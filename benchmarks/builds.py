"""Builds: first ones, many files, large ones, many steps, many stages, empty machines."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Sample
from benchmarks.rows import STEPS
from benchmarks.scaling import Curves
from benchmarks.tools import Oakum, Tool, put_away
from benchmarks.workflows import Samples, one_stage, two_stages
from benchmarks.world import World

FILES = 50_000
STAGES = 8
LARGE = 10**9
_PIECE = 1 << 20
_SETTLED = 6.0
"""Seconds after which ext4 gives freed inodes away again without a long search."""


def first_build(world: World) -> dict[str, Samples]:
    """The first workflow's image on machines that have the base image and nothing else.

    oakum pushes as it builds; docker and buildah have another command for it.
    """
    project = one_stage(world)
    samples = _none(world)
    put_away(world.oakum.store)
    for tool in world.builders:
        _hold_base(world, tool)
    world.oakum.keep()
    before = world.registry.state()
    for number in range(world.runs):
        for tool in world.builders:
            if isinstance(tool, Oakum):
                tool.restore()
            project.write(project.pins.new, comment=f" # first {number}")
            tag = f"{world.registry.host}/{tool.name}/first:1"
            samples[tool.name].append(tool.build_and_push(project.place, tag))
            world.registry.restore(before)
            _say(world, "first build", tool, samples)
    return {"first": samples}


def copies(world: World) -> dict[str, Samples]:
    """COPY of many small files, of a large one, and again after one of the many changed."""
    many, changed = _none(world), _none(world)
    large = _none(world)
    for number in range(world.runs):
        place = world.context("many")
        write_files(place / "files", FILES, number)
        _dockerfile(world, place, "COPY files /files")
        for tool in world.builders:
            many[tool.name].append(tool.build(place, "many:1"))
            _say(world, f"{FILES} files", tool, many)
        for tool in world.builders:
            (place / "files/000/00000").write_text(f"changed for {tool.name} {number}\n")
            changed[tool.name].append(tool.build(place, "many:1"))
            _say(world, "one of them changed", tool, changed)
        shutil.rmtree(place)
        place = world.context("large")
        write_large(place / "large", LARGE)
        _dockerfile(world, place, "COPY large /large")
        for tool in world.builders:
            large[tool.name].append(tool.build(place, "large:1"))
            _say(world, "1 GB", tool, large)
        shutil.rmtree(place)
    return {"many": many, "changed": changed, "large": large}


def steps(world: World) -> dict[str, Samples]:
    """Many RUN steps that do nothing."""
    samples = _none(world)
    for number in range(world.runs):
        for tool in world.builders:
            place = world.context("steps")
            lines = [f"RUN true # {number} {step}" for step in range(STEPS)]
            _dockerfile(world, place, *lines)
            samples[tool.name].append(tool.build(place, "steps:1"))
            _say(world, f"{STEPS} steps", tool, samples)
    return {"steps": samples}


def stages(world: World) -> dict[str, Samples]:
    """Independent stages that keep a processor busy, beside the same ones in a row."""
    samples: Samples = {"oakum": [], "in a row": []}
    for number in range(world.runs):
        for name, chained in (("oakum", False), ("in a row", True)):
            place = world.context("stages")
            lines = []
            for stage in range(STAGES):
                base = f"s{stage - 1}" if chained and stage else world.base
                work = f"head -c 500M /dev/zero | sha256sum >/made-{stage} # {number}"
                lines += [f"FROM {base} AS s{stage}", f"RUN {work}"]
            lines.append("FROM scratch")
            lines += [f"COPY --from=s{stage} /made-{stage} /" for stage in range(STAGES)]
            (place / "Dockerfile").write_text("\n".join(lines) + "\n")
            samples[name].append(world.oakum("build", place, "--no-cache", "-q"))
            _say(world, f"{STAGES} stages", world.oakum, samples, name)
    return {"stages": samples}


def real_files(world: World) -> dict[str, Samples]:
    """Making and pushing the layer of a step that wrote a gigabyte of real files.

    How long the step itself took it tells; that is taken off.
    """
    samples = _none(world)
    for tool in world.builders:
        _hold_base(world, tool, world.reference)
    before = world.registry.state()
    copies = "for n in 1 2 3; do cp -a /usr /copy-$n; done"
    step = f'b=$(date +%s%N); {copies}; e=$(date +%s%N); echo "TOOK $(( (e - b) / 1000000 ))"'
    for number in range(world.runs):
        for tool in world.builders:
            place = world.context("real")
            _dockerfile(world, place, f"RUN {step} # {number}", base=world.reference)
            tag = f"{world.registry.host}/{tool.name}/real:1"
            size = tool.log.stat().st_size
            built = tool.build(place, tag)
            said = tool.log.read_bytes()[size:]
            took = int(re.findall(rb"TOOK (\d+)", said)[-1]) / 1000
            whole = built.then(tool.push(tag))
            samples[tool.name].append(replace(whole, seconds=whole.seconds - took))
            world.registry.restore(before)
            _say(world, f"a layer of 1 GB, besides {took:.1f} s", tool, samples)
    return {"real": samples}


def empty_machine(world: World) -> dict[str, Samples]:
    """The second workflow with a pin raised on a machine that has nothing but a cache to ask.

    BuildKit in docker's daemon writes inline caches only, so that is what it gets.
    """
    project = two_stages(world)
    samples: Samples = {"oakum": [], "docker": []}
    host = world.registry.host
    project.write(project.pins.old)
    cache = f"type=registry,ref={host}/cache:1"
    world.oakum("build", project.place, "--cache-to", f"{cache},mode=max", "-q")
    inline = f"{host}/docker/inline:1"
    world.docker(*_docker_build(inline), "--build-arg", "BUILDKIT_INLINE_CACHE=1", project.place)
    world.docker("push", inline)
    before = world.registry.state()
    for number in range(world.runs):
        project.write(project.pins.new, comment=f" # empty {number}")
        store = world.place / "empty"
        put_away(store)
        tag = f"{host}/oakum/empty:1"
        words = ["build", str(project.place), "-t", tag, "--push", "--cache-from", cache]
        samples["oakum"].append(world.oakum(*words, "--progress", "plain", store=store))
        world.registry.restore(before)
        world.docker("system", "prune", "--all", "--force")
        world.docker("builder", "prune", "--all", "--force")
        time.sleep(_SETTLED)
        tag = f"{host}/docker/empty:1"
        built = world.docker(*_docker_build(tag), "--cache-from", inline, project.place)
        samples["docker"].append(built.then(world.docker.push(tag)))
        world.registry.restore(before)
        for tool in (world.oakum, world.docker):
            _say(world, "an empty machine", tool, samples)
    return {"empty": samples}


def _docker_build(tag: str) -> tuple[str, ...]:
    return ("build", "--progress", "plain", "--network", "host", "-t", tag)


def _none(world: World) -> Samples:
    return {tool.name: [] for tool in world.builders}


def _hold_base(world: World, tool: Tool, base: str = "") -> None:
    """Let a tool have a base image unpacked, as after any build on it."""
    place = world.context("base")
    _dockerfile(world, place, "RUN true", base=base)
    tool.build(place, "held:1")


def _dockerfile(world: World, place: Path, *lines: str, base: str = "") -> None:
    (place / "Dockerfile").write_text("\n".join([f"FROM {base or world.base}", *lines]) + "\n")


def _say(world: World, job: str, tool: Tool, samples: Samples, name: str = "") -> None:
    name = name or tool.name
    world.say(f"{job}: {name} {samples[name][-1].seconds:.2f} s")


def write_files(place: Path, count: int, salt: int) -> None:
    """Small files of text, a hundred a directory, others for every `salt`."""
    for number in range(count):
        directory = place / f"{number // 100:03}"
        if number % 100 == 0:
            directory.mkdir(parents=True)
        line = f"file {number} of {salt}\n"
        (directory / f"{number % 100:05}").write_text(line * (1 + number % 60))


def write_large(file: Path, size: int) -> None:
    """A file that hardly compresses."""
    piece = os.urandom(_PIECE)
    with file.open("wb") as out:
        for number in range(-(-size // _PIECE)):
            out.write(number.to_bytes(8, "big") + piece[8:])


def scaling(world: World) -> Curves:
    """oakum alone, with 1, 2, 4 and 8 times as much of each."""
    found: Curves = {}
    kinds: dict[str, Callable[[Path, int], list[str]]] = {
        "files": _files,
        "bytes": _bytes,
        "steps": _steps,
    }
    for kind, prepare in kinds.items():
        points: list[tuple[int, Sample]] = []
        for times in (1, 2, 4, 8):
            place = world.context("scaling")
            _dockerfile(world, place, *prepare(place, times))
            sample = world.oakum("build", place, "--no-cache", "-q")
            points.append((times, sample))
            world.say(f"scaling: {times} x {kind} {sample.seconds:.2f} s")
            shutil.rmtree(place)
        found[kind] = points
    return found


def _files(place: Path, times: int) -> list[str]:
    write_files(place / "files", 6250 * times, times)
    return ["COPY files /files"]


def _bytes(place: Path, times: int) -> list[str]:
    write_large(place / "large", LARGE // 8 * times)
    return ["COPY large /large"]


def _steps(place: Path, times: int) -> list[str]:
    return [f"RUN true # {step}" for step in range(10 * times)]
