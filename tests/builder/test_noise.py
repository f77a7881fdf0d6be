"""What ``--reproducible`` does to a step's files, rule by rule, and how it does it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oakum.builder.noise import RULES, Rule, quieten, rule_of
from oakum.layer import Entry, Kind
from oakum.layer.disk import read_directory
from oakum.tree import Tree

EPOCH = 1_700_000_000
DAY = EPOCH // 86_400
LEFT_OUT = {
    "var/log/apt/eipp.log.xz": RULES[0],
    "var/cache/ldconfig/aux-cache": RULES[2],
    "usr/lib/python3/dist-packages/__pycache__/six.cpython-311.pyc": RULES[3],
    "var/cache/apt/pkgcache.bin": RULES[4],
    "var/cache/debconf/config.dat-old": RULES[5],
    "var/lib/dpkg/status-old": RULES[6],
    "etc/passwd-": RULES[7],
    "var/lib/dbus/machine-id": RULES[10],
    "var/lib/systemd/random-seed": RULES[11],
    "var/cache/fontconfig/abc-le64.cache-7": RULES[12],
    "root/.cache/pip/http/a/b": RULES[13],
    "home/user/.npm/_logs/2024-01-01-debug-0.log": RULES[14],
    "root/.wget-hsts": RULES[15],
    "tmp/hsperfdata_root/42": RULES[16],
}
"""A path of each rule that leaves out."""
EMPTIED = {
    "var/log/dpkg.log": RULES[1],
    "var/log/apt/term.log": RULES[1],
    "etc/machine-id": RULES[9],
}
KEPT = (
    "var/cache/apt/archives/gadget.deb",
    "var/lib/dpkg/status",
    "etc/ssh/ssh_host_rsa_key",
    "tmp/download.tar",
    "usr/share/doc/var/log/dpkg.log",
    "root/.npmrc",
    "etc/passwd",
    "opt/my__pycache__/x",
)


def write(upper: Path, path: str, content: bytes = b"noise\n") -> Path:
    place = upper / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def tree(*paths: str) -> Tree:
    made = Tree()
    made.apply([Entry(path.encode(), Kind.FILE, 0o644) for path in paths])
    return made


def names(upper: Path, *, marked: bool = False) -> dict[str, Kind]:
    """The kinds of a layer's paths, directories aside."""
    found = read_directory(upper, marked=marked)
    return {
        os.fsdecode(one.entry.path): one.entry.kind
        for one in found
        if one.entry.kind is not Kind.DIRECTORY
    }


def test_every_rule_has_an_example_here() -> None:
    known = {*LEFT_OUT.values(), *EMPTIED.values()}
    assert [rule.pattern for rule in RULES if rule not in known] == ["etc/shadow"]


@pytest.mark.parametrize("path", LEFT_OUT)
def test_a_path_is_left_out(tmp_path: Path, path: str) -> None:
    write(tmp_path, path)
    write(tmp_path, "kept")
    quieten(tmp_path, Tree(), EPOCH)
    assert names(tmp_path) == {"kept": Kind.FILE}
    assert rule_of(path.encode()) == LEFT_OUT[path]


@pytest.mark.parametrize("path", EMPTIED)
def test_a_file_is_emptied_and_stays_as_it_was_otherwise(tmp_path: Path, path: str) -> None:
    place = write(tmp_path, path)
    os.chown(place, os.getuid(), os.getgid())
    place.chmod(0o640)
    os.setxattr(place, "user.kept", b"1")
    os.utime(place, (5, 5))
    quieten(tmp_path, Tree(), EPOCH)
    [entry] = [one.entry for one in read_directory(tmp_path) if one.entry.kind is Kind.FILE]
    assert (entry.size, entry.mode, entry.mtime) == (0, 0o640, 5)
    assert entry.xattrs == {"user.kept": b"1"}
    assert rule_of(path.encode()) == EMPTIED[path]


def test_the_day_of_a_new_account_is_that_of_the_layer(tmp_path: Path) -> None:
    lines = b"root:*:19000:0:99999:7:::\nnew:!:29999::::::\nodd\nasked:x:0::::::\nno:x:::::::\n"
    place = write(tmp_path, "etc/shadow", lines)
    place.chmod(0o640)
    quieten(tmp_path, Tree(), EPOCH)
    assert place.read_bytes() == lines.replace(b"29999", b"%d" % DAY)
    assert place.stat().st_mode & 0o7777 == 0o640
    quieten(tmp_path, Tree(), 0)
    assert b"root:*:1:" in place.read_bytes(), "day 0 would ask for a new password"


