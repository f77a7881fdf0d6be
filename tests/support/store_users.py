"""Other processes that use a store, for tests that kill them or run several at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WORK = """
import os, sys
from oakum.oci import Descriptor, parse_reference
from oakum.oci.image import Config, Manifest
from oakum.oci.media import OCI_CONFIG, OCI_LAYER
from oakum.store import Store

def image(store, number):
    with store.blobs.writing() as writer:
        for piece in range(40):
            writer.write(bytes([number]) * 4096)
            print("piece", flush=True)
        layer = Descriptor(OCI_LAYER, writer.commit(), writer.size)
    rootfs = {"type": "layers", "diff_ids": [layer.digest]}
    config = Config.make({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    store.blobs.put(config.raw)
    made = Manifest.make(Descriptor(OCI_CONFIG, config.digest, len(config.raw)), (layer,))
    store.blobs.put(made.raw)
    store.remember_diff_id(layer.digest, layer.digest)
    store.names.set(parse_reference(f"image:{number}"), made.descriptor())
    store.names.set(parse_reference("latest"), made.descriptor())

root, rounds = sys.argv[1], int(sys.argv[2])
for number in range(rounds):
    with Store(__import__("pathlib").Path(root)) as store:
        image(store, number)
"""

_HOLD = """
import pathlib, sys
from oakum.store import Store
with Store(pathlib.Path(sys.argv[1])) as store:
    with store.blobs.writing() as writer:
        writer.write(b"half")
        print(store.place.scratch, flush=True)
        sys.stdin.read()
"""


def _start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def working(root: Path, rounds: int) -> subprocess.Popen[str]:
    """Puts `rounds` images into the store one by one, and prints a line for every 4096 bytes."""
    return _start(_WORK, root, rounds)


def holding(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """Has half a blob written and waits for its standard input to end; its scratch directory."""
    process = _start(_HOLD, root)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    """Let a process come to its end."""
    process.communicate()
    assert process.returncode == 0
