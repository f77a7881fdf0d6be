"""An ssh server on 127.0.0.1 that lets one key in, and an agent that holds it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host
AuthorizedKeysFile {place}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


class Ssh:
    """Where server and agent are."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.agent = place / "agent"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def know(self, home: Path) -> None:
        """Put the server's key among those that a user knows."""
        key = (self.place / "host.pub").read_text()
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}")

    def listens(self) -> bool:
        """Whether the server is there yet."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_ssh(place: Path) -> Iterator[Ssh]:
    """The server and the agent; both end here."""
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    if not os.access(sshd, os.X_OK) or os.geteuid() != 0:
        pytest.skip("needs root and openssh-server")
    place.mkdir(parents=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)]
        subprocess.run(command, check=True)
    ssh = Ssh(place)
    (place / "config").write_text(_CONFIG.format(place=place, port=ssh.port))
    command = [sshd, "-D", "-e", "-f", str(place / "config")]
    agent = ["ssh-agent", "-D", "-a", str(ssh.agent)]
    with (place / "log").open("wb") as log:
        started = [subprocess.Popen(one, stdout=log, stderr=log) for one in (command, agent)]
    try:
        for _ in range(200):
            if ssh.listens() and ssh.agent.exists():
                break
            time.sleep(0.05)
        env = {**os.environ, "SSH_AUTH_SOCK": str(ssh.agent)}
        subprocess.run(["ssh-add", "-q", str(place / "key")], check=True, env=env)
        yield ssh
    finally:
        for process in started:
            process.terminate()
            process.wait(20)
