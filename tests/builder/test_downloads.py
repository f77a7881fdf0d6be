"""What ADD and contexts take from http(s) addresses: asked again, checked, never downgraded."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from oakum.builder import BuildRequest, Secret
from oakum.builder.downloads import Downloads, file_name
from oakum.errors import BuildError, OakumError
from oakum.store import Store
from support.authority import Authority
from support.search import files_with

BODY = b"body\n"
SECRET = "secret-of-the-web"


class Web(ThreadingHTTPServer):
    """Answers everything with one body; ``/to/ADDRESS`` leads to that address."""

    daemon_threads = True

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.closed = False
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        marks = [self.headers.get(name) or "" for name in ("If-None-Match", "Authorization")]
        self.server.asked.append((self.path, *marks))  # type: ignore[arg-type]
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if marks[0]:
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(401 if self.path == "/closed" and not marks[1] else 200)
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server."""
    with Web() as server:
        yield server
        server.shutdown()


def fetched(store: Store, url: str, checksum: str | None = None, **more: object) -> bytes:
    downloads = Downloads(store, BuildRequest(None, **more))  # type: ignore[arg-type]
    return downloads.path(downloads.fetch(url, checksum)).read_bytes()


def test_the_server_is_asked_whether_it_changed(store: Store, web: Web) -> None:
    assert fetched(store, f"{web.url}/f") == BODY
    assert fetched(store, f"{web.url}/f") == BODY
    assert [mark for _, mark, _ in web.asked] == ["", '"one"']


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_checksums_of_every_algorithm_hold(store: Store, web: Web, algorithm: str) -> None:
    right = f"{algorithm}:{hashlib.new(algorithm, BODY).hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}"
    assert fetched(store, f"{web.url}/f", right) == BODY
    with pytest.raises(BuildError, match="digest mismatch"):
        fetched(store, f"{web.url}/f", wrong)


def test_a_file_with_its_checksum_is_not_asked_for_again(store: Store, web: Web) -> None:
    checksum = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    assert fetched(store, f"{web.url}/f", checksum) == BODY
    web.asked.clear()
    assert fetched(store, f"{web.url}/f", checksum) == BODY
    assert web.asked == []


@pytest.mark.parametrize("checksum", ["sha256:12", "md5:" + "0" * 32, "sha512:" + "0" * 64, "x"])
def test_what_is_no_checksum_is_refused(store: Store, web: Web, checksum: str) -> None:
    with pytest.raises(BuildError, match="invalid checksum"):
        fetched(store, f"{web.url}/f", checksum)
    assert web.asked == []


def test_nothing_leads_from_https_to_http(store: Store, web: Web, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Web(authority.server) as safe:
        trust = {"ca_certificates": authority.certificate}
        assert fetched(store, f"{safe.url}/to/{safe.url}/f", **trust) == BODY
        assert fetched(store, f"{web.url}/to/{safe.url}/f", **trust) == BODY
        web.asked.clear()
        with pytest.raises(BuildError, match="not encrypted"):
            fetched(store, f"{safe.url}/to/{web.url}/f", **trust)
        assert web.asked == []
        with pytest.raises(OakumError, match="cannot fetch"):
            fetched(store, f"{safe.url}/f")
        safe.shutdown()


@pytest.mark.parametrize(("kind", "before"), [("TOKEN", "Bearer "), ("HEADER", "")])
def test_a_secret_goes_to_its_host_and_nowhere_else(
    store: Store, web: Web, tmp_path: Path, kind: str, before: str
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    secrets = (Secret(f"HTTP_AUTH_{kind}_127.0.0.1", tmp_path / "secret"),)
    with Web() as other:
        address = other.url.replace("127.0.0.1", "localhost")
        assert fetched(store, f"{web.url}/closed", secrets=secrets) == BODY
        assert web.asked == [("/closed", "", before + SECRET)]
        assert fetched(store, f"{web.url}/to/{address}/f", secrets=secrets) == BODY
        assert other.asked == [("/f", "", "")]
        other.shutdown()
    assert files_with(store.root, SECRET.encode()) == []


def test_a_login_in_the_address_is_not_shown(store: Store, web: Web) -> None:
    address = web.url.replace("//", "//me:pass-word@")
    assert fetched(store, f"{address}/closed") == BODY
    assert files_with(store.root, b"pass-word") == []
    for url in (f"{address}/to/", address.replace("127.0.0.1:", "127.0.0.1:1/")):
        with pytest.raises(OakumError) as caught:
            fetched(store, url)
        assert "pass-word" not in caught.value.what


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.txt", "b.txt"),
        ("https://h/a/b.txt?c=/d", "b.txt"),
        ("https://h/a/", "a"),
        ("https://h/", "__unnamed__"),
        ("https://h", "__unnamed__"),
        ("https://h/a%20b", "a b"),
        ("https://h/a%2Fb", "b"),
        ("https://h/%2e%2e", "download"),
        ("https://h/a%00", "download"),
        ("https://h/a%0ab", "download"),
        ("https://h/%ff", "\udcff"),
    ],
)
def test_the_name_of_a_file(url: str, name: str) -> None:
    assert file_name(url) == name


@pytest.mark.parametrize(
    "url", ["http://[", "http://h:x/", "http://\udcff/", "http:///", "https://"]
)
def test_an_address_that_is_none_is_an_error(store: Store, url: str) -> None:
    with pytest.raises(OakumError) as caught:
        fetched(store, url)
    assert caught.value.todo


def test_offline_nothing_is_asked(store: Store) -> None:
    server = Web()
    told = Downloads(store, BuildRequest(None)).fetch(f"{server.url}/a")
    asked = len(server.asked)
    quiet = Downloads(store, BuildRequest(None, offline=True))
    assert quiet.fetch(f"{server.url}/a") == told
    with pytest.raises(OakumError, match="told to stay offline"):
        quiet.fetch(f"{server.url}/b")
    assert len(server.asked) == asked
    server.shutdown()
