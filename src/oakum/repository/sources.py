"""The package sources that an image's files name (sources.list(5)), in apt's order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import urlsplit

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.configuration import parts, read_text
from oakum.repository.interface import ImageFiles
from oakum.repository.stanzas import stanzas

_MOST = 1000
_LISTS = (
    "architectures",
    "architectures-add",
    "architectures-remove",
)
_SHORT = {
    "architectures": "arch",
    "architectures-add": "arch+",
    "architectures-remove": "arch-",
}


class Target(msgspec.Struct, frozen=True):
    """One index that a source asks for."""

    component: str
    """Empty for a flat suite."""
    architecture: str


class Source(msgspec.Struct, frozen=True):
    """One suite at one URI; entries that speak of the same suite are one source, as in apt."""

    uri: str
    """Ends with a slash; may hold credentials, so it is not for people to see."""
    suite: str
    targets: tuple[Target, ...]
    options: tuple[tuple[str, str], ...]
    """By their short, lower-case names of the one-line format, such as ``signed-by``."""
    file: str
    """``path:line`` of the first entry."""

    def option(self, name: str) -> str:
        """The value of an option; empty when it is not set."""
        return dict(self.options).get(name, "")

    def choice(self, name: str) -> bool | None:
        """The value of a yes-or-no option; None when it is not set."""
        value = self.option(name).lower()
        return None if not value else value in ("yes", "true", "with", "on", "enable", "1")

    @property
    def flat(self) -> bool:
        """Whether the suite is a plain directory rather than one below ``dists/``."""
        return self.suite.endswith("/")

    @property
    def base(self) -> str:
        """URL of the directory of the Release file, with a slash."""
        if not self.flat:
            return f"{self.uri}dists/{self.suite}/"
        directory = self.suite.removeprefix("./").lstrip("/")
        return self.uri + directory

    @property
    def shown(self) -> str:
        """``URI suite`` for people."""
        return f"{without_credentials(self.uri)} {self.suite}"

    @property
    def components(self) -> tuple[str, ...]:
        """The components asked for, each once."""
        return tuple(dict.fromkeys(t.component for t in self.targets if t.component))


class Entry(msgspec.Struct, frozen=True):
    """One ``deb`` entry: a URI, a suite, a component."""

    uri: str
    suite: str
    component: str
    options: dict[str, str]
    file: str


def without_credentials(url: str) -> str:
    """The URL without user name and password."""
    return re.sub(r"^([a-z0-9+.-]+://)[^/@]*@", r"\1", url, flags=re.I)


def read_sources(
    files: ImageFiles, native: str, architectures: tuple[str, ...], more: Sequence[str] = ()
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """All enabled binary sources, and notes on entries that cannot offer anything.

    `architectures` are those that the image is configured for, the native one first; `more` are
    entries in the one-line format besides the image's own.  `RepositoryError` where apt would
    refuse an entry, and for methods that oakum does not have.
    """
    entries: list[Entry] = list(_one_line("\n".join(more), "--apt-source", native))
    for path in ["etc/apt/sources.list", *parts(files, "etc/apt/sources.list.d", _EXTENSIONS)]:
        read = _deb822 if path.endswith(".sources") else _one_line
        entries.extend(islice(read(read_text(files, path), path, native), _MOST + 1))
        if len(entries) > _MOST:
            raise RepositoryError(
                f"the image names more than {_MOST} package sources", "mend the files in the image"
            )
    notes = []
    usable = []
    for entry in entries:
        note = _unusable(entry)
        if note:
            notes.append(note)
        else:
            usable.append(entry)
    return _grouped(usable, architectures), tuple(notes)


_EXTENSIONS = ("list", "sources")


def _malformed(path: str, number: int, what: str) -> RepositoryError:
    return RepositoryError(
        f"{path} of the image has a malformed entry at line {number}: {what}",
        "apt refuses this file too; mend the entry in the image",
    )


def _one_line(text: str, path: str, native: str) -> Iterator[Entry]:
    for number, raw in enumerate(text.splitlines(), 1):
        line = _uncommented(raw).strip(" \t\r")
        if not line:
            continue
        kind, _, rest = line.replace("\t", " ").replace("\v", " ").partition(" ")
        if kind not in ("deb", "deb-src"):
            raise _malformed(path, number, f"unknown type {kind!r}")
        options, rest = _options(rest.strip(), path, number)
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|[^\s\[]*\[[^\]]*\]\S*|\S+', rest)]
        if len(words) < 2:
            raise _malformed(path, number, "URI and suite are needed")
        uri, suite, components = words[0], words[1], words[2:]
        yield from _entries(
            kind, [uri], [suite], components, options, f"{path}:{number}", native, path, number
        )


def _uncommented(line: str) -> str:
    """The line without its comment; a ``#`` within brackets starts none."""
    depth = 0
    for at, character in enumerate(line):
        depth += (character == "[") - (character == "]")
        if character == "#" and depth <= 0:
            return line[:at]
    return line


