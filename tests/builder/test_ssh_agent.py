"""The socket that a step gets in the place of an agent's passes on two questions and no more."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oakum.builder import Agent
from oakum.builder.ssh_agent import FAILURE, MAX_TALKS, agent_socket
from oakum.errors import BuildError

IDENTITIES = b"\0\0\0\5\x0c\0\0\0\0"
"""The answer of an agent without keys."""


class Recorder:
    """An agent that knows nothing and remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.asked: list[bytes] = []
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                talk, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(talk,), daemon=True).start()

    def _answer(self, talk: socket.socket) -> None:
        while question := talk.recv(1024):
            self.asked.append(question)
            talk.sendall(IDENTITIES)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "sock")
    yield made
    made.socket.close()


@pytest.fixture
def relay(recorder: Recorder, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / ("deep" * 40)
    place.mkdir()
    with agent_socket(Agent("default", (recorder.path,)), place) as path:
        yield path


def connected(path: Path) -> socket.socket:
    directory = os.open(path.parent, os.O_PATH)
    talk = socket.socket(socket.AF_UNIX)
    talk.settimeout(10)
    talk.connect(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)
    return talk


def asked(talk: socket.socket, message: bytes) -> bytes:
    talk.sendall(len(message).to_bytes(4, "big") + message)
    return talk.recv(1024)


def test_questions_for_keys_and_signatures_are_passed_on(recorder: Recorder, relay: Path) -> None:
    with connected(relay) as talk:
        assert asked(talk, b"\x0b") == IDENTITIES
        assert asked(talk, b"\x0dsign") == IDENTITIES
    assert recorder.asked == [b"\0\0\0\1\x0b", b"\0\0\0\5\x0dsign"]


def test_everything_else_fails_without_reaching_the_agent(recorder: Recorder, relay: Path) -> None:
    with connected(relay) as talk:
        for kind in set(range(256)) - {11, 13}:
            assert asked(talk, bytes([kind]) + b"more") == FAILURE
    assert recorder.asked == []


@pytest.mark.parametrize("head", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\4\0\1"])
def test_what_is_no_message_ends_the_talk(recorder: Recorder, relay: Path, head: bytes) -> None:
    with connected(relay) as talk:
        talk.sendall(head)
        assert talk.recv(1) == b""
    assert recorder.asked == []


def test_there_are_so_many_talks_at_a_time(relay: Path) -> None:
    talks = [connected(relay) for _ in range(MAX_TALKS)]
    assert all(asked(talk, b"\x0b") == IDENTITIES for talk in talks)
    with connected(relay) as refused:
        assert refused.recv(1) == b""
    for talk in talks:
        talk.close()
    for _ in range(100):
        with connected(relay) as talk:
            talk.sendall(b"\0\0\0\1\x0b")
            if talk.recv(1024) == IDENTITIES:
                return
    pytest.fail("no talk ended")


def test_an_agent_that_is_gone_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    agent = Agent("mine", (tmp_path / "left",))
    refused = pytest.raises(BuildError, match="the ssh agent mine does not answer")
    with refused, agent_socket(agent, tmp_path):
        pass
