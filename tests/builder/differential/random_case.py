"""Random builds: a context, an ignore file, and a Dockerfile that copies and changes at random.

They are drawn by Hypothesis, so that what differs comes out as the smallest build that differs.
"""

from __future__ import annotations

import json
import shlex

from hypothesis import strategies as st

from builder.differential.case import Case

Line = st.SearchStrategy[str]

_FILES = (
    b"a",
    b"b",
    b"c.txt",
    b"d.md",
    b".e",
    b"f f",
    b"\xc3\xa9",
    b"x\xffy",
    b"-g",
    b"h\\i",
    b"j*",
)
_SENT = tuple(name for name in _FILES if name.isascii() or name.startswith(b"\xc3"))
"""Names that docker can send: they have to be UTF-8."""
_FOLDERS = (b"p", b"q", b"p.d", b"r s")
_LINKS = (b"k", b"l")
_TARGETS = (
    "a",
    "b",
    "../a",
    "/p",
    "p",
    "..",
    ".",
    "/etc/passwd",
    "none",
    "q/../b",
    "/data/sub",
    "k",
)
_PLACES = (
    *("/data", "/data/sub", "/data/sub/deep", "/data/dirlink", "/data/link", "/data/one"),
    *("/data/hard", "/opt/abs", "/opt/tool", "/opt/tool/run", "/home/app", "/tmp", "/empty"),
    *("/new", "/new/p", "/n/e/w", "/var/run", "/w/x", "/data/sub/three", "/cap"),
)
_DIRECTORIES = (
    *("/data", "/data/sub", "/data/sub/deep", "/data/dirlink", "/opt/abs", "/opt/tool", "/tmp"),
    *("/home/app", "/empty", "/new", "/n/e/w", "/var/run", "/w/x"),
)
_MODES = ("600", "640", "444", "755", "700", "4755", "2755", "1777", "000", "u+s", "g+rwX", "a-w")
_OWNERS = ("app", "7:8", "app:staff", "0:50", "1000", "nobody:nogroup", "unknown")
_CHMODS = ("640", "0755", "u=rwX,go=rX", "g+w", "1777", "4711", "a-x", "go-rwx,u+X")
_EXCLUDES = ("*e", "**/three", "*.txt", "sub", "!sub/deep", "p/*", "**/a", "!a", "?", "**")
_IGNORED = (
    *_EXCLUDES,
    "*/b",
    "p",
    "!p/a",
    "/q",
    "q/",
    "**/p",
    "[a-c]",
    "*.d/",
    "!**/d.md",
    "k",
    "x*",
)
_CAPABILITY = "0100000200200000000000000000000000000000"


def _of(*choices: str) -> Line:
    return st.sampled_from(choices)


def _sh(name: bytes) -> str:
    """The name as a word of a shell."""
    if name.isascii():
        return shlex.quote(f"./{name.decode()}" if name.startswith(b"-") else name.decode())
    return "\"$(printf '" + "".join(f"\\{byte:03o}" for byte in name) + "')\""


_names = st.sampled_from(_FILES)
_folders = st.lists(st.sampled_from(_FOLDERS), max_size=2)


@st.composite
def _paths(draw: st.DrawFn, last: tuple[bytes, ...] = _SENT) -> bytes:
    return b"/".join([*draw(_folders), draw(st.sampled_from(last))])


@st.composite
def _context_line(draw: st.DrawFn) -> str:
    """A line of the script that fills the context; it may fail."""
    path = draw(_paths())
    file, other = _sh(path), _sh(draw(_paths()))
    folder, link = draw(_paths(_FOLDERS)), draw(_paths(_LINKS))
    place, command = draw(
        st.sampled_from(
            (
                (path, f"echo {len(path)} > {file}"),
                (path, f": > {file}"),
                (path, f"echo 1 > {file}; chmod {draw(_of(*_MODES))} {file}"),
                (path, f"echo 2 > {file}; touch -d @1500000000 {file}"),
                (path, f"echo 3 > {file}; chown 12:34 {file}"),
                (path, f"ln {other} {file}"),
                (path, f"mkfifo {file}"),
                (path, f"mknod {file} c 1 3"),
                (path, f"truncate -s 70000 {file}; echo end >> {file}"),
                (folder, f"mkdir -p {_sh(folder)}; chmod {draw(_of(*_MODES))} {_sh(folder)}"),
                (folder, f"mkdir -p {_sh(folder)}/e/m/p/t/y"),
                (folder, f"mkdir -p {_sh(folder)}; touch -d @1400000000 {_sh(folder)}"),
                (link, f"ln -s {draw(_of(*_TARGETS))} {_sh(link)}"),
            )
        )
    )
    above = _sh(place.rpartition(b"/")[0] or b".")
    return f"(mkdir -p {above} && [ ! -p {_sh(place)} ] && {{ {command}; }}) 2>/dev/null || true\n"


