"""/etc/resolv.conf and /etc/hosts of a step, made from the machine's and never part of a layer."""

from __future__ import annotations

from pathlib import Path

from oakum.builder.sandbox.step import Step

RESOLV_CONF = Path("/etc/resolv.conf")
UPSTREAM = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved keeps the servers behind its stub."""
LOOPBACK = "127.0.0.1"


def resolv_conf(*, loopback_reachable: bool) -> bytes:
    """The machine's resolver configuration.

    A server on a loopback address (systemd-resolved's 127.0.0.53) answers in the machine's own
    network only; elsewhere the servers behind it are named instead.
    """
    text = _read(RESOLV_CONF)
    if loopback_reachable:
        return text
    if not _servers(text):
        text = _read(UPSTREAM) if UPSTREAM.exists() else text
    kept = [line for line in text.splitlines(keepends=True) if not _is_loopback(line)]
    return b"".join(kept)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_loopback(line: bytes) -> bool:
    fields = line.split()
    return fields[:1] == [b"nameserver"] and fields[1:2] != [] and _local(fields[1])


def _local(address: bytes) -> bool:
    return address.startswith(b"127.") or address == b"::1"


def _servers(text: bytes) -> list[bytes]:
    lines = (line.split() for line in text.splitlines())
    named = [fields[1] for fields in lines if fields[:1] == [b"nameserver"] and len(fields) > 1]
    return [address for address in named if not _local(address)]


def hosts(step: Step) -> bytes:
    """The step's /etc/hosts: itself and the names that were asked for."""
    lines = [
        f"{LOOPBACK}\tlocalhost {step.hostname}",
        "::1\tlocalhost ip6-localhost ip6-loopback",
    ]
    for name, address in step.add_hosts:
        lines.append(f"{LOOPBACK if address == 'host-gateway' else address}\t{name}")
    return "".join(line + "\n" for line in lines).encode()
