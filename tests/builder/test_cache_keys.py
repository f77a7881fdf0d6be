"""What makes a step run again, and what does not: one row for every input."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oakum.builder import BuildRequest, Secret, build
from oakum.builder.steps import StepReport
from oakum.dockerfile import Lock, LockedStep
from oakum.oci import Platform, host_platform, parse_reference
from oakum.store import Store
from support.archive import Server
from support.busy import LINES, Context

FILES = {
    "a": "a\n",
    "b": "b\n",
    "d/x": "x\n",
    "d/y": "y\n",
    "d/sub/z": "z\n",
    "e/f": "f\n",
    "value": "1.0\n",
}


class Project:
    """A build context, and what is asked of the build."""

    def __init__(self, place: Path, store: Store) -> None:
        self.place = place
        self.store = store
        self.text = ""
        self.options: dict[str, Any] = {}

    def __truediv__(self, name: str) -> Path:
        return self.place / name

    def write(self, name: str, text: str) -> None:
        (self / name).parent.mkdir(parents=True, exist_ok=True)
        (self / name).write_text(text)

    def build(self) -> list[StepReport]:
        """The steps that change files."""
        (self / "Dockerfile").write_text(self.text)
        built = build(self.store, BuildRequest(self.place, **self.options))
        return [step for step in built.steps if step.status != "config"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has the stage with a shell, under a name too."""
    place = tmp_path_factory.mktemp("begun")
    with Store(place / "store") as store:
        tag = parse_reference("base:1")
        build(store, BuildRequest(Context(place / "context").write()), tags=(tag,))
    return place


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(begun / "store", tmp_path / "store", symlinks=True)
    with Store(tmp_path / "store") as store:
        made = Project(Context(tmp_path / "context").place, store)
        for name, text in FILES.items():
            made.write(name, text)
        yield made


Change = str | dict[str, Any] | Callable[[Project], object]


def changed(project: Project, change: Change) -> None:
    """Another Dockerfile, other options, or something done to the context."""
    if isinstance(change, str):
        project.text = whole(change)
    elif isinstance(change, dict):
        project.options = {**project.options, **change}
    else:
        change(project)


def whole(text: str) -> str:
    """A Dockerfile of lines; one without a FROM begins with the stage that has a shell."""
    lines = text.split(";;")
    begun = any(line.startswith("FROM") for line in lines)
    return "\n".join([*(() if begun else LINES), *lines, ""])


def write(name: str, text: str) -> Callable[[Project], object]:
    return lambda project: project.write(name, text)


def mode(name: str, bits: int) -> Callable[[Project], object]:
    return lambda project: (project / name).chmod(bits)


def rename(old: str, new: str) -> Callable[[Project], object]:
    return lambda project: (project / old).rename(project / new)


def rewritten(project: Project) -> None:
    """The same files, made anew in another order: other inodes, times and directory order."""
    kept = {name: (project / name).read_bytes() for name in FILES}
    modes = {name: (project / name).stat().st_mode & 0o7777 for name in ("d", "d/sub", *FILES)}
    for name in ("a", "b", "d", "e"):
        path = project / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in reversed(FILES):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(kept[name])
    (project / "d/l").symlink_to("x")
    for name, bits in modes.items():
        (project / name).chmod(bits)


def old(project: Project) -> None:
    for path in sorted(project.place.rglob("*")):
        os.utime(path, (1, 1), follow_symlinks=False)


def owned(project: Project) -> None:
    for path in project.place.rglob("*"):
        os.chown(path, 1234, 1234, follow_symlinks=False)


def another_base(line: str) -> Callable[[Project], object]:
    """The name of the base stands for an image with one more instruction."""

    def change(project: Project) -> None:
        context = Context(project.place.parent / "another base")
        name = parse_reference("base:1")
        build(project.store, BuildRequest(context.write(line)), tags=(name,))

    return change


def lock(version: str, run: int = 1) -> Lock:
    step = LockedStep("0", run, str(host_platform()), "", {"tool:amd64": version})
    return Lock((), (step,))


