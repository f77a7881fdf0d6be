"""The first workflow on a real Debian image: a vulnerable nginx becomes a fixed one.

Makes an outdated Debian base from the release suite alone, pushes it to a registry on this
machine, builds and pushes an application with a pinned nginx, and lets ``oakum rebuild`` fix it.
Everything is below the directory ``.demo``; ``make demo`` runs it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from support.mirror import debian_mirror, security_mirror
from support.outdated import outdated_pins
from support.registry import running_registry

SUITE = "bookworm"
PLACE = Path(__file__).resolve().parent.parent / ".demo"


def main() -> None:
    """Run the demo; a failing command ends it with that command's exit code."""
    began = time.monotonic()
    PLACE.mkdir(exist_ok=True)
    os.environ["OAKUM_STORE"] = str(PLACE / "store")
    tar = base_tar()
    shutil.rmtree(PLACE / "registry", ignore_errors=True)
    with running_registry(PLACE / "registry") as registry:
        base = f"{registry}/debian:12-slim"
        make_base(tar, base)
        project, name = make_project(base)
        tag = f"{registry}/app"
        say("The application, as somebody wrote it months ago")
        show(project / "Dockerfile")
        oakum("build", ".", "-t", f"{tag}:1.0", "--push", at=project)
        say("What oakum would do: nothing is changed yet")
        oakum("rebuild", ".", "--only", f"*{name}*", at=project)
        say("Do it: change the Dockerfile, run the one step, prove the image, push what is new")
        only = ("--only", f"*{name}*")
        oakum("rebuild", ".", "-t", f"{tag}:1.0.1", *only, "--write", "--push", at=project)
        show(project / "Dockerfile")
        say("Again: there is nothing left to do")
        oakum("rebuild", ".", "-t", f"{tag}:1.0.1", *only, "--write", "--push", at=project)
        say("Proof, at any time later, and against the old image")
        against = ("--against", f"docker://{tag}:1.0", "--run", f"{name} -v || {name} --version")
        oakum("verify", f"docker://{tag}:1.0.1", *only, *against, at=project)
    print(f"\nDone in {time.monotonic() - began:.0f} s; it is all in {PLACE}.")


def base_tar() -> Path:
    """A Debian root of the release suite alone, whose apt also knows the security suite."""
    tar = PLACE / f"{SUITE}.tar"
    if tar.exists():
        return tar
    mirror, security = debian_mirror(), security_mirror()
    say(f"Make an outdated Debian 12 ({SUITE} without its security suite) with mmdebstrap")
    sources = f"deb {mirror} {SUITE} main\\ndeb {security} {SUITE}-security main\\n"
    hook = f"printf '{sources}' > \"$1/etc/apt/sources.list\""
    part = tar.with_suffix(".part.tar")
    command = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates"]
    command += ["--dpkgopt=path-exclude=/usr/share/locale/*", f"--customize-hook={hook}"]
    run([*command, SUITE, str(part), f"deb {mirror} {SUITE} main"], log=PLACE / "mmdebstrap.log")
    part.rename(tar)
    return tar


def make_base(tar: Path, name: str) -> None:
    """Build the base image out of the tar and push it."""
    context = PLACE / "base"
    context.mkdir(exist_ok=True)
    root = context / "root.tar"
    root.unlink(missing_ok=True)
    root.hardlink_to(tar)
    (context / "Dockerfile").write_text('FROM scratch\nADD root.tar /\nCMD ["bash"]\n')
    oakum("build", ".", "-t", name, "--push", at=context)


def make_project(base: str) -> tuple[Path, str]:
    """The application's directory, with pins that have a fix today; and the package's name."""
    project = PLACE / "app-source"
    shutil.rmtree(project, ignore_errors=True)
    (project / "app").mkdir(parents=True)
    (project / "app" / "run").write_text("#!/bin/sh\nexec nginx -g 'daemon off;'\n")
    (project / "app" / "run").chmod(0o755)
    pins = pins_of(base)
    (project / "Dockerfile").write_text(
        f"FROM {base}\n"
        f"RUN apt-get update && apt-get install -y {' '.join(pins)}\n"
        "COPY ./app /app\n"
        'CMD ["/app/run"]\n'
    )
    return project, pins[0].partition("=")[0]


def pins_of(base: str) -> list[str]:
    """``package=version`` of packages that have a newer version in the base image's archive."""
    from oakum.builder import Images
    from oakum.oci import host_platform
    from oakum.store import Store
    from oakum.transport import RegistryOptions
    from oakum.verbs import RepositoryOptions
    from oakum.verbs.sources import Shelves

    with Store() as store:
        image = Images(store, RegistryOptions()).find(base, host_platform())
        shelves = Shelves(store, RepositoryOptions())
        content = shelves.content(image.layers, image.config.platform)
        try:
            return outdated_pins(shelves.repository(content))
        finally:
            shelves.close()


def say(text: str) -> None:
    """A heading."""
    print(f"\n== {text}\n", flush=True)


def show(path: Path) -> None:
    """A file, as it is."""
    print(f"$ cat {path.name}\n{path.read_text()}", flush=True)


def oakum(*words: str, at: Path) -> None:
    """Run a verb; its progress is shown on a terminal and kept in a file elsewhere."""
    print(f"$ oakum {shlex.join(words)}", flush=True)
    log = None if sys.stderr.isatty() else PLACE / "progress.log"
    run([sys.executable, "-m", "oakum", *words], at=at, log=log)


def run(command: list[str], *, at: Path | None = None, log: Path | None = None) -> None:
    """Run a command; when it fails, show what it said and leave with its exit code."""
    errors = log.open("ab") if log else None
    done = subprocess.run(command, cwd=at, stderr=errors)
    if done.returncode:
        if log:
            print("".join(log.read_text(errors="replace").splitlines(True)[-30:]), file=sys.stderr)
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    try:
        main()
    except LookupError as error:
        raise SystemExit(f"error: {error}") from None
