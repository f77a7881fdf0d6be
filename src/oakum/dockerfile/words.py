"""Words of a shell or of the Dockerfile, evaluated so that each character keeps its place.

What only a run could tell (a command's output, an unset variable that the base image may set)
becomes `UNKNOWN`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from oakum.dockerfile.expand import ExpandError, expand
from oakum.dockerfile.trace import EMPTY, Source, Traced, Value, foreign, joined, unknown

Lookup = Callable[[str], Value | None]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*])(\[[@*]\])?(:?[-+=?]|##?|%%?|//?|)")
_BRACE = re.compile(r"(?<![$\\])\{([^{}'\"$\s]*,[^{}'\"$\s]*)\}")
_NESTING = 50


def shell_fields(word: Traced, lookup: Lookup) -> list[Traced]:
    """The fields that a shell makes of one word: expanded, split at white space."""
    found: list[Traced] = []
    for one in _braces(word):
        found += _Word(one, lookup, shell=True).fields()
    return found


def shell_value(word: Traced, lookup: Lookup) -> Traced:
    """The text that a shell assigns for the word: expanded, not split."""
    return _Word(word, lookup, shell=True).value()


def dockerfile_value(word: Traced, lookup: Lookup, escape: str) -> Traced:
    """The text that BuildKit makes of a word of ENV, ARG or FROM."""
    return _Word(word, lookup, shell=False, escape=escape).value()


def _braces(word: Traced) -> list[Traced]:
    """``a{b,c}`` as ``ab`` and ``ac`` (bash)."""
    match = _BRACE.search(word.text) if "{" in word.text else None
    if match is None or re.search(r"['\"]", word.text[: match.start()]):
        return [word]
    found: list[Traced] = []
    at = match.start(1)
    for part in match[1].split(","):
        piece = word.cut(at, at + len(part))
        found += _braces(joined([word.cut(0, match.start()), piece, word.cut(match.end())]))
        at += len(part) + 1
        if len(found) > 1000:
            return [word]
    return found


class _Word:
    """One pass over a word; `at` is the next character's index."""

    def __init__(
        self, word: Traced, lookup: Lookup, *, shell: bool, escape: str = "\\", depth: int = 0
    ) -> None:
        self.word = word
        self.text = word.text
        self.lookup = lookup
        self.shell = shell
        self.escape = escape
        self.depth = depth
        self.at = 0
        self.complete: list[Traced] = []
        self.current: list[Traced] = []
        self.begun = False

    def fields(self) -> list[Traced]:
        self.run(split=True)
        self.finish()
        return self.complete

    def value(self) -> Traced:
        self.run(split=False)
        return joined(self.current)

    def finish(self) -> None:
        if self.begun:
            self.complete.append(joined(self.current))
        self.current, self.begun = [], False

    def add(self, piece: Traced) -> None:
        self.current.append(piece)
        self.begun = True

    def add_split(self, value: Traced) -> None:
        """An unquoted expansion: white space in it ends the field."""
        at = 0
        for match in re.finditer(r"[ \t\n]+", value.text):
            if match.start() > at:
                self.add(value.cut(at, match.start()))
            self.finish()
            at = match.end()
        if at < len(value.text):
            self.add(value.cut(at))

    def add_values(self, values: Sequence[Traced], split: bool, whole: bool) -> None:
        """Several fields: quoted ``"$@"`` keeps each (`whole`), otherwise each is split."""
        for index, value in enumerate(values):
            if index and split:
                self.finish()
            elif index:
                self.add(foreign(" ", Source("shell")))
            if split and not whole:
                self.add_split(value)
            else:
                self.add(value)

    def run(self, split: bool) -> None:
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "'":
                end = self.text.find("'", self.at + 1)
                end = len(self.text) if end < 0 else end
                self.add(self.word.cut(self.at + 1, end))
                self.at = end + 1
            elif character == '"':
                self.quoted(split)
            elif character == self.escape:
                following = self.text[self.at + 1 : self.at + 2]
                if not (self.shell and following == "\n"):
                    self.add(self.word.cut(self.at + 1, self.at + 2))
                self.at += 2
            elif character == "$" or (character == "`" and self.shell):
                self.expansion(split, quoted=False)
            else:
                self.add(self.word.cut(self.at, self.at + 1))
                self.at += 1

    def quoted(self, split: bool) -> None:
        self.at += 1
        self.begun = True
        special = ('"', "$", self.escape, "`", "\n") if self.shell else ('"', "$", self.escape)
        while self.at < len(self.text) and self.text[self.at] != '"':
            character = self.text[self.at]
            if character == self.escape and self.text[self.at + 1 : self.at + 2] in special:
                if self.text[self.at + 1] != "\n":
                    self.add(self.word.cut(self.at + 1, self.at + 2))
                self.at += 2
            elif character == "$" or (character == "`" and self.shell):
                self.expansion(split, quoted=True)
            else:
                self.add(self.word.cut(self.at, self.at + 1))
                self.at += 1
        self.at += 1

    def expansion(self, split: bool, quoted: bool) -> None:
        value = self.expanded()
        if isinstance(value, tuple):
            self.add_values(value, split, quoted)
        elif split and not quoted:
            self.add_split(value)
        else:
            self.add(value)

    def expanded(self) -> Value:
        """The value of what starts with ``$`` or a backtick at `at`, which moves behind it."""
        start = self.at
        if self.text[start] == "`":
            end = self.text.find("`", start + 1)
            self.at = len(self.text) if end < 0 else end + 1
            return unknown()
        following = self.text[start + 1 : start + 2]
        if following == "(" and self.shell:
            self.at = closing(self.text, start + 1, "(", ")")
            return unknown()
        if following == "'" and self.shell:
            self.at += 1
            return EMPTY
        if following == "{":
            self.at = closing(self.text, start + 1, "{", "}")
            return self.parameter(start + 2, self.at - 1)
        match = _NAME.match(self.text, start + 1)
        if match is None:
            self.at += 1
            return self.word.cut(start, start + 1)
        self.at = match.end() if match[0][0].isalpha() or match[0][0] == "_" else start + 2
        name = self.text[start + 1 : self.at]
        value = self.lookup(name)
        return unknown(name) if value is None else value

    def parameter(self, start: int, end: int) -> Value:
        """``${…}``, whose inside reaches from `start` to `end`."""
        match = _PARAMETER.match(self.text, start, end)
        if match is None or self.depth > _NESTING:
            return unknown()
        name, index, operator = match.groups()
        value = self.lookup(name)
        if isinstance(value, tuple) and not index and name not in "@*":
            value = value[0] if value else EMPTY
        if not operator:
            return unknown(name) if match.end() != end or value is None else value
        empty = value is None or (operator[0] == ":" and _is_empty(value))
        if operator[-1] in "-=":
            return self.inner(match.end(), end) if empty else value or EMPTY
        if operator[-1] == "+":
            return EMPTY if empty else self.inner(match.end(), end)
        if value is None:
            return unknown(name)
        if operator[-1] == "?":
            return value
        if isinstance(value, tuple) or not value.known:
            return unknown(name)
        return self.changed(value, operator, self.inner(match.end(), end, raw=True))

    def inner(self, start: int, end: int, raw: bool = False) -> Traced:
        word = self.word.cut(start, end)
        if raw:
            return word
        return _Word(
            word, self.lookup, shell=self.shell, escape=self.escape, depth=self.depth + 1
        ).value()

    def changed(self, value: Traced, operator: str, pattern: Traced) -> Traced:
        """A prefix or suffix taken away, or something replaced (then places are lost)."""
        names = {"oakum_value": value.text}
        for name in re.findall(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", pattern.text):
            other = self.lookup(name)
            if not isinstance(other, Traced) or not other.known:
                return unknown()
            names[name] = other.text
        separator = "" if operator[0] != "/" or "/" in pattern.text else "/"
        try:
            text = expand(f"${{oakum_value{operator}{pattern.text}{separator}}}", names)
        except ExpandError:
            return unknown()
        if text == value.text:
            return value
        if operator[0] == "#":
            return value.cut(len(value.text) - len(text))
        if operator[0] == "%":
            return value.cut(0, len(text))
        return foreign(text, value.sources[0] if value.sources else Source("unknown"))


def _is_empty(value: Value) -> bool:
    return not value if isinstance(value, tuple) else not value.text


def closing(text: str, at: int, opening: str, ending: str) -> int:
    """Index behind the bracket that closes the one at `at`; the text's end where none does."""
    depth = 0
    quote = ""
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == opening:
            depth += 1
        elif character == ending:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return len(text)
