"""Variables in Dockerfile words, expanded as BuildKit's own lexer does (no shell is run).

Known: quotes, escapes, ``$NAME``, ``${NAME}`` and the modifiers ``:-`` ``-`` ``:+`` ``+`` ``:?``
``?`` ``#`` ``##`` ``%`` ``%%`` ``/`` ``//``, nested.  Positional and special parameters (``$1``,
``$@``) are names like others, which nothing sets.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping

from oakum.dockerfile.text import is_space
from oakum.errors import DockerfileError

_SPECIAL = "@*#?-$!0"
_NESTING = 100
_TEMPLATE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


class ExpandError(DockerfileError):
    """A word that cannot be expanded: an unclosed quote or brace, a bad or unmet modifier."""


def expand(word: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """The word without quotes and escapes, its variables replaced; unset ones are empty.

    Raises `ExpandError`.
    """
    return _Lexer(word, env, escape).whole()


def expand_words(word: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """As `expand`, split at white space that is neither quoted nor escaped.

    White space that comes out of an unquoted variable splits too; quoted white space does not.
    """
    lexer = _Lexer(word, env, escape)
    lexer.whole()
    return lexer.words


def expand_raw(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """As `expand`, but quotes are ordinary characters: what COPY and ADD do to a heredoc."""
    return _Lexer(text, env, escape, quotes=False).whole()


def heredoc_words(line: str) -> list[str]:
    """The line's words with quotes and escapes kept and variables left alone."""
    lexer = _Lexer(line, {}, "\\", raw=True)
    try:
        lexer.whole()
    except ExpandError:
        return []
    return lexer.words


def variables_used(
    word: str, escape: str = "\\", env: Mapping[str, str] = {}, *, quotes: bool = True
) -> set[str]:
    """Names that `expand` (without `quotes`: `expand_raw`) would look up, whatever the modifiers.

    A word that cannot be expanded has those that stand before its mistake; `env` is for ``:?``.
    """
    lexer = _Lexer(word, env, escape, quotes=quotes)
    with contextlib.suppress(ExpandError):
        lexer.whole()
    return lexer.names


