"""Which indexes an image's sources ask for, with apt's own reading as the judge."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import Files
from oakum.errors import RepositoryError
from oakum.repository import Installed, open_apt
from oakum.repository.configuration import read_configuration
from oakum.repository.proxies import proxy_for
from oakum.repository.sources import read_sources
from oakum.repository.web import login_for, read_logins
from support.archive import Archive, stanza

ACCEPTED = {
    "one line": "deb http://a.example/debian bookworm main contrib\n",
    "comments": "# x\ndeb http://a.example/d s main # more\n\n  deb http://b.example/d/ s main\n",
    "deb-src": "deb-src http://a.example/d s main\ndeb http://a.example/d s main\n",
    "architectures": "deb [arch=arm64,i386] http://a.example/d s main\n",
    "one more": "deb [ arch+=i386 ] http://a.example/d s main\n",
    "one less": "deb [arch-=amd64 arch+=arm64] http://a.example/d s main\n",
    "flat": "deb http://a.example/d ./\ndeb http://a.example/d sub/dir/\ndeb http://b.example/ /\n",
    "variable": "deb http://a.example/$(ARCH)/ x/$(ARCH)/\n",
    "twice": "deb http://a.example/d s main\ndeb http://a.example/d/ s main contrib\n",
    "quoted": 'deb "http://a.example/d" s "main"\n',
    "tabs": "deb\thttp://a.example/d\ts\tmain\tcontrib\r\n",
    "slash in suite": "deb http://a.example/d buster/updates main\n",
    "slash in component": "deb http://a.example/d s a/b\n",
}
DEB822 = {
    "plain": "Types: deb\nURIs: http://a.example/d\nSuites: s\nComponents: main\n",
    "several": (
        "Types: deb deb-src\nURIs: http://a.example/d https://b.example/d\n"
        "Suites: s t\nComponents: main\n contrib\n"
    ),
    "disabled": (
        "Enabled: no\nTypes: deb\nURIs: http://a.example/d\nSuites: s\nComponents: main\n\n"
        "Enabled: yes\nTypes: deb\nURIs: http://b.example/d\nSuites: s\nComponents: main\n"
    ),
    "architectures": (
        "# c\nTypes: deb\nURIs: http://a.example/d\nSuites: s\nComponents: main\n"
        "Architectures: amd64 arm64\n"
    ),
    "add and remove": (
        "Types: deb\nURIs: http://a.example/d\nSuites: s\nComponents: main\n"
        "Architectures-Add: arm64\nArchitectures-Remove: amd64\n"
    ),
    "flat": "Types: deb\nURIs: http://a.example/d\nSuites: ./\n",
    "case": "types: deb\nuris: http://a.example/d\nsuites: s\ncomponents: main\n",
}
REFUSED = {
    "no component": "deb http://a.example/d s\n",
    "no suite": "deb http://a.example/d\n",
    "type": "rpm http://a.example/d s main\n",
    "flat with component": "deb http://a.example/d ./ main\n",
    "option": "deb [arch] http://a.example/d s main\n",
    "keys": "deb [signed-by=/a] http://a.example/d s main\n"
    "deb [signed-by=/b] http://a.example/d s contrib\n",
}
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")


def apts_targets(root: Path, content: dict[str, str]) -> set[str] | None:
    """URIs of the Packages files that apt would fetch; None when it refuses the sources."""
    for directory in ("etc/apt/sources.list.d", "var/lib/dpkg", "var/lib/apt/lists/partial"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    for path, text in content.items():
        (root / path).write_text(text)
    command = ["apt-get", "indextargets", "-o", f"Dir={root}", "-o", "Dir::Etc::parts=/none"]
    command += ["-o", f"Dir::State::status={root}/var/lib/dpkg/status"]
    command += ["-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64"]
    command += ["--format", "$(URI)", "--no-release-info", "Created-By: Packages"]
    run = subprocess.run(command, capture_output=True, text=True)
    return set(run.stdout.split()) if run.returncode == 0 else None


def our_targets(content: dict[str, str]) -> set[str]:
    files = Files()
    for path, text in content.items():
        files.put(path, text)
    sources, _ = read_sources(files, "amd64", ("amd64",))
    found = set()
    for source in sources:
        for target in source.targets:
            middle = f"{target.component}/binary-{target.architecture}/"
            found.add(source.base + ("" if source.flat else middle) + "Packages")
    return found


def normal(uris: set[str]) -> set[str]:
    """Without the index of architecture all, which depends on the Release file."""
    return {uri.replace("/./", "/") for uri in uris if "/binary-all/" not in uri}


@needs_apt
@pytest.mark.parametrize("name", ACCEPTED)
def test_one_line_entries(tmp_path: Path, name: str) -> None:
    content = {"etc/apt/sources.list": ACCEPTED[name]}
    theirs = apts_targets(tmp_path, content)
    assert theirs is not None
    assert normal(our_targets(content)) == normal(theirs)
    assert theirs


@needs_apt
@pytest.mark.parametrize("name", DEB822)
def test_deb822_entries(tmp_path: Path, name: str) -> None:
    content = {"etc/apt/sources.list.d/x.sources": DEB822[name]}
    theirs = apts_targets(tmp_path, content)
    assert theirs
    assert normal(our_targets(content)) == normal(theirs)


@needs_apt
@pytest.mark.parametrize("name", REFUSED)
def test_entries_that_apt_refuses(tmp_path: Path, name: str) -> None:
    content = {"etc/apt/sources.list": REFUSED[name]}
    assert apts_targets(tmp_path, content) is None
    with pytest.raises(RepositoryError):
        our_targets(content)


@needs_apt
def test_file_names_that_apt_ignores(tmp_path: Path) -> None:
    names = ["a.list", "b.list.bak", ".c.list", "d.sources.list", "e", "f.list~", "g-1_x.list"]
    content = {
        f"etc/apt/sources.list.d/{name}": f"deb http://a.example/{number} s main\n"
        for number, name in enumerate(names)
    }
    assert normal(our_targets(content)) == normal(apts_targets(tmp_path, content) or set())


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:/srv/debian", "directory"),
        ("mirror://m.example/list", "'mirror'"),
        ("mirror+file:/x", "'mirror"),
    ],
)
def test_methods_that_oakum_lacks(uri: str, words: str) -> None:
    with pytest.raises(RepositoryError, match=words):
        our_targets({"etc/apt/sources.list": f"deb {uri} s main\n"})


def test_a_cdrom_is_noted(tmp_path: Path) -> None:
    files = Files()
    files.put("etc/apt/sources.list", "deb cdrom:[Debian 12]/ bookworm main\n")
    repository = open_apt(files, "amd64", tmp_path, env={})
    assert repository.sources == ()
    assert any("cdrom" in note for note in repository.notes)


def test_configuration_as_apt_reads_it() -> None:
    files = Files()
    files.put("etc/apt/apt.conf.d/10a", 'A::B "1"; // c\nA { C "2"; D { "x"; "y"; }; };\n')
    files.put("etc/apt/apt.conf.d/20b", '/* no */ # no\na::b "3"; A::D:: "z"; E "a//b";')
    files.put("etc/apt/apt.conf.d/30c.bak", 'A::B "4";')
    files.put("etc/apt/apt.conf", "#clear A::C;\nF yes;")
    read = read_configuration(files)
    assert read.text("A::B") == "3"
    assert read.text("a::c") == ""
    assert read.items("A::D") == ["x", "y", "z"]
    assert read.text("E") == "a//b"
    assert read.flag("F", False)


def test_proxies() -> None:
    files = Files()
    none = read_configuration(files)
    env = {"http_proxy": "p:3128", "https_proxy": "http://q:1", "no_proxy": "in.example,.x.example"}
    assert proxy_for("http://a.example/", none, env) == "http://p:3128"
    assert proxy_for("https://a.example/", none, env) == "http://q:1"
    assert proxy_for("http://in.example/", none, env) == ""
    assert proxy_for("http://a.x.example/", none, env) == ""
    files.put(
        "etc/apt/apt.conf",
        'Acquire::http::Proxy "http://i:8"; Acquire::http::Proxy::d.example "DIRECT";',
    )
    own = read_configuration(files)
    assert proxy_for("http://a.example/", own, env) == "http://i:8"
    assert proxy_for("https://a.example/", own, env) == "http://i:8"
    assert proxy_for("http://d.example/", own, env) == ""


def test_the_security_suite_that_is_missing(bookworm: Path, mirror: str, kept: Path) -> None:
    files = Files(bookworm)
    files.put("etc/apt/sources.list", f"deb {mirror} bookworm main\n")
    without = open_apt(files, "amd64", kept, max_age=3600)
    assert any("lack the distribution's security suite" in note for note in without.notes)
    assert not any(source.security for source in without.sources)
    repository = open_apt(files, "amd64", kept, max_age=3600, with_security=True)
    assert [s.suite for s in repository.sources] == ["bookworm", "bookworm-security"]
    assert repository.sources[1].security
    found = repository.policy("openssl", "amd64")
    assert found is not None
    assert found.security


def test_a_foreign_architecture(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.fields["Architectures"] = "amd64 i386"
    archive.packages.append(stanza("data", "3", Architecture="all"))
    archive.publish()
    archive.index = "main/binary-i386/Packages"
    archive.packages = [
        stanza("hello", "2.1-1", Architecture="i386"),
        stanza("data", "4", Architecture="all"),
    ]
    both = archive.indexes()
    archive.index = "main/binary-amd64/Packages"
    archive.packages = [stanza("hello", "2.0-1"), stanza("data", "3", Architecture="all")]
    both |= archive.indexes()
    for path, data in both.items():
        archive.server.write(f"dists/stable/{path}", data)
    archive.server.write("dists/stable/InRelease", archive.key.clearsign(archive.release(both)))
    image.put("var/lib/dpkg/arch", "amd64\ni386\n")
    repository = open_apt(image, "amd64", tmp_path / "c", env={})
    newest = {a: repository.policy("hello", a) for a in ("amd64", "i386")}
    assert [c and c.version for c in newest.values()] == ["2.0-1", "2.1-1"]
    found = repository.candidate(Installed("data", "1", "all"))
    assert found is not None
    assert found.version == "4"


def test_a_phased_update_is_named_as_such(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.packages.append(stanza("hello", "3", Phased_Update_Percentage="20"))
    archive.publish()
    found = open_apt(image, "amd64", tmp_path / "c", env={}).policy("hello", "amd64")
    assert found is not None
    assert (found.version, found.phased) == ("3", 20)


@pytest.mark.parametrize(
    ("preferences", "words"),
    [
        ("Package: /(a+)+b/\nPin: release a=stable\nPin-Priority: 1\n", "too involved"),
        ("Package: hello\nPin: release a=stable\nPin-Priority: 99999\n", "out of range"),
        ("Package: hello\nPin: release a=stable\n", "no usable Pin-Priority"),
        ("Pin: release a=stable\nPin-Priority: 5\n", "no Package"),
    ],
)
def test_pins_that_are_refused(
    archive: Archive, image: Files, tmp_path: Path, preferences: str, words: str
) -> None:
    archive.publish()
    image.put("etc/apt/preferences", preferences)
    with pytest.raises(RepositoryError, match=words):
        open_apt(image, "amd64", tmp_path / "c", env={}).policy("hello", "amd64")


def test_logins_go_to_their_machine_only() -> None:
    files = Files()
    files.put("etc/apt/auth.conf.d/a.conf", "machine a.example/private login u password p\n")
    files.put("etc/apt/auth.conf", "machine http://b.example\nlogin v\npassword q\n")
    logins = read_logins(files)
    assert login_for(logins, "https", "a.example", "/private/x") == ("u", "p")
    assert login_for(logins, "https", "a.example", "/public/x") is None
    assert login_for(logins, "http", "a.example", "/private/x") is None
    assert login_for(logins, "http", "b.example", "/x") == ("v", "q")
    assert login_for(logins, "https", "evil.example", "/private/x") is None


def test_credentials_are_not_shown(archive: Archive, image: Files, tmp_path: Path) -> None:
    archive.publish()
    url = archive.server.url.replace("//", "//user:secret@")
    image.put("etc/apt/sources.list", f"deb {url} stable main\n")
    repository = open_apt(image, "amd64", tmp_path / "c", env={})
    found = repository.policy("hello", "amd64")
    assert "secret" not in repr((repository.sources, repository.notes, found))
    archive.server.fail = {"dists/stable/InRelease": [403]}
    with pytest.raises(RepositoryError, match="refuses") as caught:
        open_apt(image, "amd64", tmp_path / "c", env={})
    assert "secret" not in caught.value.what + caught.value.todo
