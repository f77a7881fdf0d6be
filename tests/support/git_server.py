"""Git repositories that are always the same, and a server of them: smart HTTP by git's own CGI."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_BACKEND = "/usr/lib/git-core/git-http-backend"
_TIME = "1600000000 +0000"
TOKEN = "token-of-the-private-repository"
_SUB = """
echo part > part.txt; mkdir deep; echo deep > deep/file
git add . && git commit -qm part
"""
_MAIN = """
echo one > one.txt; mkdir -p docs/api src .github
echo api > docs/api/index; echo docs > docs/README; echo code > src/code; echo ci > .github/ci
echo '#!/bin/sh' > run.sh; chmod 755 run.sh; ln -s one.txt link; ln -s /etc/passwd out
ln -s docs to-docs; printf 'src/*\\n!src/code\\none.txt\\n' > .dockerignore
printf 'FROM base\\nCOPY . /all/\\n' > Dockerfile
printf 'FROM base\\nCOPY README /r\\n' > docs/Dockerfile
printf 'FROM base\\nCOPY src /other\\n' > src/Other
ln -s /etc/passwd src/Passwd
git add . && git commit -qm first && git tag light
echo two > two.txt; git rm -q .github/ci; git add . && git commit -qm second
git tag -am annotated v2
git checkout -qb feature/x HEAD~1; echo x > x.txt; git add . && git commit -qm x
git checkout -q main; echo three > three.txt; git add . && git commit -qm third
git update-ref refs/pull/1/head HEAD~1
"""
_WITH_SUB = """
echo top > top.txt; git submodule -q add ../sub.git lib/sub
git add . && git commit -qm with
"""


def make_repositories(place: Path) -> None:
    """``main.git``, ``sub.git``, ``with-sub.git`` and ``private.git`` below ``place/git``.

    ``plain.git`` is ``main.git`` for servers that only hand out files.
    """
    if shutil.which("git") is None or not Path(_BACKEND).exists():
        pytest.skip("needs git")
    root = place / "git"
    _make(root, "sub", _SUB)
    _make(root, "main", _MAIN)
    _make(root, "with-sub", _WITH_SUB)
    for name in ("private", "plain"):
        shutil.copytree(root / "main.git", root / f"{name}.git")


def _make(root: Path, name: str, script: str) -> None:
    work = root / f".{name}"
    work.mkdir(parents=True)
    run(work, "git init -qb main .")
    if ".git" in script:
        run(work, f"git remote add origin {root}/{name}.git")
    run(work, script)
    run(root, f"git clone -q --mirror .{name} {name}.git && rm -rf .{name}")
    config = "git config http.uploadpack true && git update-server-info"
    run(root / f"{name}.git", f"{config} && git config remote.origin.url x")


def run(place: Path, script: str) -> str:
    """Run a script in a repository; every commit is made by the same person at the same time."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "GIT_TEMPLATE_DIR": "",
    }
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "A", f"GIT_{who}_EMAIL": "a@b.c", f"GIT_{who}_DATE": _TIME}
    done = subprocess.run(
        ["sh", "-euc", f"umask 022\n{script}"], cwd=place, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def answer(handler: BaseHTTPRequestHandler, root: Path) -> None:
    """Answer a request for ``/git/…`` as a web server with git's CGI does."""
    path, _, query = handler.path.partition("?")
    if path.startswith("/git/private.git") and not _allowed(handler):
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="git"')
        handler.end_headers()
        return
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root / "git"),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "PATH_INFO": path.removeprefix("/git"),
        "QUERY_STRING": query,
        "REQUEST_METHOD": handler.command,
        "CONTENT_TYPE": handler.headers.get("Content-Type") or "",
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding") or "",
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol") or "",
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run([_BACKEND], env=env, input=body, capture_output=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
    handler.send_response(int(fields.pop("Status", "200 OK").split()[0]))
    for name, value in fields.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _allowed(handler: BaseHTTPRequestHandler) -> bool:
    given = handler.headers.get("Authorization") or ""
    login = f"x-access-token:{TOKEN}"
    return given.lower() == f"basic {base64.b64encode(login.encode()).decode()}".lower()


class GitServer(ThreadingHTTPServer):
    """A server of the repositories that remembers what it was asked, and what git then ran as."""

    daemon_threads = True

    def __init__(self, place: Path, certificate: tuple[str, str] | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.root = place
        self.asked: list[str] = []
        self.commands: list[bytes] = []
        self.redirect = ""
        make_repositories(place)

    @property
    def url(self) -> str:
        """Where the repositories are."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/git"

    def change(self, name: str, script: str) -> None:
        """Commit more to a repository."""
        repository = self.root / "git" / f"{name}.git"
        work = self.root / "work"
        run(self.root, f"git clone -q {repository} work")
        run(work, f"{script}\ngit push -q --force --tags {repository} HEAD:main")
        shutil.rmtree(work)


class _Handler(BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(f"{self.path} {self.headers.get('Authorization') or ''}")
        server.commands += _commands()
        if server.redirect:
            self.send_response(301)
            self.send_header("Location", server.redirect + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        answer(self, server.root)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def _commands() -> list[bytes]:
    """The command lines of this machine, which every user of it can read."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


@contextmanager
def running_git_server(
    place: Path, certificate: tuple[str, str] | None = None
) -> Iterator[GitServer]:
    """A git server on 127.0.0.1, with a certificate (and its key) at https."""
    place.mkdir(parents=True, exist_ok=True)
    with GitServer(place, certificate) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
