"""Cases: small builds, several in one text file.

A case begins with ``=== NAME``.  Its sections begin with ``--- `` and one of:

- ``Dockerfile``: the Dockerfile; left out where the context's script writes it
- ``context``: a script of the shell that fills the context
- ``file PATH``: one file of the context
- ``image NAME``: the Dockerfile of another image, built before from the same context
- ``place``: what the build is given as its context instead of the directory of the case
- ``stdin``: a script of the shell, run in the context; what it prints is standard input
- ``options``: options of ``docker build``, one a line
- ``fails``: the build fails; each line stands in the message of both builders
- ``differs``: what oakum does otherwise, and why: lines of ``WHAT: reason``, where WHAT is
  ``outcome``, ``history``, ``config KEY`` or ``file PATH``
- ``kept``: why the record cannot be made anew by the BuildKit of ``make records``
- ``note``: anything
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import msgspec

PLACE = Path(__file__).parent
OLD = 1_700_000_000
"""Time of what a script leaves in the context, unless the script sets one."""
_SCRIPTS_TIME = 1_750_000_000


class Case(msgspec.Struct, frozen=True):
    """One build to be compared."""

    topic: str
    """Name of the file that it stands in, without the ending."""
    name: str
    """A sentence."""
    sections: dict[str, str]
    """Text of each section, by the words after the dashes."""

    @property
    def id(self) -> str:
        """What the test is called."""
        return f"{self.topic}: {self.name}"

    @property
    def mark(self) -> str:
        """A digest of what is built, by which a record knows its case."""
        built = sorted(
            (key, text)
            for key, text in self.sections.items()
            if key not in ("fails", "differs", "kept", "note")
        )
        return hashlib.sha256(repr(built).encode()).hexdigest()[:12]

    def lines(self, section: str) -> list[str]:
        """The lines of a section; none where there is no such section."""
        return [line for line in self.sections.get(section, "").splitlines() if line.strip()]

    def named(self, kind: str) -> dict[str, str]:
        """The sections ``KIND NAME`` by their names."""
        prefix = f"{kind} "
        return {
            key.removeprefix(prefix): text
            for key, text in self.sections.items()
            if key.startswith(prefix)
        }

    def differs(self) -> dict[str, str]:
        """What is known to differ, with the reason."""
        split = [line.partition(": ") for line in self.lines("differs")]
        return {what: reason for what, _, reason in split}


def read_cases(place: Path = PLACE / "cases") -> list[Case]:
    """Every case of the files in `place`, by topic."""
    return [case for path in sorted(place.glob("*.txt")) for case in _read(path)]


def _read(path: Path) -> list[Case]:
    found: list[Case] = []
    sections: dict[str, str] = {}
    section = ""
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("=== "):
            sections, section = {}, ""
            found.append(Case(path.stem, line[4:].strip(), sections))
        elif line.startswith("--- "):
            section = line[4:].strip()
            sections[section] = ""
        elif section:
            sections[section] += line
    for case in found:
        for name, text in case.sections.items():
            case.sections[name] = text.rstrip("\n") + "\n"
    return found


def write_context(case: Case, place: Path, server: str) -> Path:
    """Make the context of a case; ``@SERVER@`` becomes the address of the web server."""
    place.mkdir(parents=True)
    for name, text in case.named("file").items():
        _write(place / name, text)
    script = case.sections.get("context", "")
    subprocess.run(["sh", "-euc", f"umask 022\n{script}"], cwd=place, check=True)
    if "Dockerfile" in case.sections:
        _write(place / "Dockerfile", case.sections["Dockerfile"].replace("@SERVER@", server))
    for name, text in case.named("image").items():
        _write(place / f"{name}.Dockerfile", text)
    for directory, folders, files in os.walk(place, topdown=False):
        for name in [*folders, *files, ""]:
            path = os.path.join(directory, name)
            if os.lstat(path).st_mtime > _SCRIPTS_TIME:
                os.utime(path, (OLD, OLD), follow_symlinks=False)
    return place


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
