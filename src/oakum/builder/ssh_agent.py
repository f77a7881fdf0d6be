"""``RUN --mount=type=ssh``: an ssh agent of this machine, as far as a step may use it.

The step gets a socket of oakum's own.  What comes in is read as messages of the agent protocol
(draft-ietf-sshm-ssh-agent, sections 3 to 5), and only the two questions of a client are passed on:
which keys there are, and a signature by one.  So a step uses keys while it runs, and cannot take
them, add, remove or lock any.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from oakum.builder.request import Agent
from oakum.errors import BuildError

REQUEST_IDENTITIES = 11
SIGN_REQUEST = 13
FAILURE = b"\0\0\0\1\5"
"""SSH_AGENT_FAILURE, as a whole message."""
MAX_MESSAGE = 256 * 1024
"""Bytes of a message, as OpenSSH has it."""
MAX_TALKS = 32
"""Connections at a time."""
_PATIENCE = 10.0
"""Seconds for an agent of oakum's own to start."""


@contextlib.contextmanager
def agent_socket(agent: Agent, place: Path) -> Iterator[Path]:
    """A socket in the empty directory `place` that leads to the agent while in the context.

    `place` is in memory.  BuildError for an agent that does not answer and for keys that cannot
    be used.
    """
    with contextlib.ExitStack() as stack:
        first = agent.paths[0]
        if not first.is_socket():
            first = stack.enter_context(_agent_of_keys(agent, place))
        _check(agent, first)
        yield stack.enter_context(_relay(first, place))


def _check(agent: Agent, upstream: Path) -> None:
    try:
        _connected(upstream).close()
    except OSError as error:
        raise BuildError(
            f"the ssh agent {agent.id} does not answer at {upstream}: {error.strerror}",
            "start it, or name another one with --ssh",
        ) from error


def _connected(path: Path) -> socket.socket:
    talk = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            talk.connect(name)
    except OSError:
        talk.close()
        raise
    return talk


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the path that fits into a socket's address (108 bytes, unix(7))."""
    directory = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


@contextlib.contextmanager
def _relay(upstream: Path, place: Path) -> Iterator[Path]:
    path = place / "relay"
    with _short(path) as name:
        server = _Relay(name, upstream)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield path
    finally:
        server.shutdown()
        server.server_close()


class _Talk(socketserver.BaseRequestHandler):
    """One connection of the step: question, answer, question …"""

    server: _Relay

    def handle(self) -> None:
        with contextlib.suppress(OSError), _connected(self.server.upstream) as agent:
            while question := _message(self.request):
                if question[4] not in (REQUEST_IDENTITIES, SIGN_REQUEST):
                    self.request.sendall(FAILURE)
                    continue
                agent.sendall(question)
                self.request.sendall(_message(agent))

    def finish(self) -> None:
        self.server.slots.release()


class _Relay(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = MAX_TALKS
    block_on_close = False

    def __init__(self, path: str, upstream: Path) -> None:
        self.upstream = upstream
        self.slots = threading.Semaphore(MAX_TALKS)
        super().__init__(path, _Talk)

    def verify_request(self, request: object, client_address: object) -> bool:
        return self.slots.acquire(blocking=False)


def _message(talk: socket.socket) -> bytes:
    """The next message with its length; empty at the end, and when it is none."""
    head = _exactly(talk, 4)
    size = int.from_bytes(head, "big")
    if not 0 < size <= MAX_MESSAGE:
        return b""
    body = _exactly(talk, size)
    return head + body if body else b""


def _exactly(talk: socket.socket, size: int) -> bytes:
    pieces = b""
    while len(pieces) < size:
        piece = talk.recv(size - len(pieces))
        if not piece:
            return b""
        pieces += piece
    return pieces


@contextlib.contextmanager
def _agent_of_keys(agent: Agent, place: Path) -> Iterator[Path]:
    """An agent with these keys and no others, that dies with this thread."""
    if not (shutil.which("ssh-agent") and shutil.which("ssh-add")):
        raise BuildError(
            f"the keys of --ssh {agent.id} need ssh-agent and ssh-add",
            "install openssh-client, or name an agent's socket",
        )
    # The kernel forgets the death signal of a set-group-ID program, which Debian's ssh-agent is.
    command = ["setpriv", "--no-new-privs", "--pdeathsig", "KILL", "ssh-agent", "-D", "-a", "own"]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=place, stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        path = place / "own"
        until = time.monotonic() + _PATIENCE
        while not path.is_socket() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        _add(agent, place)
        yield path
    finally:
        process.kill()
        process.wait()


def _add(agent: Agent, place: Path) -> None:
    done = subprocess.run(
        ["ssh-add", "-q", "--", *map(str, agent.paths)],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        env={**os.environ, "SSH_AUTH_SOCK": "own", "SSH_ASKPASS_REQUIRE": "never"},
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:300] or "it wants a passphrase"
        raise BuildError(
            f"the keys of --ssh {agent.id} cannot be used: {said}",
            "name private keys without a passphrase, or an agent's socket that has them",
        )
