"""Git repositories as sources of a build: what is asked, what is kept, what is never shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, Secret, prune
from oakum.builder.git_address import GitAddress, parse_git_address
from oakum.builder.repositories import Repositories
from oakum.errors import BuildError, OakumError
from oakum.store import Store
from support.authority import Authority
from support.git_server import TOKEN, GitServer, run, running_git_server
from support.search import files_with
from support.ssh import running_ssh

COMMIT = "5351cc668fe02e70006bb13879146ad0bfa82618"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A server of its own, whose repositories may be changed."""
    with running_git_server(tmp_path / "server") as server:
        yield server


def address(text: str) -> GitAddress:
    found = parse_git_address(text)
    assert found is not None
    return found


def tree(store: Store, text: str, *secrets: Secret, keep: bool = False) -> Path:
    """What a new build gets."""
    repositories = Repositories(store, BuildRequest(None, secrets=secrets))
    return repositories.tree(address(text), keep_git_dir=keep)


def names(place: Path) -> list[str]:
    return sorted(os.listdir(place))


def test_a_branch_is_asked_for_again_and_only_what_is_new_is_fetched(
    store: Store, server: GitServer
) -> None:
    first = tree(store, f"{server.url}/sub.git")
    asked = len(server.asked)
    assert tree(store, f"{server.url}/sub.git") == first
    assert 0 < len(server.asked) - asked < asked
    server.change("sub", "echo new > new.txt; git add .; git commit -qm new")
    second = tree(store, f"{server.url}/sub.git")
    assert names(second) == ["deep", "new.txt", "part.txt"]
    assert names(first) == ["deep", "part.txt"]


def test_a_commit_is_not_asked_for_again(store: Store, server: GitServer) -> None:
    first = tree(store, f"{server.url}/main.git#{COMMIT}")
    server.asked.clear()
    assert tree(store, f"{server.url}/main.git#{COMMIT}:docs") == first / "docs"
    assert server.asked == []


def test_a_tag_that_was_moved_is_followed(store: Store, server: GitServer) -> None:
    tree(store, f"{server.url}/main.git#v2")
    server.change("main", "git tag -f v2 HEAD; echo 4 > four; git add .; git commit -qm 4")
    assert "three.txt" in names(tree(store, f"{server.url}/main.git#v2"))


def test_checkouts_are_the_same_on_two_days(tmp_path: Path, server: GitServer) -> None:
    found = []
    for name in ("one", "two"):
        with Store(tmp_path / name) as store:
            place = tree(store, f"{server.url}/with-sub.git", keep=True)
            paths = sorted(p for p in place.rglob("*") if "objects" not in p.parts)
            found.append(
                [
                    (p.relative_to(place), p.lstat().st_mtime, p.is_file() and p.read_bytes())
                    for p in paths
                ]
            )
    assert found[0] == found[1]
    assert {mtime for _, mtime, _ in found[0]} == {1_600_000_000}


def test_a_kept_git_directory_is_whole(store: Store, server: GitServer) -> None:
    place = tree(store, f"{server.url}/main.git#main", keep=True)
    copied = place.parent / "copy"
    shutil.copytree(place, copied, symlinks=True)
    shutil.rmtree(store.root / "cache/git" / place.parts[-3] / "objects.git")
    assert run(copied, "git status --short && git fsck && git log --format=%s") == "third"


