"""A small signed package archive, and a web server that can be told to fail."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Key:
    """An OpenPGP key made with GnuPG; `faked` sets the clock for making and signing."""

    def __init__(self, home: Path, name: str, expires: str = "never", faked: str = "") -> None:
        home.chmod(0o700)
        self._base = ["gpg", "--homedir", str(home), "--batch", "--yes", "--quiet"]
        self._base += ["--faked-system-time", faked] if faked else []
        self._gpg("--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", expires)
        self.public = self._gpg("--armor", "--export")
        listed = self._gpg("--list-keys", "--with-colons").decode()
        lines = [line for line in listed.splitlines() if line.startswith("fpr:")]
        self.fingerprint = lines[0].split(":")[9]

    def _gpg(self, *words: str, data: bytes = b"") -> bytes:
        run = subprocess.run([*self._base, *words], input=data, capture_output=True, check=True)
        return run.stdout

    def clearsign(self, data: bytes) -> bytes:
        return self._gpg("--clearsign", data=data)

    def detach(self, data: bytes) -> bytes:
        return self._gpg("--armor", "--detach-sign", data=data)


class Server:
    """Serves a directory on 127.0.0.1."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.asked: list[str] = []
        """Paths in the order they were asked for."""
        self.ranges: list[str] = []
        self.fail: dict[str, list[int]] = {}
        """Statuses to answer with, by path, before the file is served."""
        self.cut: dict[str, list[int]] = {}
        """Bytes after which the connection is cut, by path, once each."""
        self.unchanged = 0
        """Answers 304 given."""

    def __enter__(self) -> Server:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.lstrip("/")
        self.asked.append(path)
        place = self.root / path
        status = self.fail[path].pop(0) if self.fail.get(path) else 200
        if status != 200 or not place.is_file():
            self._send(request, status if status != 200 else 404, b"", {})
            return
        body = place.read_bytes()
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            self.unchanged += 1
            self._send(request, 304, b"", {"ETag": etag})
            return
        start = 0
        wanted = request.headers.get("Range", "")
        if wanted:
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        headers = {"ETag": etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        cut = self.cut[path].pop(0) if self.cut.get(path) else None
        self._send(request, 206 if start else 200, body[start:], headers, cut)

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        cut: int | None = None,
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            request.wfile.flush()
            request.close_connection = True

    def write(self, path: str, data: bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def stanza(package: str, version: str, **more: str) -> str:
    fields = {
        "Package": package,
        "Version": version,
        "Architecture": "amd64",
        "Filename": f"pool/{package}_{version}.deb",
        "Size": "4",
        "SHA256": hashlib.sha256(b"none").hexdigest(),
    }
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


class Archive:
    """One suite; change its parts and publish it again."""

    def __init__(self, server: Server, key: Key, directory: str = "dists/stable") -> None:
        self.server = server
        self.key = key
        self.directory = directory
        self.index = "main/binary-amd64/Packages"
        self.packages = [stanza("hello", "2.0-1")]
        self.date = time.time() - 60
        self.fields = {
            "Origin": "Test",
            "Label": "Test",
            "Suite": "stable",
            "Codename": "test",
            "Architectures": "amd64",
            "Components": "main",
        }
        self.compress = {".gz": lambda data: gzip.compress(data, mtime=0)}
        self.by_hash = False

    def published_index(self) -> bytes:
        return "\n".join(self.packages).encode()

    def release(self, listed: dict[str, bytes]) -> bytes:
        fields = {**self.fields, "Date": formatdate(self.date, usegmt=True)}
        if self.by_hash:
            fields["Acquire-By-Hash"] = "yes"
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        text += "SHA256:\n"
        for path, data in listed.items():
            text += f" {hashlib.sha256(data).hexdigest()} {len(data):>8} {path}\n"
        return text.encode()

    def indexes(self) -> dict[str, bytes]:
        plain = self.published_index()
        files = {self.index: plain}
        files |= {self.index + suffix: pack(plain) for suffix, pack in self.compress.items()}
        return files

    def publish(self, *, detached: bool = False, signed: bool = True) -> None:
        files = self.indexes()
        for path, data in files.items():
            if path != self.index or not self.compress:
                self._write_index(path, data)
        release = self.release(files)
        if detached or not signed:
            self.server.write(f"{self.directory}/Release", release)
            if signed:
                self.server.write(f"{self.directory}/Release.gpg", self.key.detach(release))
        else:
            self.server.write(f"{self.directory}/InRelease", self.key.clearsign(release))

    def _write_index(self, path: str, data: bytes) -> None:
        if self.by_hash:
            folder = path.rpartition("/")[0]
            path = f"{folder}/by-hash/SHA256/{hashlib.sha256(data).hexdigest()}"
        self.server.write(f"{self.directory}/{path}", data)