@pytest.mark.parametrize("path", KEPT)
def test_what_no_rule_names_is_kept(tmp_path: Path, path: str) -> None:
    place = write(tmp_path, path)
    quieten(tmp_path, Tree(), EPOCH)
    assert place.read_bytes() == b"noise\n"


def test_directories_that_a_rule_empties_go_as_well(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/app/__pycache__/a.pyc")
    os.utime(tmp_path / "usr/lib/app", (7, 7))
    (tmp_path / "var/log").mkdir(parents=True)
    quieten(tmp_path, Tree(), EPOCH)
    assert not (tmp_path / "usr/lib/app/__pycache__").exists()
    assert (tmp_path / "usr/lib/app").stat().st_mtime == 7
    assert (tmp_path / "var/log").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make whiteouts")
@pytest.mark.parametrize("marked", [False, True])
def test_what_is_left_out_hides_what_lies_below(tmp_path: Path, marked: bool) -> None:
    """Else an old .pyc of the same size and time would be taken for that of the new source."""
    path = "app/__pycache__/a.pyc"
    write(tmp_path, path)
    write(tmp_path, "app/__pycache__/new.pyc")
    quieten(tmp_path, tree(path), EPOCH, marked=marked)
    assert names(tmp_path, marked=marked) == {path: Kind.WHITEOUT}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make whiteouts")
def test_whiteouts_of_the_step_stay(tmp_path: Path) -> None:
    for path in ("var/log/dpkg.log", "var/lib/dpkg/status-old"):
        (tmp_path / path).parent.mkdir(parents=True)
        os.mknod(tmp_path / path, 0o020000, 0)
    quieten(tmp_path, tree("var/log/dpkg.log", "var/lib/dpkg/status-old"), EPOCH)
    assert set(names(tmp_path).values()) == {Kind.WHITEOUT}
    marked = tmp_path / "marked"
    write(marked, "var/log/.wh.dpkg.log", b"")
    quieten(marked, tree("var/log/dpkg.log"), EPOCH, marked=True)
    assert names(marked, marked=True) == {"var/log/dpkg.log": Kind.WHITEOUT}


def test_other_names_of_a_file_keep_its_content(tmp_path: Path) -> None:
    log = write(tmp_path, "var/log/install.log", b"how it went\n")
    os.link(log, tmp_path / "report")
    old = write(tmp_path, "etc/passwd-", b"root\n")
    os.link(old, tmp_path / "a-copy")
    quieten(tmp_path, Tree(), EPOCH)
    assert log.read_bytes() == b""
    assert (tmp_path / "report").read_bytes() == b"how it went\n"
    assert (tmp_path / "a-copy").read_bytes() == b"root\n"


def test_links_are_never_followed(tmp_path: Path) -> None:
    """A step may leave links that lead out of its directory."""
    outside = write(tmp_path, "outside/var/log/x", b"the machine's own")
    shadow = write(tmp_path, "outside/shadow", b"root:*:29999::::::\n")
    upper = tmp_path / "upper"
    for path, target in (
        ("var/log/x", outside),
        ("etc/shadow", shadow),
        ("etc/machine-id", outside),
        ("var/cache", tmp_path / "outside"),
        ("var/lib/dpkg/status-old", outside),
    ):
        (upper / path).parent.mkdir(parents=True, exist_ok=True)
        (upper / path).symlink_to(target)
    quieten(upper, Tree(), EPOCH)
    assert outside.read_bytes() == b"the machine's own"
    assert shadow.read_bytes() == b"root:*:29999::::::\n"
    assert (upper / "etc/machine-id").is_symlink()
    assert not os.path.lexists(upper / "var/lib/dpkg/status-old")


def test_names_may_be_anything(tmp_path: Path) -> None:
    for name in (b"new\nline", b"\xff\xfe", b"-rf", b"*"):
        write(tmp_path, os.fsdecode(b"var/log/" + name))
    (tmp_path / "var/log/dpkg.log").mkdir()
    os.mkfifo(tmp_path / "var/log/pipe")
    quieten(tmp_path, Tree(), EPOCH)
    sizes = {one.entry.size for one in read_directory(tmp_path) if one.entry.kind is Kind.FILE}
    assert sizes == {0} and (tmp_path / "var/log/pipe").is_fifo()


def test_the_first_rule_counts() -> None:
    rule = rule_of(b"var/log/apt/eipp.log.xz")
    assert isinstance(rule, Rule) and rule.how == "leave out"
