"""The web server of the cases: a few files, with and without a date."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from builder.differential.case import OLD
from support.git_server import answer, make_repositories


class _Handler(SimpleHTTPRequestHandler):
    def send_header(self, keyword: str, value: str) -> None:
        if not (keyword == "Last-Modified" and "undated" in self.path):
            super().send_header(keyword, value)

    def end_headers(self) -> None:
        if "renamed" in self.path:
            self.send_header("Content-Disposition", 'attachment; filename="given.txt"')
        super().end_headers()

    def do_GET(self) -> None:
        if self.path.startswith("/git/plain.git/"):
            self.path = self.path.partition("?")[0]
            super().do_GET()
        elif self.path.startswith("/git/"):
            answer(self, Path(self.directory))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        answer(self, Path(self.directory))

    def log_message(self, *_: object) -> None:
        pass


def _contexts(place: Path) -> None:
    """What may be a build context: a tar, and a Dockerfile alone."""
    place.mkdir()
    files = {
        "Dockerfile": "FROM base\nCOPY . /x/\n",
        "f": "f\n",
        "s/g": "g\n",
        ".dockerignore": "f\n",
    }
    with tarfile.open(place / "tar", "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(text), OLD, 0o640
            member.uid, member.gid = 5, 6
            tar.addfile(member, io.BytesIO(text.encode()))
    (place / "Dockerfile").write_text(files["Dockerfile"])


def _tar(path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("in-archive/file")
        member.size, member.mtime, member.mode, member.uid = 3, OLD, 0o640, 7
        tar.addfile(member, io.BytesIO(b"in\n"))


@contextmanager
def serving(place: Path) -> Iterator[str]:
    """Serve the files on 127.0.0.1; gives the address."""
    for name in ("dated.txt", "undated.txt", "sub/nested.txt", "renamed"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(f"{name}\n")
    (place / "with blank.txt").write_text("blank\n")
    _tar(place / "archive.tar.gz")
    _contexts(place / "contexts")
    for path in place.rglob("*"):
        os.utime(path, (OLD, OLD))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(place)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        make_repositories(place)
        yield address
    finally:
        server.shutdown()
        server.server_close()