def _options(rest: str, path: str, number: int) -> tuple[dict[str, str], str]:
    if not rest.startswith("["):
        return {}, rest
    inside, closed, rest = rest[1:].partition("]")
    if not closed:
        raise _malformed(path, number, "an option list without its end")
    options = {}
    for word in inside.split():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise _malformed(path, number, f"option {word!r}")
        options[name.lower()] = value
    return options, rest.strip()


def _deb822(text: str, path: str, native: str) -> Iterator[Entry]:
    for number, fields in stanzas(text):
        enabled = fields.get("enabled", "").strip().lower()
        if enabled in ("no", "false", "without", "off", "disable", "0"):
            continue
        types = fields.get("types", "").split()
        if not types:
            raise _malformed(path, number, "no Types")
        options = {
            _SHORT.get(name, name): ",".join(value.split()) if name in _LISTS else value
            for name, value in fields.items()
            if name not in ("types", "uris", "suites", "components", "enabled")
        }
        for kind in types:
            if kind not in ("deb", "deb-src"):
                raise _malformed(path, number, f"unknown type {kind!r}")
            yield from _entries(
                kind,
                fields.get("uris", "").split(),
                fields.get("suites", "").split(),
                fields.get("components", "").split(),
                options,
                f"{path}:{number}",
                native,
                path,
                number,
            )


def _entries(
    kind: str,
    uris: list[str],
    suites: list[str],
    components: list[str],
    options: dict[str, str],
    file: str,
    native: str,
    path: str,
    number: int,
) -> Iterator[Entry]:
    if not uris or not suites:
        raise _malformed(path, number, "URI and suite are needed")
    for uri in uris:
        if ":" not in uri:
            raise _malformed(path, number, f"{uri!r} is not a URI")
        uri = uri.replace("$(ARCH)", native)
        uri = uri if uri.endswith("/") else uri + "/"
        for suite in suites:
            suite = suite.replace("$(ARCH)", native)
            if suite.endswith("/") and components:
                raise _malformed(path, number, "a suite that ends with / takes no components")
            if not suite.endswith("/") and not components:
                raise _malformed(path, number, "no component")
            if kind == "deb":
                for component in components or [""]:
                    yield Entry(uri, suite, component, options, file)


def _unusable(entry: Entry) -> str:
    """Why an entry is left out, for those that may be; raises for those that may not."""
    scheme = urlsplit(entry.uri).scheme.lower()
    if scheme in ("http", "https"):
        return ""
    if scheme == "cdrom":
        return f"{entry.file}: a cdrom source cannot offer anything here and was left out"
    shown = without_credentials(entry.uri)
    if scheme in ("file", "copy"):
        raise RepositoryError(
            f"{entry.file} of the image names {shown}, a directory, which oakum does not read",
            "serve the directory over http, or disable the entry in the image",
        )
    raise RepositoryError(
        f"{entry.file} of the image uses the method {scheme!r} ({shown}), which oakum lacks",
        "name one mirror by its http or https URI instead",
    )


def _architectures(options: Mapping[str, str], configured: tuple[str, ...]) -> list[str]:
    chosen = [a for a in options.get("arch", "").split(",") if a] or list(configured)
    chosen += [a for a in options.get("arch+", "").split(",") if a and a not in chosen]
    removed = options.get("arch-", "").split(",")
    return [a for a in chosen if a not in removed]


def _grouped(entries: list[Entry], configured: tuple[str, ...]) -> tuple[Source, ...]:
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.uri, entry.suite), []).append(entry)
    return tuple(_source(members, configured) for members in groups.values())


def _source(members: list[Entry], configured: tuple[str, ...]) -> Source:
    first = members[0]
    keys = {_signed_by(member) for member in members}
    if len(keys) > 1:
        raise RepositoryError(
            f"{first.file} of the image and another entry name different keys (Signed-By) for "
            f"{without_credentials(first.uri)} {first.suite}",
            "apt refuses this too; let the entries agree",
        )
    targets: dict[Target, None] = {}
    options: dict[str, str] = {}
    for member in members:
        for architecture in _architectures(member.options, configured):
            targets[Target(member.component, architecture)] = None
        options = {**member.options, **options}
    return Source(
        uri=first.uri,
        suite=first.suite,
        targets=tuple(targets),
        options=tuple(sorted(options.items())),
        file=first.file,
    )


def _signed_by(entry: Entry) -> str:
    return " ".join(entry.options.get("signed-by", "").replace(",", " ").split())
