"""Random instructions: words with variables, quotes and escapes, on lines that are continued."""

from __future__ import annotations

from hypothesis import strategies as st

from builder.differential.case import Case

_HEAD = """FROM scratch
ENV SET=set EMPTY= P=/usr/local/lib/x.tar.gz W="two words" Q='"' S=a\\\\b STAR=* É=e
ARG GIVEN=given
ARG UNSET
"""
"""What the instructions find."""

_NAMES = ("SET", "EMPTY", "P", "W", "Q", "S", "STAR", "GIVEN", "UNSET", "NONE", "1", "@", "_", "É")
_PLAIN = (
    *(
        "a",
        "b",
        "Z",
        "0",
        "-",
        "_",
        "/",
        ".",
        ":",
        "=",
        "+",
        ",",
        "~",
        "%",
        "#",
        "!",
        "@",
        "*",
        "?",
    ),
    *("{", "}", "[", "]", "(", ")", "|", "&", ";", "<", "<<", ">", "`", "^", "é", "日", "\u00a0"),
    *("\\", "\\\\", "\\a", "\\n", "\\$", "\\'", '\\"', "\\ ", "\\}", "\\/", "\\*", "$", "$$", "\t"),
)
_MODIFIERS = (":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%", ":", ":=", "=", "^", "")


def _of(*choices: str) -> st.SearchStrategy[str]:
    return st.sampled_from(choices)


def _words(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Words made of other words."""
    names, text = _of(*_NAMES), st.lists(inner, max_size=3).map("".join)
    return st.one_of(
        names.map(lambda name: f"${name}"),
        names.map(lambda name: f"${{{name}}}"),
        st.builds(lambda n, m, w: f"${{{n}{m}{w}}}", names, _of(*_MODIFIERS), text),
        st.builds(lambda n, m, w, r: f"${{{n}{m}{w}/{r}}}", names, _of("/", "//"), text, text),
        text.map(lambda word: f'"{word}"'),
        text.map(lambda word: f"'{word}'"),
        st.builds(lambda one, two: f'"{one} {two}"', text, text),
        text,
    )


_plain = _of(*_PLAIN)
_nested = st.one_of(_plain, _plain, _words(st.one_of(_plain, _words(_plain))))
_texts = st.lists(_nested, min_size=1, max_size=3).map("".join)
_FORMS = (
    *("LABEL l§={}", "LABEL l§={}", "LABEL l§={} m§={}", "LABEL l§ {}", "LABEL {}=v", "ENV E§={}"),
    *("ENV E§ {}", "ENV E§={} F§=x", "ARG A§={}", "USER {}", "VOLUME {}", "VOLUME /a {}", "CMD {}"),
    *('CMD ["{}", "b"]', "ENTRYPOINT {}", "EXPOSE 80 {}", "STOPSIGNAL {}", "MAINTAINER {} {}"),
    *("HEALTHCHECK CMD {}", "HEALTHCHECK --interval={} CMD x", "ONBUILD LABEL o§={}"),
    *("SHELL [{}]", 'SHELL ["{}"]', "label l§={}", "  LABEL  l§={}  ", "ENV E§=a{}\\ b", "ARG {}"),
)
_BREAKS = ("\\\n", "\\  \n", "\\\n# a comment\n", "\\\n  # another\n", "\\\n\n", "\\\n\t", "")


@st.composite
def instructions(draw: st.DrawFn) -> str:
    """One instruction, perhaps on several lines; ``§`` stands for its number."""
    form = draw(_of(*_FORMS))
    line = form.replace("{}", "\0")
    while "\0" in line:
        line = line.replace("\0", draw(_texts), 1)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(_of(*_BREAKS)) + line[at:]
    return line + "\n"


def words_case(lines: list[str]) -> Case:
    """All of them in one build."""
    numbered = [line.replace("§", str(number)) for number, line in enumerate(lines)]
    return Case("random", "words", {"Dockerfile": _HEAD + "".join(numbered)})
