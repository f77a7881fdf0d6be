"""Random ``.dockerignore`` files, each in a build context of its own."""

from __future__ import annotations

from hypothesis import strategies as st

from builder.differential.case import Case

_TREE = (
    "mkdir -p p/q/a p/.h q/p 'r s' é .g/p ab/ba; "
    "for name in a b c.txt .e p/a p/b.txt p/q/c.txt p/q/a/b p/.h/a q/a q/p/a 'r s/a' é/é .g/p/b "
    "ab/a ab/ba/ab 'x!' '#y' '[z]' 'w*' 'b\\n'; do : > \"$name\"; done; ln -s p k; ln -s a l"
)
_NAMES = (
    "a",
    "b",
    "p",
    "q",
    "c.txt",
    ".e",
    ".h",
    "r s",
    "é",
    "ab",
    "k",
    "x!",
    "#y",
    "\\[z\\]",
    "w\\*",
)
_WILD = (
    "*",
    "**",
    "?",
    "[a-c]",
    "[^a]",
    "[!a]",
    "[]a]",
    "[a",
    "a*",
    "*.txt",
    "*b*",
    "**a",
    "a**",
    "??",
)
_ODD = (
    ".",
    "..",
    "",
    "\\a",
    "\\",
    "\\\\",
    "b\\\\n",
    "[\\]z]",
    "[[]*",
    "[a-]",
    "[z-a]",
    "{a,b}",
    "+",
    "(a)",
)
_SOURCES = (".", ".", "*", "p", "p/*", "p/q", "[ab]*", "k", "**", "é")


def _of(*choices: str) -> st.SearchStrategy[str]:
    return st.sampled_from(choices)


_part = st.one_of(_of(*_NAMES), _of(*_NAMES), _of(*_WILD), _of(*_ODD))


@st.composite
def _pattern(draw: st.DrawFn) -> str:
    path = "/".join(draw(st.lists(_part, min_size=1, max_size=3)))
    before = draw(_of("", "", "", "!", "!", "/", "!/", "./", " ", "! ", "#", "**/", "!**/", "../"))
    return before + path + draw(_of("", "", "", "", "/", "/**", " ", "/*", "/.", "\t"))


@st.composite
def ignored_copies(draw: st.DrawFn) -> tuple[str, str]:
    """An ignore file, and the source of a COPY."""
    patterns = draw(st.lists(_pattern(), min_size=1, max_size=5))
    return draw(_of("\n", "\n", "\n", "\r\n")).join(patterns) + "\n", draw(_of(*_SOURCES))


def ignore_case(parts: list[tuple[str, str]]) -> Case:
    """All of them in one build."""
    sections = {"context": "", "options": "", "Dockerfile": "FROM scratch\n"}
    for number, (text, source) in enumerate(parts):
        sections["context"] += f"mkdir -p d{number}; (cd d{number}; {_TREE})\n"
        sections[f"file d{number}/.dockerignore"] = text
        sections["options"] += f"--build-context=c{number}=@CONTEXT@/d{number}\n"
        sections["Dockerfile"] += f"COPY --from=c{number} {source} /{number}/\n"
    return Case("random", "ignore files", sections)
