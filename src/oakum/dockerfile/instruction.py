"""What a Dockerfile is made of: instructions with their flags, heredocs and places."""

from __future__ import annotations

import msgspec

from oakum.dockerfile.text import MappedText, Span, printable
from oakum.errors import DockerfileError


class Flag(msgspec.Struct, frozen=True):
    """A ``--name=value`` between the keyword and the arguments."""

    name: str
    """Without the dashes."""
    value: str | None
    """As written, variables unexpanded, quotes removed; None without ``=``."""


class Heredoc(msgspec.Struct, frozen=True):
    """A ``<<NAME`` of RUN, COPY or ADD and the lines that belong to it."""

    name: str
    """The delimiter, and the file's name where it is copied."""
    content: str
    """The lines as they stand, with their line ends, tabs not removed yet."""
    expand: bool
    """Whether variables in it are replaced: no part of the delimiter was quoted."""
    chomp: bool
    """Written ``<<-``: leading tabs of each line are to be removed."""
    descriptor: int
    """The number before ``<<``; 0 without one."""
    span: Span
    """The lines' place in the file, the closing delimiter excluded."""

    @property
    def text(self) -> str:
        """The content with leading tabs removed where `chomp` says so."""
        if not self.chomp:
            return self.content
        return "".join(line.lstrip("\t") for line in self.content.splitlines(keepends=True))


class Instruction(msgspec.Struct, frozen=True):
    """One instruction, from its keyword to the end of its last heredoc."""

    keyword: str
    """Upper case."""
    arguments: tuple[str, ...]
    """As Moby's parser splits them: words, JSON elements, or name and value in turns (ENV)."""
    flags: tuple[Flag, ...]
    """In the order in which they are written."""
    json: bool
    """Whether the arguments are written as a JSON array."""
    heredocs: tuple[Heredoc, ...]
    """In the order of their markers."""
    original: str
    """The logical line: continued lines joined, comments and heredocs left out."""
    first_line: int
    """Number of its first line, from 1."""
    last_line: int
    """Number of its last line, heredocs included."""
    body: MappedText
    """What follows the keyword and the flags, joined as in `original`."""
    escape: str
    """The file's escape character."""
    onbuild: Instruction | None = None
    """The instruction that an ONBUILD keeps for later."""

    def flag(self, name: str) -> str | None:
        """Value of the last flag of that name; empty for one without a value; None without."""
        found = [flag.value or "" for flag in self.flags if flag.name == name]
        return found[-1] if found else None


class Dockerfile(msgspec.Struct, frozen=True):
    """A file, its bytes, and what they say."""

    raw: bytes
    """The bytes that were parsed."""
    name: str
    """What messages call the file."""
    instructions: tuple[Instruction, ...]
    """In file order."""
    directives: dict[str, str]
    """Parser directives: ``syntax``, ``escape``, ``check``, where given."""
    escape: str
    """The escape character: a backslash or a backtick."""

    def line_of(self, offset: int) -> int:
        """Number of the line, from 1, that holds the byte at `offset`."""
        return self.raw.count(b"\n", 0, offset) + 1

    def line(self, number: int) -> str:
        """Text of that line without its line end; empty where there is none."""
        return line_text(self.raw, number)


def line_text(raw: bytes, number: int) -> str:
    """Text of line `number` (from 1) without its line end; empty where there is none."""
    lines = raw.split(b"\n")
    if not 1 <= number <= len(lines):
        return ""
    return lines[number - 1].removesuffix(b"\r").decode("utf-8", "replace")


def mistake(name: str, raw: bytes, line: int, why: str, hint: str = "") -> DockerfileError:
    """An error that names file and line and shows the line."""
    shown = printable(line_text(raw, line).strip())
    return DockerfileError(
        f"{name}:{line}: {why}: {shown}" if shown else f"{name}:{line}: {why}", hint
    )