@st.composite
def _archive(draw: st.DrawFn) -> str:
    """A script that packs what the context has so far; the archive is called ``t.tar``."""
    flags = draw(_of("-c", "-cz", "-cj", "-cJ"))
    what = draw(_of(".", "p", "p q", "k p", "*", "./p"))
    return (
        f"tar {flags}f ../t-$$ --sort=name --mtime=@1500000000 --owner=7 --group=8 {what} "
        "2>/dev/null || true\nmv ../t-$$ t.tar 2>/dev/null || true\n"
    )


_ALWAYS = """mkdir -p p/q q p.d 'r s'
for n in a b c.txt p/a p/d.md q/b p/q/c.txt .e 'f f' é 'j*' p.d/a; do echo "$n" > "$n"; done
ln -s p k; ln -s a l
"""
_CAPABLE = (
    "python3 -c \"import io, tarfile; t = tarfile.open('cap.tar', 'w', format=2); "
    "m = tarfile.TarInfo('cap'); m.size, m.mtime, m.mode = 2, 1500000000, 0o755; "
    f"m.pax_headers = {{'SCHILY.xattr.security.capability': bytes.fromhex('{_CAPABILITY}')"
    ".decode('latin1')}; t.addfile(m, io.BytesIO(b'ab')); t.close()\"\n"
)


@st.composite
def _places(draw: st.DrawFn) -> str:
    """A path of the image, as a word of a shell."""
    place = draw(_of(*_PLACES))
    if draw(st.booleans()):
        return place
    return f"{place}/{_sh(draw(st.sampled_from((*_FILES, *_FOLDERS)))).removeprefix('./')}"


@st.composite
def _command(draw: st.DrawFn) -> str:
    one, other = draw(_places()), draw(_places())
    mode, owner = draw(_of(*_MODES)), draw(_of(*_OWNERS))
    return draw(
        _of(
            f"[ -p {one} ] || echo step > {one}",
            f"[ -p {one} ] || echo more >> {one}",
            f"mkdir -p {one}",
            f"rm -rf {one}",
            f"rm -f {one}; echo again > {one}",
            f"mv {one} {other}",
            f"mv -T {one} {other}",
            f"mv {one} {one}.old; mv {one}.old {one}",
            f"cp -a {one} /.copy; mv /.copy {other}",
            f"ln -sfn {other} {one}",
            f"ln -f {one} {other}",
            f"chmod {mode} {one}",
            f"chmod -R {mode} {one}",
            f"chown {owner} {one}",
            f"chown -hR {owner} {one}",
            f"touch -h -d @1500000000 {one}",
            f"rm -rf {one} && mkdir -p {one} && echo again > {one}/again",
            f"rm -rf {one}; mkdir -p {one}; rmdir {one}",
            f"find {one} -type f -exec rm {{}} +",
            f"[ -p {one} ] || truncate -s 200000 {one}",
            f"mkfifo {one}",
            f"mknod {one} c 1 5",
            f"mkdir -p {one} && cd {one} && mkdir -p a/b/c && echo deep > a/b/c/d && mv a/b e",
            f"cp -a {one} /.copy; rm -rf {one}; mv /.copy {one}",
            f"[ -f {one} ] && cat {one} > /$$ && cat /$$ > {one}; rm -f /$$",
        )
    )


@st.composite
def step_line(draw: st.DrawFn) -> str:
    """A RUN that changes some of the files; it never fails."""
    commands = draw(st.lists(_command(), min_size=1, max_size=3))
    return f"RUN exec 2>/dev/null; ({'); ('.join(commands)}); true"