TOOLS = "FROM base:1 AS tools;;RUN mkdir /o /p && echo {0} >/o/f && echo {1} >/p/g;;FROM base:1;;"
INSTALL = (
    "FROM base:1;;RUN mkdir -p /var/lib/dpkg && printf '%s\\n' 'Package: tool' "
    "'Status: install ok installed' 'Architecture: amd64' 'Version: 1.0' >/var/lib/dpkg/status"
)

RUNS_AGAIN: dict[str, tuple[str, Change] | tuple[str, Change, dict[str, Any]]] = {
    # Files of the context.
    "COPY: a file's content": ("COPY a /a", write("a", "other\n")),
    "COPY: a file's mode": ("COPY a /a", mode("a", 0o755)),
    "COPY: a file's name": ("COPY d /d", rename("d/x", "d/w")),
    "COPY: a directory's mode": ("COPY d /d", mode("d/sub", 0o700)),
    "COPY: a file more": ("COPY d /d", write("d/new", "")),
    "COPY: a file less": ("COPY d /d", lambda p: (p / "d/x").unlink()),
    "COPY: an empty directory more": ("COPY d /d", lambda p: (p / "d/empty").mkdir()),
    "COPY: a link for a file": (
        "COPY d /d",
        lambda p: ((p / "d/x").unlink(), (p / "d/x").symlink_to("y")),
    ),
    "COPY: where a link leads": (
        "COPY d /d",
        lambda p: ((p / "d/l").unlink(), (p / "d/l").symlink_to("y")),
    ),
    "COPY: the names a wildcard finds": ("COPY d/* /d/", write("d/new", "")),
    "COPY: .dockerignore leaves one out": ("COPY d /d", write(".dockerignore", "d/x\n")),
    "COPY: the Dockerfile's own ignore file": (
        "COPY d /d",
        write("Dockerfile.dockerignore", "d/x\n"),
    ),
    "ADD: a file's content": ("ADD a /a", write("a", "other\n")),
    # How they are copied.
    "COPY: the destination": ("COPY a /a", "COPY a /b"),
    "COPY: the destination by ENV": ("ENV D=/a;;COPY a $D", "ENV D=/b;;COPY a $D"),
    "COPY: the destination by ARG": (
        "ARG D=/a;;COPY a $D",
        {"build_args": {"D": "/b"}},
    ),
    "COPY: the working directory": ("WORKDIR /w;;COPY a a", "WORKDIR /v;;COPY a a"),
    "COPY: --chown": ("COPY a /a", "COPY --chown=5 a /a"),
    "COPY: what a name of --chown stands for": (
        "FROM base:1;;COPY --chown=user a /a",
        another_base("RUN sed -i s/1000:1000/7:7/ /etc/passwd"),
    ),
    "COPY: --chmod": ("COPY a /a", "COPY --chmod=600 a /a"),
    "COPY: --exclude": ("COPY d /d", "COPY --exclude=x d /d"),
    "COPY: --parents": ("COPY d/x /t/", "COPY --parents d/x /t/"),
    "COPY: the directory it lands in": (
        "RUN mkdir /t;;COPY a /t/",
        "RUN mkdir -m 700 /t;;COPY a /t/",
    ),
    "COPY: a heredoc's text": ("COPY <<E /a\none\nE", "COPY <<E /a\ntwo\nE"),
    "COPY: a variable in a heredoc": (
        "ARG V=1;;COPY <<E /a\n$V\nE",
        {"build_args": {"V": "2"}},
    ),
    "COPY: a stage's file": (
        TOOLS.format(1, 2) + "COPY --from=tools /o /o",
        TOOLS.format(3, 2) + "COPY --from=tools /o /o",
    ),
    "COPY: an image's file": (
        "FROM scratch;;COPY --from=base:1 /etc /etc",
        another_base("RUN echo more:x:7:7::: >>/etc/passwd"),
    ),
    "COPY: another build context's file": (
        "COPY --from=other f /f",
        write("e/f", "other\n"),
        {"contexts": {"other": "e"}},
    ),
    "WORKDIR: the directory": ("WORKDIR /w", "WORKDIR /v"),
    "WORKDIR: whose it is": ("USER user;;WORKDIR /w", "USER root;;WORKDIR /w"),
    # What a command is and sees.
    "RUN: the command": ("RUN echo 1 >/f", "RUN echo 2 >/f"),
    "RUN: spaces in quotes": ("RUN echo 'a b' >/f", "RUN echo 'a  b' >/f"),
    "RUN: exec form for shell form": ("RUN touch /f", 'RUN ["touch", "/f"]'),
    "RUN: a heredoc's text": ("RUN <<E\necho 1 >/f\nE", "RUN <<E\necho 2 >/f\nE"),
    "RUN: a heredoc that a command reads": (
        "RUN cat >/f <<E\n1\nE",
        "RUN cat >/f <<E\n2\nE",
    ),
    "RUN: a heredoc that is a program": (
        "RUN <<E\n#!/bin/sh\necho 1 >/f\nE",
        "RUN <<E\n#!/bin/sh\necho 2 >/f\nE",
    ),
    "RUN: the base's digest": ("FROM base:1;;RUN echo 1 >/f", another_base("RUN echo more >/more")),
    "RUN: a file before it": ("COPY a /a;;RUN cat /a >/f", write("a", "other\n")),
    "RUN: the owner of a file before it": (
        "COPY a /a;;RUN ls -l /a >/f",
        "COPY --chown=5 a /a;;RUN ls -l /a >/f",
    ),
    "RUN: the mode of a file before it": ("COPY a /a;;RUN ls -l /a >/f", mode("a", 0o600)),
    "RUN: an ENV": ("ENV V=1;;RUN echo $V >/f", "ENV V=2;;RUN echo $V >/f"),
    "RUN: an ENV that the command does not name": ("ENV V=1;;RUN env >/f", "ENV V=2;;RUN env >/f"),
    "RUN: an argument": ("ARG V=1;;RUN echo $V >/f", {"build_args": {"V": "2"}}),
    "RUN: an argument's default": ("ARG V=1;;RUN echo $V >/f", "ARG V=2;;RUN echo $V >/f"),
    "RUN: an argument from before FROM": (
        "ARG V=1;;FROM base:1;;ARG V;;RUN echo $V >/f",
        {"build_args": {"V": "2"}},
    ),
    "RUN: a proxy that an ARG declares": (
        "ARG HTTP_PROXY;;RUN echo $HTTP_PROXY >/f",
        {"build_args": {"HTTP_PROXY": "http://two.example"}},
        {"build_args": {"HTTP_PROXY": "http://one.example"}},
    ),
    "RUN: USER": ("USER root;;RUN id >/tmp/f", "USER user;;RUN id >/tmp/f"),
    "RUN: WORKDIR": (
        "RUN mkdir /w;;WORKDIR /;;RUN touch f",
        "RUN mkdir /w;;WORKDIR /w;;RUN touch f",
    ),
    "RUN: SHELL": ("RUN echo 1 >/f", 'SHELL ["/bin/sh", "-e", "-c"];;RUN echo 1 >/f'),
    "RUN: the platform": (
        "FROM base:1;;RUN echo 1 >/f",
        {"platform": Platform("amd64", variant="v2")},
        {"platform": Platform("amd64")},
    ),
    "RUN: --network of the step": ("RUN echo 1 >/f", "RUN --network=none echo 1 >/f"),
    "RUN: --network of the build": ("RUN echo 1 >/f", {"network": "none"}),
    "RUN: --add-host": ("RUN echo 1 >/f", {"add_hosts": (("h", "10.0.0.1"),)}),
    "RUN: an address of --add-host": (
        "RUN echo 1 >/f",
        {"add_hosts": (("h", "10.0.0.2"),)},
        {"add_hosts": (("h", "10.0.0.1"),)},
    ),
    "RUN: which address of a host is the first": (
        "RUN echo 1 >/f",
        {"add_hosts": (("h", "10.0.0.2"), ("h", "10.0.0.1"))},
        {"add_hosts": (("h", "10.0.0.1"), ("h", "10.0.0.2"))},
    ),
    # Mounts.
    "RUN: content of a mount": (
        "RUN --mount=target=/m,source=d cat /m/x >/f",
        write("d/x", "other\n"),
    ),
    "RUN: mode of a mounted file": (
        "RUN --mount=target=/m,source=d ls -l /m >/f",
        mode("d/x", 0o600),
    ),
    "RUN: name of a mounted file": (
        "RUN --mount=target=/m,source=d ls /m >/f",
        rename("d/x", "d/w"),
    ),
    "RUN: .dockerignore for a mount": (
        "RUN --mount=target=/m,source=d ls /m >/f",
        write(".dockerignore", "d/x\n"),
    ),
    "RUN: content of another context's mount": (
        "RUN --mount=from=other,target=/m cat /m/f >/f",
        write("e/f", "other\n"),
        {"contexts": {"other": "e"}},
    ),
    "RUN: what of a stage is mounted": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
        TOOLS.format(3, 2) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
    ),
    "RUN: a stage that is mounted whole": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,target=/m cat /m/o/f >/f",
        TOOLS.format(3, 2) + "RUN --mount=from=tools,target=/m cat /m/o/f >/f",
    ),
    "RUN: target of a mount": (
        "RUN --mount=target=/m,source=d echo 1 >/f",
        "RUN --mount=target=/n,source=d echo 1 >/f",
    ),
    "RUN: source of a mount": (
        "RUN --mount=target=/m,source=d echo 1 >/f",
        "RUN --mount=target=/m,source=e echo 1 >/f",
    ),
    "RUN: a mount that may be written": (
        "RUN --mount=target=/m,source=d echo 1 >/f",
        "RUN --mount=target=/m,source=d,rw echo 1 >/f",
    ),
    "RUN: id of a cache": (
        "RUN --mount=type=cache,id=one,target=/m echo 1 >/f",
        "RUN --mount=type=cache,id=two,target=/m echo 1 >/f",
    ),
    "RUN: mode of a cache": (
        "RUN --mount=type=cache,target=/m ls -ld /m >/f",
        "RUN --mount=type=cache,mode=700,target=/m ls -ld /m >/f",
    ),
    "RUN: what a new cache is filled with": (
        TOOLS.format(1, 2) + "RUN --mount=type=cache,from=tools,source=/o,target=/m cat /m/f >/f",
        TOOLS.format(3, 2) + "RUN --mount=type=cache,from=tools,source=/o,target=/m cat /m/f >/f",
    ),
    "RUN: a tmpfs": ("RUN echo 1 >/f", "RUN --mount=type=tmpfs,target=/m echo 1 >/f"),
    "RUN: size of a tmpfs": (
        "RUN --mount=type=tmpfs,size=1m,target=/m df /m >/f",
        "RUN --mount=type=tmpfs,size=2m,target=/m df /m >/f",
    ),
    "RUN: id of a secret": (
        "RUN --mount=type=secret,id=one echo 1 >/f",
        "RUN --mount=type=secret,id=two echo 1 >/f",
    ),
    "RUN: place of a secret": (
        "RUN --mount=type=secret,id=one,target=/s echo 1 >/f",
        "RUN --mount=type=secret,id=one,target=/t echo 1 >/f",
    ),
    "RUN: variable of a secret": (
        "RUN --mount=type=secret,id=one,env=A echo 1 >/f",
        "RUN --mount=type=secret,id=one,env=B echo 1 >/f",
    ),
    "RUN: mode of a secret": (
        "RUN --mount=type=secret,id=one echo 1 >/f",
        "RUN --mount=type=secret,id=one,mode=444 echo 1 >/f",
    ),
    "RUN: owner of a secret": (
        "RUN --mount=type=secret,id=one echo 1 >/f",
        "RUN --mount=type=secret,id=one,uid=1000 echo 1 >/f",
    ),
}

