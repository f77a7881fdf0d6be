"""A proxy on loopback through which steps read package archives: what is known is asked for again
rather than downloaded again, and what was used is recorded.

Each step has a password of its own, by which the proxy knows whose request it is.  Requests of one
connection are answered in order and worked on side by side, since apt sends several at once.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

from oakum.repository.archive_files import ArchiveFiles
from oakum.repository.archive_session import Reply, Session, Upstream, refusal

USER = "oakum"
_CONNECTIONS = 64
_AHEAD = 32


class ArchiveProxy:
    """The server; it listens on a port of 127.0.0.1 from its first session on."""

    def __init__(self, files: ArchiveFiles, verify: Callable[[], Any]) -> None:
        self._files = files
        self._verify = verify
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._server: _Server | None = None

    @contextlib.contextmanager
    def session(self, upstream: Upstream) -> Iterator[tuple[Session, str]]:
        """A step's session, and the proxy's URL for it."""
        session = Session(self._files, upstream, self._verify)
        with self._lock:
            if self._server is None:
                self._server = _Server(self)
                threading.Thread(
                    target=self._server.serve_forever,
                    kwargs={"poll_interval": 0.05},
                    name="archive proxy",
                    daemon=True,
                ).start()
            self._sessions[session.password] = session
            port = self._server.server_address[1]
        try:
            yield session, f"http://{USER}:{session.password}@127.0.0.1:{port}"
        finally:
            with self._lock:
                del self._sessions[session.password]
            session.close()

    def find(self, header: str) -> Session | None:
        """The session that a Proxy-Authorization header speaks for."""
        kind, _, coded = header.partition(" ")
        try:
            login = base64.b64decode(coded, validate=True).decode("ascii")
        except ValueError:
            return None
        user, _, password = login.partition(":")
        with self._lock:
            session = self._sessions.get(password)
        known = session is not None and hmac.compare_digest(session.password, password)
        return session if known and kind.lower() == "basic" and user == USER else None

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, proxy: ArchiveProxy) -> None:
        self.proxy = proxy
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(("127.0.0.1", 0), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A step that goes away in the middle of an answer is nothing to speak of."""


class _Connection(BaseHTTPRequestHandler):
    """One connection: requests are read ahead, answers are written in their order."""

    protocol_version = "HTTP/1.1"
    timeout = 120
    server: _Server

    def handle(self) -> None:
        self._replies: Queue[Future[Reply] | None] = Queue(_AHEAD)
        self._broken = False
        writer = threading.Thread(target=self._write, name="archive answers", daemon=True)
        writer.start()
        try:
            super().handle()
        finally:
            self._replies.put(None)
            writer.join()

    def do_GET(self) -> None:
        session = self.server.proxy.find(self.headers.get("Proxy-Authorization", ""))
        if session is None:
            reply = Reply(407, "Who is it?", {"Proxy-Authenticate": 'Basic realm="oakum"'})
            self._answer(reply)
        elif not self.path.startswith("http://") or "@" in urlsplit(self.path).netloc:
            self._answer(refusal(501, "only plain http URLs are read here"))
        else:
            sent = {name.lower(): value for name, value in self.headers.items()}
            url = self.path.partition("#")[0]
            try:
                self._replies.put(session.pool.submit(session.reply, url, sent))
            except RuntimeError:
                self._answer(refusal(503, "the step has ended"))
        if self._broken:
            self.close_connection = True

    def _answer(self, reply: Reply) -> None:
        done: Future[Reply] = Future()
        done.set_result(reply)
        self._replies.put(done)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses takes its turn among the answers."""
        self._answer(refusal(int(code), message or explain or "not understood"))
        self.close_connection = True

    def _write(self) -> None:
        while (future := self._replies.get()) is not None:
            try:
                reply = future.result()
            except BaseException as error:
                reply = refusal(500, f"{type(error).__name__}")
            try:
                if not self._broken:
                    self._send(reply)
            except OSError:
                self._broken = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(2)
            finally:
                if reply.body is not None:
                    reply.body.close()

    def _send(self, reply: Reply) -> None:
        body, headers = reply.body, dict(reply.headers)
        chunked = body is not None and body.size is None
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif reply.status != 304:
            headers["Content-Length"] = str(body.size if body else 0)
        lines = [
            f"HTTP/1.1 {reply.status} {reply.reason}",
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        for piece in body.pieces() if body else ():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: URLs may hold what is not for logs."""
