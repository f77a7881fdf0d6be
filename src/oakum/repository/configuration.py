"""apt's configuration inside an image (apt.conf(5)), as far as it decides what apt would see."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oakum.errors import RepositoryError
from oakum.repository.interface import ImageFiles
from oakum.repository.stanzas import decode

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?(?:\*/|\Z)|\#(?!clear\b|include\b)[^\n]*"""
    r"""|(?P<quoted>"(?:[^"\\]|\\.)*(?:"|\Z))|(?P<mark>[{};])|(?P<word>(?:[^\s"{};/]|/(?![/*]))+)""",
    re.S | re.X,
)
_YES = {"yes", "true", "with", "on", "enable", "1"}
_NO = {"no", "false", "without", "off", "disable", "0"}
_DEEPEST = 50
_LARGEST = 4 * 1024 * 1024


class Configuration:
    """Values by option name, which is not case-sensitive; lists keep their order."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}

    def text(self, name: str, default: str = "") -> str:
        """The value of an option."""
        return self._values.get(name.lower(), default)

    def flag(self, name: str, default: bool) -> bool:
        """The value as yes or no; `default` when it is neither."""
        value = self.text(name).strip().lower()
        return default if value not in _YES | _NO else value in _YES

    def number(self, name: str, default: int) -> int:
        """The value as a whole number."""
        value = self.text(name).strip()
        return int(value) if re.fullmatch(r"-?[0-9]{1,15}", value) else default

    def items(self, name: str) -> list[str]:
        """The members of a list; a plain value counts as comma-separated members."""
        listed = self._lists.get(name.lower())
        if listed:
            return listed
        return [part.strip() for part in self.text(name).split(",") if part.strip()]

    def put(self, name: str, value: str) -> None:
        """Set an option; a name that ends with ``::`` adds to its list."""
        name = name.lower()
        if name.endswith("::"):
            self._lists.setdefault(name.removesuffix("::"), []).append(value)
        else:
            self._values[name] = value

    def clear(self, name: str) -> None:
        """Forget an option and everything below it."""
        name = name.lower()
        for known in (self._values, self._lists):
            for key in [k for k in known if k == name or k.startswith(name + "::")]:
                del known[key]


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            at += 1
            continue
        at = match.end()
        if match.lastgroup == "quoted":
            yield '"' + re.sub(r"\\(.)", r"\1", match.group().strip('"'))
        elif match.lastgroup:
            yield match.group()


def _join(prefix: list[str], words: list[str]) -> str:
    return "::".join([p for p in prefix if p] + words[:1])


def parse(text: str, file: str, into: Configuration) -> None:
    """Read one file's text into `into`; `RepositoryError` for nesting without end."""
    prefix: list[str] = []
    words: list[str] = []
    for token in _tokens(text):
        if token == "{":
            prefix.append(words[0] if words else "")
            words = []
            if len(prefix) > _DEEPEST:
                raise RepositoryError(
                    f"{file} of the image nests options too deeply", "mend the file in the image"
                )
        elif token in ("}", ";"):
            _statement(prefix, words, into)
            words = []
            if token == "}" and prefix:
                prefix.pop()
        else:
            words.append(token)
    _statement(prefix, words, into)


def _statement(prefix: list[str], words: list[str], into: Configuration) -> None:
    if not words:
        return
    if words[0] == "#clear":
        for word in words[1:]:
            into.clear(_join(prefix, [word]))
    elif words[0] == "#include":
        return
    elif len(words) == 1 and words[0].startswith('"'):
        into.put(_join(prefix, []) + "::", words[0][1:])
    elif len(words) > 1:
        into.put(_join(prefix, words), words[1].removeprefix('"'))


def parts(files: ImageFiles, directory: str, extensions: tuple[str, ...]) -> list[str]:
    """Paths in a directory that apt would read, in its order.

    Names follow run-parts: letters, digits, ``_``, ``-``, ``:`` and ``.``; not hidden, not ending
    with a dot.  `extensions` are without a dot; ``""`` allows names without an extension.
    """
    kept = []
    for name in sorted(files.list(directory)):
        extension = name.rpartition(".")[2] if "." in name else ""
        if name.startswith(".") or name.endswith(".") or extension not in extensions:
            continue
        if re.fullmatch(r"[A-Za-z0-9_:.-]+", name):
            kept.append(f"{directory}/{name}")
    return kept


def read_text(files: ImageFiles, path: str) -> str:
    """A configuration file's text, empty when there is none; `RepositoryError` over 4 MiB."""
    raw = files.read(path) or b""
    if len(raw) > _LARGEST:
        raise RepositoryError(
            f"{path} of the image has {len(raw)} bytes, too many for a configuration file",
            "mend the file in the image",
        )
    return decode(raw)


def read_configuration(files: ImageFiles) -> Configuration:
    """``etc/apt/apt.conf.d`` and then ``etc/apt/apt.conf``, as apt reads them."""
    configuration = Configuration()
    for path in [*parts(files, "etc/apt/apt.conf.d", ("", "conf")), "etc/apt/apt.conf"]:
        parse(read_text(files, path), path, configuration)
    return configuration
