"""A TCP relay on 127.0.0.1 in front of a real server, which can cut what passes through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay:
    """Where it listens, and when it cuts."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._cuts: list[tuple[bytes, int]] = []
        self.received = 0
        """Bytes that clients sent."""

    def cut_after(self, size: int, start: bytes = b"") -> None:
        """Cut a connection once, `size` bytes after a client sent a request with this start."""
        with self._lock:
            self._cuts.append((start, size))

    def serve(self) -> None:
        """Accept until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        back = threading.Thread(target=self._back, args=(server, client), daemon=True)
        back.start()
        left: int | None = None
        with suppress(OSError):
            while data := client.recv(1 << 16):
                self.received += len(data)
                left = self._left(data) if left is None else left
                if left is not None and len(data) >= left:
                    server.sendall(data[:left])
                    break
                left = left - len(data) if left is not None else None
                server.sendall(data)
        for end in (server, client):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        back.join(10)
        server.close()
        client.close()

    def _left(self, data: bytes) -> int | None:
        with self._lock:
            for cut in self._cuts:
                if data.startswith(cut[0]):
                    self._cuts.remove(cut)
                    return cut[1]
        return None

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_relay(target: str) -> Iterator[Relay]:
    """A relay to ``host:port``."""
    relay = Relay(target)
    thread = threading.Thread(target=relay.serve)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