@pytest.mark.parametrize(
    "secret", ["GIT_AUTH_TOKEN", "GIT_AUTH_TOKEN.HOST", "GIT_AUTH_HEADER", "GIT_AUTH_HEADER.HOST"]
)
def test_a_secret_is_sent_to_its_host_and_shown_to_nobody(
    store: Store, server: GitServer, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    coded = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    monkeypatch.setenv("VALUE", TOKEN if "TOKEN" in secret else f"basic {coded}")
    host = server.url.split("/")[2]
    given = Secret(secret.replace("HOST", host), env="VALUE")
    assert "three.txt" in names(tree(store, f"{server.url}/private.git", given))
    assert any(coded in asked for asked in server.asked)
    shown = (TOKEN.encode(), coded.encode())
    assert any(b"ls-remote" in command for command in server.commands)
    assert not [c for c in server.commands for text in shown if text in c]
    assert [path for text in shown for path in files_with(store.root, text)] == []


def test_a_token_is_not_sent_elsewhere(
    store: Store, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE", TOKEN)
    with running_git_server(tmp_path / "other") as other:
        server.redirect = other.url.removesuffix("/git")
        with pytest.raises(BuildError) as caught:
            tree(store, f"{server.url}/private.git", Secret("GIT_AUTH_TOKEN", env="VALUE"))
        assert other.asked == []
        assert "another place" in caught.value.todo
        assert TOKEN not in caught.value.what + caught.value.todo
        assert "three.txt" in names(tree(store, f"{server.url}/main.git"))


def test_a_wrong_token_is_not_shown(store: Store, server: GitServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong-token-0123\n")
    with pytest.raises(BuildError) as caught:
        tree(store, f"{server.url}/private.git", Secret("GIT_AUTH_TOKEN", file))
    assert "wrong-token" not in repr(caught.value) + caught.value.what
    assert "GIT_AUTH_TOKEN" in caught.value.todo


def test_a_login_in_the_address_is_used_and_not_shown(store: Store, server: GitServer) -> None:
    at = server.url.replace("//", f"//x-access-token:{TOKEN}@")
    assert "three.txt" in names(tree(store, f"{at}/private.git", keep=True))
    assert files_with(store.root, TOKEN.encode()) == []
    assert not [c for c in server.commands if TOKEN.encode() in c]
    with pytest.raises(BuildError) as caught:
        tree(store, f"{at}/none.git")
    assert TOKEN not in caught.value.what


def test_nothing_of_the_users_configuration_counts(
    store: Store, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "post-checkout").chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\n\thooksPath = {hooks}\n[url "http://127.0.0.1:1/"]\n\tinsteadOf = {server.url}/\n'
        f"[init]\n\ttemplateDir = {home}\n"
    )
    for name, value in {
        "HOME": str(home),
        "GIT_DIR": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_SSH_COMMAND": f"touch {tmp_path}/ran",
        "GIT_ASKPASS": f"touch {tmp_path}/ran",
    }.items():
        monkeypatch.setenv(name, value)
    assert "three.txt" in names(tree(store, f"{server.url}/main.git"))
    with pytest.raises(BuildError):
        tree(store, f"{server.url}/private.git")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("url", ["file://HOST/sub.git", "HOST/sub.git", "ext::touch% PLACE/ran"])
def test_a_submodule_reaches_nothing_of_this_machine(
    store: Store, server: GitServer, tmp_path: Path, url: str
) -> None:
    url = url.replace("HOST", str(server.root / "git")).replace("PLACE", str(tmp_path))
    server.change(
        "with-sub",
        f"git config -f .gitmodules submodule.lib/sub.url '{url}'; git commit -qam hostile",
    )
    with pytest.raises(BuildError) as caught:
        tree(store, f"{server.url}/with-sub.git")
    assert "not allowed" in caught.value.what
    assert not (tmp_path / "ran").exists()
    assert names(tree(store, f"{server.url}/with-sub.git?submodules=false")) == [
        ".gitmodules",
        "lib",
        "top.txt",
    ]


def test_what_a_killed_git_left_does_no_harm(store: Store, server: GitServer) -> None:
    place = tree(store, f"{server.url}/main.git#light")
    objects = place.parent.parent / "objects.git"
    for name in ("shallow.lock", "config.lock", "objects.part"):
        (objects / name).touch()
    (objects.parent / "objects.part").mkdir()
    (objects / "objects/pack/tmp_pack_x").write_bytes(b"half")
    assert "three.txt" in names(tree(store, f"{server.url}/main.git"))


def test_https_is_trusted_as_asked_and_leads_to_no_http(
    store: Store, server: GitServer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with running_git_server(tmp_path / "safe", authority.server) as safe:
        with pytest.raises(BuildError, match="certificate"):
            tree(store, f"{safe.url}/main.git")
        request = BuildRequest(None, ca_certificates=authority.certificate)
        repositories = Repositories(store, request)
        assert "three.txt" in names(repositories.tree(address(f"{safe.url}/main.git")))
        safe.redirect = server.url.removesuffix("/git")
        with pytest.raises(BuildError) as caught:
            repositories.tree(address(f"{safe.url}/sub.git"))
        assert 'Protocol "http" not supported' in caught.value.what
        assert server.asked == []


def test_ssh_needs_an_agent(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(BuildError, match="no ssh agent") as caught:
        tree(store, "git@127.0.0.1:a/b.git")
    assert "ssh-add" in caught.value.todo
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with pytest.raises(BuildError, match="Connection refused"):
        tree(store, "ssh://git@127.0.0.1:1/b.git")


def test_ssh_takes_the_agents_key_and_speaks_to_known_hosts_only(
    store: Store, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_ssh(tmp_path / "ssh") as ssh:
        url = f"ssh://root@127.0.0.1:{ssh.port}{server.root}/git/with-sub.git"
        monkeypatch.setenv("SSH_AUTH_SOCK", str(ssh.agent))
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(BuildError, match="Host key verification failed") as caught:
            tree(store, url)
        assert "known_hosts" in caught.value.todo
        ssh.know(tmp_path)
        assert names(tree(store, url) / "lib/sub") == ["deep", "part.txt"]
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "none"))
        with pytest.raises(BuildError, match="Permission denied") as caught:
            tree(store, url)
        assert "ssh-add" in caught.value.todo


def test_without_git_the_error_says_so(
    store: Store, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BuildError, match="no git on this machine"):
        tree(store, f"{server.url}/main.git")


def test_pruning_removes_repositories_that_nobody_used(store: Store, server: GitServer) -> None:
    old = tree(store, f"{server.url}/main.git")
    new = tree(store, f"{server.url}/sub.git")
    os.utime(old.parent.parent, (0, 0))
    prune(store)
    assert not old.exists()
    assert new.exists()
    prune(store, older_than=None)
    assert not new.exists()


def test_offline_a_commit_that_is_here_is_taken_and_nothing_else(
    store: Store, server: GitServer
) -> None:
    commit = run(server.root / "git/sub.git", "git rev-parse HEAD").strip()
    first = tree(store, f"{server.url}/sub.git#{commit}")
    asked = len(server.asked)
    quiet = Repositories(store, BuildRequest(None, offline=True))
    assert quiet.tree(address(f"{server.url}/sub.git#{commit}")) == first
    for other in (f"{server.url}/sub.git", f"{server.url}/main.git#{commit}"):
        with pytest.raises(OakumError, match="told to stay offline"):
            quiet.tree(address(other))
    assert len(server.asked) == asked