class _Lexer:
    """One pass over a word; `at` is the next character's index."""

    def __init__(
        self,
        word: str,
        env: Mapping[str, str],
        escape: str,
        *,
        quotes: bool = True,
        raw: bool = False,
    ) -> None:
        self.word = word
        self.env = env
        self.escape = escape
        self.quotes = quotes
        self.raw = raw
        self.at = 0
        self.depth = 0
        self.words: list[str] = []
        self.names: set[str] = set()

    def whole(self) -> str:
        result, self.words = self.until("", self.raw)
        return result

    def peek(self) -> str:
        return self.word[self.at : self.at + 1]

    def next(self) -> str:
        character = self.peek()
        self.at += 1
        return character

    def error(self, why: str) -> ExpandError:
        return ExpandError(
            f"cannot expand {self.word[:200]!r}: {why}",
            "see the Dockerfile reference, 'Environment replacement'",
        )

    def until(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """Text and words up to the character `stop` (taken), or to the end where it is empty."""
        result: list[str] = []
        words = _Words()
        while self.at < len(self.word):
            character = self.peek()
            if stop and character == stop:
                self.at += 1
                return "".join(result), words.done()
            if character == "$":
                piece = self.dollar(raw_escapes)
                words.add(piece)
            elif character in "'\"" and self.quotes:
                piece = self.single() if character == "'" else self.double(raw_escapes)
                words.add_raw(piece)
            elif character == "<":
                piece = self.less()
                words.add_raw(piece)
            elif character == self.escape:
                piece = self.escaped(raw_escapes)
                words.add_raw(piece)
            else:
                piece = self.next()
                words.add(piece)
            result.append(piece)
        if stop:
            raise self.error(f"missing {stop!r}")
        return "".join(result), words.done()

    def escaped(self, raw_escapes: bool) -> str:
        token = self.next()
        return (token if raw_escapes else "") + self.next()

    def less(self) -> str:
        """``<<`` takes the white space after it into its word (a heredoc's marker)."""
        self.at += 1
        if self.peek() != "<":
            return "<"
        start = self.at
        self.at += 1
        while self.peek() and self.peek() in "\t\r ":
            self.at += 1
        return "<" + self.word[start : self.at]

    def single(self) -> str:
        end = self.word.find("'", self.at + 1)
        if end < 0:
            raise self.error("a single quote is not closed")
        start, self.at = self.at, end + 1
        return self.word[start : end + 1] if self.raw else self.word[start + 1 : end]

    def double(self, raw_escapes: bool) -> str:
        quote = '"' if self.raw else ""
        result = [quote]
        self.at += 1
        while self.at < len(self.word):
            character = self.peek()
            if character == '"':
                self.at += 1
                return "".join([*result, quote])
            if character == "$":
                result.append(self.dollar(raw_escapes))
                continue
            self.at += 1
            if character == self.escape:
                if raw_escapes:
                    result.append(character)
                following = self.peek()
                if not following:
                    break
                if following in ('"', "$", self.escape):
                    character = self.next()
            result.append(character)
        raise self.error("a double quote is not closed")

    def name(self) -> str:
        start = self.at
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.at += 1
        elif first and first in _SPECIAL:
            self.at += 1
        else:
            while self.peek().isalpha() or self.peek().isdecimal() or self.peek() == "_":
                self.at += 1
        return self.word[start : self.at]

    def dollar(self, raw_escapes: bool) -> str:
        start = self.at
        self.at += 1
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            self.names.add(name)
            return self.word[start : self.at] if self.raw else self.env.get(name, "")
        self.depth += 1
        if self.depth > _NESTING:
            raise self.error(f"more than {_NESTING} nested variables")
        self.at += 1
        value = self.braces(raw_escapes)
        self.depth -= 1
        return self.word[start : self.at] if self.raw else value

    def braces(self, raw_escapes: bool) -> str:
        if not self.peek():
            raise self.error("missing '}'")
        if self.peek() in "{}:":
            raise self.error("bad substitution")
        name = self.name()
        value = self.env.get(name)
        modifier = self.next()
        if modifier == "}":
            self.names.add(name)
            return value or ""
        if modifier == "/":
            return self.replaced(name, value or "")
        colon = modifier == ":"
        if colon:
            modifier = self.next()
        if not modifier:
            raise self.error("missing '}'")
        if modifier not in "+-?#%" or (colon and modifier in "#%"):
            raise self.error(f"unsupported modifier {':' * colon}{modifier} in ${{{name}…}}")
        word, _ = self.until("}", modifier in "#%" or (raw_escapes and self.raw))
        self.names.add(name)
        unmet = value is None or (colon and not value)
        if modifier == "-":
            return word if unmet else value or ""
        if modifier == "+":
            return "" if unmet else word
        if modifier == "?":
            if unmet and not self.raw:
                state = "empty" if value is not None else "unset"
                raise self.error(f"{name}: {word or f'is not allowed to be {state}'}")
            return value or ""
        return self.trimmed(value or "", modifier, word)

    def replaced(self, name: str, value: str) -> str:
        every = self.peek() == "/"
        if every:
            self.at += 1
        pattern, _ = self.until("/", True)
        replacement, _ = self.until("}", True)
        self.names.add(name)
        if self.raw:
            return ""
        regex = re.compile(self.regex(pattern, True))
        if every:
            return _replace_all(regex, value, replacement)
        return regex.sub(lambda _: replacement, value, count=1)

    def trimmed(self, value: str, modifier: str, pattern: str) -> str:
        """``#`` and ``##`` take a prefix away, ``%`` and ``%%`` a suffix; doubled, the longest."""
        greedy = pattern.startswith(modifier)
        regex = self.regex(pattern.removeprefix(modifier) if greedy else pattern, greedy)
        if modifier == "#":
            match = re.match(regex, value)
            return value[match.end() :] if match else value
        starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
        whole = re.compile(regex)
        return next((value[:at] for at in starts if whole.fullmatch(value, at)), value)

    def regex(self, pattern: str, greedy: bool) -> str:
        """The shell pattern (``*``, ``?``, no brackets) as a regular expression."""
        out: list[str] = []
        at = 0
        while at < len(pattern):
            character = pattern[at]
            at += 1
            if character == "*":
                out.append(".*" if greedy else ".*?")
            elif character == "?":
                out.append(".")
            elif character == "\\":
                if pattern[at : at + 1] in ("}", "/"):
                    continue
                escaped = pattern[at : at + 1]
                if not escaped or escaped not in "*?\\":
                    raise self.error(f"invalid escape '\\{escaped}' in a pattern")
                out.append(f"\\{escaped}")
                at += 1
            else:
                out.append(re.escape(character))
        return "".join(out)


def _replace_all(regex: re.Pattern[str], value: str, template: str) -> str:
    """Go's ``ReplaceAllString``: ``$0`` in the template is what matched, ``$$`` a dollar.

    An empty match right behind another match is none.
    """
    result: list[str] = []
    at = 0
    for match in regex.finditer(value):
        if match.end() > at or match.end() == 0:
            result += value[at : match.start()], _TEMPLATE.sub(_filled(match[0]), template)
            at = match.end()
    return "".join([*result, value[at:]])


def _filled(matched: str) -> Callable[[re.Match[str]], str]:
    def fill(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        return {"0": matched, None: "$"}.get(name, "")

    return fill


class _Words:
    """Words as they grow: white space ends one unless it was quoted or escaped."""

    def __init__(self) -> None:
        self.complete: list[str] = []
        self.current = ""

    def add(self, text: str) -> None:
        for character in text:
            if not is_space(character):
                self.current += character
            elif self.current:
                self.complete.append(self.current)
                self.current = ""

    def add_raw(self, text: str) -> None:
        self.current += text

    def done(self) -> list[str]:
        if self.current:
            self.complete.append(self.current)
            self.current = ""
        return self.complete