COPY_RUN = "COPY d /d;;RUN cat /d/* >/f || :"
STAYS: dict[str, tuple[str, Change] | tuple[str, Change, dict[str, Any]]] = {
    # The context.
    "times of the context": (COPY_RUN, old),
    "inodes and order of the context's directories": (COPY_RUN, rewritten),
    "owners of the context's files": (COPY_RUN, owned),
    "extended attributes of the context's files": (
        COPY_RUN,
        lambda p: os.setxattr(p / "d/x", "user.note", b"1"),
    ),
    "a file that nothing copies": (COPY_RUN, write("new", "")),
    "a file that .dockerignore leaves out": (
        COPY_RUN,
        lambda p: (p.write(".dockerignore", "d/x\nd/new\n"), p.write("d/new", "")),
        {"begin": write(".dockerignore", "d/x\nd/new\n")},
    ),
    "what .dockerignore says of other files": (COPY_RUN, write(".dockerignore", "# no\n\na\nb\n")),
    "where the context is": (
        COPY_RUN,
        lambda p: setattr(p, "place", p.place.rename(p.place.parent / "moved")),
    ),
    "a link's times": (
        "COPY d /d",
        lambda p: os.utime(p / "d/l", (5, 5), follow_symlinks=False),
    ),
    "the lock in the context": ("COPY . /all", write("oakum.lock", "version = 1\n")),
    # The Dockerfile.
    "comments, white space and moved lines": (
        COPY_RUN,
        "# a comment;;;;COPY    d   /d   ;;;;   # another;;RUN     cat /d/* >/f || :   ;;;;",
    ),
    "a comment inside a continued line": ("RUN echo 1 \\;; >/f", "RUN echo 1 \\;;# why;; >/f"),
    "the case of instructions": (COPY_RUN, "copy d /d;;Run cat /d/* >/f || :"),
    "a LABEL, CMD, EXPOSE before it": (
        COPY_RUN,
        'LABEL a=b;;COPY d /d;;CMD ["x"];;ENTRYPOINT ["y"];;EXPOSE 80;;STOPSIGNAL 9;;VOLUME /v;;'
        "HEALTHCHECK NONE;;ONBUILD RUN x;;MAINTAINER m;;RUN cat /d/* >/f || :",
    ),
    "an ENV behind it": (COPY_RUN, COPY_RUN + ";;ENV V=1;;ARG W=2;;USER user"),
    "an ENV before a COPY": ("COPY d /d", "ENV V=1;;ARG W=2;;USER user;;COPY d /d"),
    "a RUN before a COPY": ("COPY d /d", "RUN echo 1 >/other;;COPY d /d"),
    "SHELL before the exec form": (
        'RUN ["touch", "/f"]',
        'SHELL ["/bin/sh", "-e", "-c"];;RUN ["touch", "/f"]',
    ),
    "an ARG without a value": (COPY_RUN, "ARG V;;" + COPY_RUN),
    "an ARG behind it": (COPY_RUN + ";;ARG V=1", {"build_args": {"V": "2"}}),
    "an ARG that no stage declares": (COPY_RUN, {"build_args": {"V": "2"}}),
    "an ARG before FROM that the stage does not declare": (
        "ARG V=1;;FROM base:1;;" + COPY_RUN,
        {"build_args": {"V": "2"}},
    ),
    "how a value came": ("ARG V=1;;RUN echo $V >/f", "ENV V=1;;RUN echo $V >/f"),
    "the order of ENVs": ("ENV V=1;;ENV W=2;;RUN env >/f", "ENV W=2 V=1;;RUN env >/f"),
    "the order of a COPY's flags": (
        "COPY --chown=5 --chmod=600 a /a",
        "COPY --chmod=600 --chown=5:5 ./a /a",
    ),
    "how a path is written": ("COPY d/x /t/", "WORKDIR /t;;COPY ./d/../d/x ."),
    "the order of a mount's options": (
        "RUN --mount=target=/m,source=d,type=bind ls /m >/f",
        "RUN --mount=type=bind,src=d,dst=/m,ro ls /m >/f",
    ),
    "a heredoc's name": ("RUN <<E\necho 1 >/f\nE", "RUN <<END\necho 1 >/f\nEND"),
    # Stages.
    "the name of its stage": ("FROM base:1 AS x;;" + COPY_RUN, "FROM base:1 AS y;;" + COPY_RUN),
    "the name of the stage it copies from": (
        TOOLS.format(1, 2) + "COPY --from=tools /o /o",
        TOOLS.format(1, 2).replace("tools", "t") + "COPY --from=t /o /o",
    ),
    "the name of the stage it mounts": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
        TOOLS.format(1, 2).replace("tools", "t")
        + "RUN --mount=from=t,source=/o,target=/m cat /m/f >/f",
    ),
    "a stage that the target does not need": (
        "FROM base:1 AS x;;RUN echo 1 >/x;;FROM base:1;;" + COPY_RUN,
        "FROM base:1 AS x;;RUN exit 1;;FROM base:1;;" + COPY_RUN,
    ),
    "a stage between": (
        "FROM base:1;;" + COPY_RUN,
        "FROM base:1 AS x;;FROM x AS y;;FROM y;;" + COPY_RUN,
    ),
    "what the mounted directory is called": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
        (TOOLS.format(1, 2) + "RUN --mount=from=tools,source=/q,target=/m cat /m/f >/f").replace(
            "/o", "/q"
        ),
    ),
    "a COPY --from another stage's other files": (
        TOOLS.format(1, 2) + "COPY --from=tools /o /o",
        TOOLS.format(1, 3) + "COPY --from=tools /o /o",
    ),
    "a mount of another stage's other files": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
        TOOLS.format(1, 3) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
    ),
    "a cache filled from another stage's other files": (
        TOOLS.format(1, 2) + "RUN --mount=type=cache,from=tools,source=/o,target=/m cat /m/f >/f",
        TOOLS.format(1, 3) + "RUN --mount=type=cache,from=tools,source=/o,target=/m cat /m/f >/f",
    ),
    "the base's config": ("FROM base:1;;" + COPY_RUN, another_base("LABEL a=b")),
    "the base's ENV for a COPY": ("FROM base:1;;COPY d /d", another_base("ENV A=b")),
    # By content: the same files, however made.
    "RUN: a parent that came out the same": (
        "RUN echo 1 >/n;;RUN cat /n >/f",
        "RUN echo 0 >/n; echo 1 >/n;;RUN cat /n >/f",
    ),
    "RUN: a parent of COPY where it was of RUN": (
        "RUN cat /bin/busybox >/n;;RUN cat /n >/f",
        "COPY --chmod=644 busybox /n;;RUN cat /n >/f",
    ),
    "RUN: a step before it that changes nothing": (
        "RUN echo 1 >/f",
        "RUN true;;RUN echo 1 >/f",
    ),
    "COPY --from: a stage that came out the same": (
        TOOLS.format(1, 2) + "COPY --from=tools /o /o",
        TOOLS.format("$((3 - 2))", 2) + "COPY --from=tools /o /o",
    ),
    "COPY --from: the same files of another stage": (
        TOOLS.format("1", 2) + "COPY --from=tools /o /o",
        "FROM scratch AS t;;COPY <<E /o/f\n1\nE\n;;FROM base:1;;COPY --from=t /o /o",
    ),
    "RUN --mount: a stage that came out the same": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,target=/m cat /m/o/f >/f",
        TOOLS.format("$((3 - 2))", 2) + "RUN --mount=from=tools,target=/m cat /m/o/f >/f",
    ),
    "RUN --mount: the same files of the context": (
        TOOLS.format(1, 2) + "RUN --mount=from=tools,source=/o,target=/m cat /m/f >/f",
        lambda p: (
            p.write("o/f", "1\n"),
            changed(p, "FROM base:1;;RUN --mount=source=/o,target=/m cat /m/f >/f"),
        ),
    ),
    # What is asked of the build.
    "the order of build arguments": (
        "ARG V;;ARG W;;RUN echo $V $W >/f",
        {"build_args": {"W": "2", "V": "1"}},
        {"build_args": {"V": "1", "W": "2"}},
    ),
    "the order of hosts": (
        "RUN echo 1 >/f",
        {"add_hosts": (("i", "10.0.0.2"), ("h", "10.0.0.1"))},
        {"add_hosts": (("h", "10.0.0.1"), ("i", "10.0.0.2"))},
    ),
    "--add-host and --network for a COPY": (
        "COPY d /d",
        {"add_hosts": (("h", "10.0.0.1"),), "network": "none"},
    ),
    "a proxy as a build argument": (
        "RUN echo 1 >/f",
        {"build_args": {"http_proxy": "http://proxy.example", "NO_PROXY": "x"}},
    ),
    "labels of the image": (COPY_RUN, {"labels": {"a": "b"}}),
    "how many steps run side by side": (COPY_RUN, {"jobs": 1}),
    "the target's name": ("FROM base:1 AS x;;" + COPY_RUN, {"target": "x"}),
    "a secret that no step mounts": (COPY_RUN, {"secrets": (Secret("one", env="HOME"),)}),
    "content of a cache": (
        "RUN --mount=type=cache,id=n,target=/m echo 1 >>/m/n; cat /m/n >/f",
        "FROM base:1 AS x;;RUN --mount=type=cache,id=n,target=/m echo 2 >>/m/n;;FROM base:1;;"
        "COPY --from=x /etc/passwd /tmp/;;"
        "RUN --mount=type=cache,id=n,target=/m echo 1 >>/m/n; cat /m/n >/f",
        {
            "begin": "FROM base:1;;COPY --from=base:1 /etc/passwd /tmp/;;"
            "RUN --mount=type=cache,id=n,target=/m echo 1 >>/m/n; cat /m/n >/f"
        },
    ),
    "how a cache is shared": (
        "RUN --mount=type=cache,target=/m echo 1 >/f",
        "RUN --mount=type=cache,sharing=locked,target=/m echo 1 >/f",
    ),
    "a lock that agrees with what was installed": (INSTALL, {"lock": lock("1.0")}),
    "a lock's entry of another step": (INSTALL, {"lock": lock("2.0", 9)}),
}


