"""Random cases: a tree of files, and a Dockerfile that copies and changes at random.

A seed gives the same case for ever, so that what one of them finds can be found again.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from builder.differential.case import Case

_FILES = ("a", "b", "c.txt", "d.md")
_FOLDERS = ("p", "q")
_LINKS = ("k", "l")
_PLACES = ("/data", "/data/sub", "/data/dirlink", "/opt/abs", "/new", "/n/e/w", "/tmp", "/w/x")
_FLAGS = (
    "--chown=app",
    "--chown=7:8",
    "--chown=app:staff",
    "--chmod=640",
    "--chmod=u=rwX,go=rX",
    "--chmod=g+w",
    "--link",
)
_EXCLUDES = ("--exclude=*e", "--exclude=**/three", "--exclude=sub --exclude=!sub/deep")


def random_case(seed: int) -> Case:
    """The case of a seed."""
    maker = _Maker(random.Random(seed))
    context = "".join(maker.context_line() for _ in range(12))
    lines = ["FROM base AS s", *(maker.step() for _ in range(3)), "FROM base"]
    lines += [maker.any_line() for _ in range(8)]
    sections = {"context": context, "Dockerfile": "\n".join(lines) + "\n"}
    return Case("random", f"seed {seed}", sections)


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._made: list[str] = ["."]

    def _pick(self, *choices: str) -> str:
        return self._chance.choice(choices)

    def _path(self, *last: str) -> str:
        folders = [self._pick(*_FOLDERS) for _ in range(self._chance.randint(0, 2))]
        return "/".join([*folders, self._pick(*last)])

    def context_line(self) -> str:
        """A line of the script that fills the context; it may fail."""
        path, other, link = self._path(*_FILES), self._path(*_FILES), self._path(*_LINKS)
        folder = self._path(*_FOLDERS)
        name, command = self._chance.choice(
            (
                (path, f"echo {path} > {path}"),
                (path, f"echo {path} > {path}; chmod {self._pick('600', '4711', '444')} {path}"),
                (path, f"echo {path} > {path}; touch -d @1500000000 {path}"),
                (path, f"ln {other} {path}"),
                (folder, f"mkdir {folder}; chmod {self._pick('700', '755', '1777')} {folder}"),
                (link, f"ln -s {self._pick('a', '../a', '/p', '/etc/passwd', 'none')} {link}"),
            )
        )
        if name != link:
            self._made.append(name)
        parent = name.rpartition("/")[0] or "."
        return f"(mkdir -p {parent} && {command}) 2>/dev/null || true\n"

    def _place(self) -> str:
        place = self._pick(*_PLACES)
        return self._pick(place, f"{place}/", f"{place}/{self._pick(*_FILES, *_FOLDERS)}")

    def step(self) -> str:
        """A RUN that changes some of the files; it never fails."""
        one, other = self._place().rstrip("/"), self._place().rstrip("/")
        command = self._pick(
            f"echo step > {one}",
            f"mkdir -p {one}",
            f"rm -rf {one}",
            f"mv {one} {other}",
            f"cp -a {one} {other}",
            f"ln -s {other} {one}",
            f"ln {one} {other}",
            f"chmod {self._pick('700', '1777', '0755')} {one}",
            f"chown app:staff {one}",
            f"rm -rf {one} && mkdir -p {one} && echo again > {one}/again",
        )
        return f"RUN {command} 2>/dev/null || true"

    def _copy(self) -> str:
        flag = self._pick(*_FLAGS) if self._chance.random() < 0.4 else ""
        made = self._pick(*self._made)
        source = self._pick(".", "./", "*", "*/*", "p", "?", "[a-c]", "*.txt", made)
        if self._chance.random() < 0.3:
            flag += " --from=s " + self._pick("", *_EXCLUDES)
            source = self._pick("/data", "/data/*", "/data/sub/", "/data/link", "/opt", "/data/d*")
        return " ".join(f"COPY {flag} {source} {self._place()}".split())

    def _workdir(self) -> str:
        return f"WORKDIR {self._pick('/w', 'x', '/data/dirlink', '/data', '..')}"

    def any_line(self) -> str:
        """A line of the last stage."""
        kinds: tuple[Callable[[], str], ...] = (self.step, self.step, self._copy, self._copy)
        return self._chance.choice((*kinds, self._copy, self._workdir))()
