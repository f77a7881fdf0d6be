"""Variables expand as BuildKit's lexer expands them."""

import pytest

from oakum.dockerfile import ExpandError, expand, expand_raw, expand_words, variables_used

ENV = {"HOME": "/root", "SHELL": "zsh", "EMPTY": "", "V": "1.22.1-9+deb12u9", "P": "a/b/c.tar.gz"}

CASES = [
    ("plain", "plain"),
    ("a'b c'd", "ab cd"),
    ('"a $SHELL"', "a zsh"),
    ("'a $SHELL'", "a $SHELL"),
    (r"a\$SHELL", "a$SHELL"),
    (r"a\\$SHELL", "a\\zsh"),
    (r'"\t\"\$"', r"\t\"$".replace(r"\"", '"')),
    ("tail\\", "tail"),
    ("$SHELL$HOME", "zsh/root"),
    ("$UNSET.", "."),
    ("$.", "$."),
    ("$1x", "x"),
    ("$$x", "x"),
    ("${SHELL}s", "zshs"),
    ("${NO:-d}", "d"),
    ("${EMPTY:-d}", "d"),
    ("${EMPTY-d}", ""),
    ("${SHELL:+y}", "y"),
    ("${EMPTY:+y}", ""),
    ("${EMPTY+y}", "y"),
    ("${NO:-${ALSO:-$SHELL}}", "zsh"),
    ("${NO:-'x y'}", "x y"),
    ("${SHELL?must}", "zsh"),
    ("${V%-*}", "1.22.1"),
    ("${V%%.*}", "1"),
    ("${V#*.}", "22.1-9+deb12u9"),
    ("${V##*+}", "deb12u9"),
    ("${P%.*}", "a/b/c.tar"),
    ("${P%%.*}", "a/b/c"),
    ("${P##*/}", "c.tar.gz"),
    (r"${P/\//-}", "a-b/c.tar.gz"),
    (r"${P//\//-}", "a-b-c.tar.gz"),
    ("${V/+/~}", "1.22.1-9~deb12u9"),
    ("${SHELL#q}", "zsh"),
    ("grüße$SHELL", "grüßezsh"),
    ("a < b << c", "a < b << c"),
]


@pytest.mark.parametrize(("word", "meant"), CASES)
def test_words_expand(word: str, meant: str) -> None:
    assert expand(word, ENV) == meant


@pytest.mark.parametrize(
    "word",
    [
        "'open",
        '"open',
        '"open\\"',
        "${",
        "${}",
        "${:-a}",
        "${{a}",
        "${NO",
        "${NO?}",
        "${EMPTY:?}",
        "${V:#1}",
        "${V:=1}",
        "${V!1}",
        "${.}",
        "${V/a}",
        "${V#\\a}",
        "${a:-" * 200,
    ],
)
def test_mistakes_are_errors(word: str) -> None:
    with pytest.raises(ExpandError):
        expand(word, ENV)


def test_the_message_of_a_required_variable_is_shown() -> None:
    with pytest.raises(ExpandError, match="NO: give me one"):
        expand("${NO:?give me one}", ENV)


def test_the_escape_character_can_be_a_backtick() -> None:
    assert expand("C:\\x`$V", ENV, "`") == "C:\\x$V"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("a b", ["a", "b"]),
        ("a$LIST", ["ax", "y"]),
        ('a"$LIST"', ["ax y"]),
        (r"a\ b 'c d'", ["a b", "c d"]),
        ("  ", []),
    ],
)
def test_unquoted_spaces_split(word: str, words: list[str]) -> None:
    assert expand_words(word, {"LIST": "x y"}) == words


def test_heredocs_keep_their_quotes() -> None:
    assert expand_raw("""it's "$SHELL" \\$V""", ENV) == """it's "zsh" $V"""


def test_variables_used_looks_into_every_branch() -> None:
    assert variables_used("${A:-$B}'$C'\"$D\"\\$E${F/$G/$H}") == {"A", "B", "D", "F", "G", "H"}