def begin(project: Project, row: tuple[Any, ...]) -> None:
    (project / "d/l").symlink_to("x")
    project.text = whole(row[0])
    options = dict(row[2]) if len(row) > 2 else {}
    if "begin" in options:
        changed(project, options.pop("begin"))
    project.options = options
    for name, place in project.options.get("contexts", {}).items():
        project.options = {**project.options, "contexts": {name: str(project / place)}}


@pytest.mark.parametrize("what", RUNS_AGAIN)
def test_runs_again(project: Project, what: str) -> None:
    row = RUNS_AGAIN[what]
    begin(project, row)
    first = project.build()[-1]
    assert project.build()[-1].status == "cached"
    changed(project, row[1])
    second = project.build()[-1]
    assert (first.status, second.status) == ("ran", "ran")


@pytest.mark.parametrize("what", STAYS)
def test_stays(project: Project, what: str) -> None:
    row = STAYS[what]
    begin(project, row)
    first = project.build()[-1]
    changed(project, row[1])
    second = project.build()[-1]
    assert (first.status, second.status) == ("ran", "cached")
    assert (second.key, second.layer) == (first.key, first.layer)


def test_the_value_of_a_secret_is_no_input(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    project.text = whole("RUN --mount=type=secret,id=s cat /run/secrets/s >/dev/null")
    project.options = {"secrets": (Secret("s", file),)}
    for text, status in (("one", "ran"), ("two", "cached")):
        file.write_text(text)
        assert project.build()[-1].status == status


def test_proxies_and_authorities_of_the_machine_are_no_inputs(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.text = whole("RUN echo 1 >/f")
    assert project.build()[-1].status == "ran"
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
    project.options = {"ca_certificates": tmp_path / "none.pem"}
    assert project.build()[-1].status == "cached"


def test_what_an_address_gives_is_an_input_and_its_time_is_not(
    project: Project, tmp_path: Path
) -> None:
    with Server(tmp_path / "www") as server:
        file = tmp_path / "www" / "f"
        project.text = whole(f"ADD {server.url}/f /f")
        seen = []
        for text, time in (("one", 1_600_000_000), ("one", 1_650_000_000), ("two", 1_660_000_000)):
            file.write_text(text)
            os.utime(file, (time, time))
            seen.append(project.build()[-1].status)
    assert seen == ["ran", "cached", "ran"]


def test_a_result_of_other_versions_is_not_what_a_lock_asks_for(project: Project) -> None:
    """The same key, and yet it runs again: the lock has other versions than were installed."""
    from oakum.errors import LockNotKept

    project.text = whole(INSTALL)
    assert project.build()[-1].status == "ran"
    mark = project.build()[-1].command
    step = LockedStep("0", 1, str(host_platform()), mark, {"tool:amd64": "2.0"})
    project.options = {"lock": Lock((), (step,))}
    with pytest.raises(LockNotKept, match="did not install"):
        project.build()