@st.composite
def _destination(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(_of(*_PLACES))
    place = draw(_of(*_DIRECTORIES, "$D", "${D}/x", "rel", "."))
    return draw(_of(place, f"{place}/", f"{place}/", f"{place}/a", f"{place}/p/"))


@st.composite
def _flags(draw: st.DrawFn, exclude: bool = True) -> list[str]:
    given = []
    if draw(st.integers(0, 2)) == 0:
        given.append(f"--chown={draw(_of(*_OWNERS))}")
    if draw(st.integers(0, 3)) == 0:
        given.append(f"--chmod={draw(_of(*_CHMODS))}")
    if draw(st.integers(0, 3)) == 0:
        given.append("--link")
    if exclude and draw(st.integers(0, 3)) == 0:
        patterns = draw(st.lists(_of(*_EXCLUDES), min_size=1, max_size=2))
        given += [f"--exclude={pattern}" for pattern in patterns]
    return given


_SOURCES = (
    *(".", "./", "*", "*/*", "p", "p/", "q", "?", "[a-c]", "*.txt", "a", "b", "c.txt", "k", "k/"),
    *("p/*", "p/a", "f f", "h\\\\i", "p.d", "**/a", "l", ".e", "./p/.", "é", "j\\*", "r s"),
)
_STAGE_SOURCES = (
    *("/data", "/data/", "/data/*", "/data/sub/", "/data/link", "/opt", "/data/d*", "/opt/abs"),
    *("/new", "/data/one", "/data/hard", "/tmp/*", "/n", "/home/*", "/etc", "data/[ot]*"),
)


@st.composite
def copy_line(draw: st.DrawFn) -> str:
    """A COPY out of the context or the other stage."""
    flags = draw(_flags())
    sources = draw(st.lists(_of(*_SOURCES), min_size=1, max_size=2))
    if draw(st.integers(0, 2)) == 0:
        flags.append("--from=s")
        sources = draw(st.lists(_of(*_STAGE_SOURCES), min_size=1, max_size=2))
    destination = draw(_destination())
    if len(sources) > 1 and not destination.endswith("/"):
        destination += "/"
    words = [*sources, destination]
    if any(" " in word for word in words) or draw(st.integers(0, 4)) == 0:
        return f"COPY {' '.join([*flags, json.dumps(words, ensure_ascii=False)])}"
    return f"COPY {' '.join([*flags, *words])}"


@st.composite
def _add_line(draw: st.DrawFn) -> str:
    """An ADD of an archive."""
    flags = [flag for flag in draw(_flags(exclude=False)) if not flag.startswith("--chmod")]
    source, destination = draw(_of("t.tar", "cap.tar", "*.tar")), draw(_destination())
    return f"ADD {' '.join([*flags, source, destination.rstrip('/')])}/"


_CONFIG = (
    *("ENV D=/data", "ENV D=/new N=${D:-none}", "ARG D=/n/e", "ARG N", "ENV D=${D%/*}"),
    *("WORKDIR /w", "WORKDIR x", "WORKDIR /data/dirlink", "WORKDIR /data", "WORKDIR .."),
    *("WORKDIR /data/link", "WORKDIR ${D:-/w}/y", "WORKDIR /new/p", "USER app", "USER 7:8"),
    *("USER root", "USER app:staff", "VOLUME /data", "VOLUME /new /w", "LABEL l=$D", "EXPOSE 80"),
    *("CMD echo $D", 'ENTRYPOINT ["/bin/sh", "-c"]', 'SHELL ["/bin/ash", "-ec"]'),
)
_any_line = st.one_of(
    step_line(), step_line(), copy_line(), copy_line(), _add_line(), _of(*_CONFIG)
)


@st.composite
def random_cases(draw: st.DrawFn) -> Case:
    """A build."""
    sections = {"context": _ALWAYS + "".join(draw(st.lists(_context_line(), max_size=14)))}
    sections["context"] += draw(_archive()) + _CAPABLE
    if draw(st.integers(0, 3)) == 0:
        ignored = draw(st.lists(_of(*_IGNORED), min_size=1, max_size=4))
        sections["file .dockerignore"] = "\n".join(ignored) + "\n"
    lines = ["FROM base AS s", *draw(st.lists(step_line(), max_size=3))]
    lines.append(draw(_of("FROM base", "FROM base", "FROM s")))
    lines += draw(st.lists(_any_line, min_size=1, max_size=12))
    sections["Dockerfile"] = "\n".join(lines) + "\n"
    return Case("random", "build", sections)
