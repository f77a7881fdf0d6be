"""A small registry in this process, on 127.0.0.1, that misbehaves when it is told to."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from oakum.oci import digest_of

Headers = dict[str, str]


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: dict[str, str]
    headers: Headers
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int = 200
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    raw: bytes | None = None
    """Send exactly this instead, and close the connection."""

    def having(self, **headers: str) -> Answer:
        """The answer with other headers (``_`` in their names stands for ``-``)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


Change = Callable[[Request, Answer], Answer]


@dataclass
class _Fault:
    pattern: re.Pattern[str]
    times: int
    change: Change | None = None
    before: Callable[[], None] | None = None
    take: int | None = None
    instead: Answer | None = None


class FaultyRegistry:
    """Blobs, manifests, tags and uploads in memory; logins; faults by path and count."""

    def __init__(self) -> None:
        self.host = ""
        self.scheme = "http"
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.tags: dict[str, list[str]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[Request] = []
        self.login: str | None = None
        """``basic`` or ``bearer``; None for none."""
        self.users: dict[str, str] = {}
        self.identity_tokens: set[str] = set()
        self.anonymous = False
        """Whether bearer tokens are given without a login."""
        self.tokens: set[str] = set()
        self.realm = ""
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()
        self._count = 0

    # What a test says.

    def change(self, pattern: str, change: Change, times: int = 1_000_000) -> None:
        """Let `change` alter the next `times` answers to ``METHOD path`` that match."""
        self._faults.append(_Fault(re.compile(pattern), times, change))

    def answer(self, pattern: str, answer: Answer, times: int = 1_000_000) -> None:
        """Give this answer and do nothing."""
        self._faults.append(_Fault(re.compile(pattern), times, instead=answer))

    def cut(self, pattern: str, after: int, times: int = 1) -> None:
        """Promise the whole body and close the connection after `after` bytes of it."""
        self.change(pattern, lambda request, right: replace(right, cut=after), times)

    def cut_upload(self, pattern: str, after: int, times: int = 1) -> None:
        """Take `after` bytes of what is sent, keep them, and close the connection."""
        self._faults.append(_Fault(re.compile(pattern), times, take=after))

    def expire(self, pattern: str, times: int = 1) -> None:
        """Forget all tokens just before a request that matches."""
        self._faults.append(_Fault(re.compile(pattern), times, before=self.tokens.clear))

    def forget_faults(self) -> None:
        """Work again."""
        self._faults.clear()

    def lines(self, pattern: str = "") -> list[str]:
        """``METHOD path`` of the requests so far that match."""
        return [r.line for r in self.requests if re.search(pattern, r.line)]

    def put_blob(self, repository: str, blob: bytes) -> None:
        self.blobs[repository, digest_of(blob)] = blob

    def put_manifest(self, repository: str, tag: str, raw: bytes, kind: str) -> None:
        for reference in (tag, digest_of(raw)):
            self.manifests[repository, reference] = (raw, kind)
        self.tags.setdefault(repository, []).append(tag)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    # What a client gets.

    def faults_of(self, line: str) -> list[_Fault]:
        with self._lock:
            found = [f for f in self._faults if f.times > 0 and f.pattern.search(line)]
            for fault in found:
                fault.times -= 1
        return found

    def right_answer(self, request: Request) -> Answer:
        """What a registry that works answers."""
        if request.path == "/token":
            return self._token(request)
        refused = self._refusal(request)
        if refused is not None:
            return refused
        if request.path == "/v2/":
            return Answer()
        for pattern, method in _ROUTES:
            match = pattern.fullmatch(request.path)
            if match:
                with self._lock:
                    answer: Answer = getattr(self, method)(request, *match.groups())
                return answer
        return _error(404, "NOT_FOUND")

    def _refusal(self, request: Request) -> Answer | None:
        given = request.headers.get("authorization", "")
        if self.login is None:
            return None
        if self.login == "basic":
            if self._user(given) is not None:
                return None
            return _error(401, "UNAUTHORIZED").having(WWW_Authenticate='Basic realm="here"')
        if given.removeprefix("Bearer ") in self.tokens:
            return None
        realm = self.realm or f"{self.url}/token"
        return _error(401, "UNAUTHORIZED").having(
            WWW_Authenticate=f'Bearer realm="{realm}",service="faulty"'
        )

    def _user(self, given: str) -> str | None:
        if not given.startswith("Basic "):
            return None
        user, _, password = base64.b64decode(given[6:]).decode().partition(":")
        return user if password and self.users.get(user) == password else None

    def _token(self, request: Request) -> Answer:
        given = request.headers.get("authorization", "")
        form = urllib.parse.parse_qs(request.body.decode())
        known = form.get("refresh_token", [""])[0] in self.identity_tokens
        if not (known or self._user(given) or (self.anonymous and not given)):
            return _error(401, "UNAUTHORIZED")
        with self._lock:
            self._count += 1
            token = f"token-{self._count}"
            self.tokens.add(token)
        return Answer(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())

    def _manifest(self, request: Request, repository: str, reference: str) -> Answer:
        if request.method == "PUT":
            kind = request.headers.get("content-type", "")
            self.put_manifest(repository, reference, request.body, kind)
            return Answer(201, {"Docker-Content-Digest": digest_of(request.body)})
        found = self.manifests.get((repository, reference))
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN")
        raw, kind = found
        return Answer(200, {"Content-Type": kind, "Docker-Content-Digest": digest_of(raw)}, raw)

    def _blob(self, request: Request, repository: str, digest: str) -> Answer:
        blob = self.blobs.get((repository, digest))
        if blob is None:
            return _error(404, "BLOB_UNKNOWN")
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        if asked is None:
            return Answer(200, {}, blob)
        start = int(asked[1])
        place = f"bytes {start}-{len(blob) - 1}/{len(blob)}"
        return Answer(206, {"Content-Range": place}, blob[start:])

    def _start(self, request: Request, repository: str) -> Answer:
        digest, other = request.query.get("mount", ""), request.query.get("from", "")
        if (other, digest) in self.blobs:
            self.blobs[repository, digest] = self.blobs[other, digest]
            return Answer(201)
        self._count += 1
        name = f"up-{self._count}"
        self.uploads[name] = bytearray()
        return Answer(202, {"Location": f"/v2/{repository}/blobs/uploads/{name}"})

    def _upload(self, request: Request, repository: str, name: str) -> Answer:
        held = self.uploads.get(name)
        if held is None:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        place = {"Location": request.path, "Range": f"0-{max(len(held) - 1, 0)}"}
        if request.method == "GET":
            return Answer(204, place)
        if request.method == "DELETE":
            del self.uploads[name]
            return Answer(204)
        asked = request.headers.get("content-range", "").partition("-")[0]
        if request.method == "PATCH" and asked != str(len(held)):
            return _error(416, "BLOB_UPLOAD_INVALID")
        held += request.body
        if request.method == "PATCH":
            return Answer(202, {**place, "Range": f"0-{len(held) - 1}"})
        del self.uploads[name]
        blob = bytes(held)
        if digest_of(blob) != request.query.get("digest"):
            return _error(400, "DIGEST_INVALID")
        self.put_blob(repository, blob)
        return Answer(201)

    def _list(self, request: Request, repository: str) -> Answer:
        tags = sorted(self.tags.get(repository, []))
        last, count = request.query.get("last", ""), int(request.query.get("n", "1000"))
        page = [tag for tag in tags if tag > last][:count]
        answer = Answer(200, {}, json.dumps({"name": repository, "tags": page}).encode())
        if page and page[-1] != tags[-1]:
            answer = answer.having(Link=f'<{request.path}?n={count}&last={page[-1]}>; rel="next"')
        return answer


_ROUTES = [
    (re.compile(r"/v2/(.+)/manifests/([^/]+)"), "_manifest"),
    (re.compile(r"/v2/(.+)/blobs/uploads/"), "_start"),
    (re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)"), "_upload"),
    (re.compile(r"/v2/(.+)/blobs/([^/]+)"), "_blob"),
    (re.compile(r"/v2/(.+)/tags/list"), "_list"),
]


def _error(status: int, code: str) -> Answer:
    body = {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FaultyRegistry

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith("http://"):
            path = "/proxied"
        faults = self.registry.faults_of(f"{self.command} {path}")
        for fault in faults:
            if fault.before:
                fault.before()
        take = next((f.take for f in faults if f.take is not None), None)
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length if take is None else min(take, length))
        request = Request(
            self.command,
            path,
            dict(urllib.parse.parse_qsl(query)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        self.registry.requests.append(request)
        if take is not None:
            held = self.registry.uploads.get(path.rpartition("/")[2])
            if held is not None:
                held += body
            self._hang_up()
            return
        answer = next((f.instead for f in faults if f.instead is not None), None)
        if answer is None:
            answer = self.registry.right_answer(request)
        for fault in faults:
            if fault.change:
                answer = fault.change(request, answer)
        self._send(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_CONNECT = _handle

    def _send(self, answer: Answer) -> None:
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            self._hang_up()
            return
        self.send_response(answer.status)
        headers = {"Content-Length": str(len(answer.body)), **answer.headers}
        if answer.status == 204:
            del headers["Content-Length"]
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None or int(headers.get("Content-Length", 0)) != len(answer.body):
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return


@contextmanager
def running_faulty(certificate: tuple[str, str] | None = None) -> Iterator[FaultyRegistry]:
    """A registry that works until it is told otherwise; over https with (certificate, key)."""
    registry = FaultyRegistry()
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        registry.scheme = "https"
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
