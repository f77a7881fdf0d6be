"""What a step can see and do: the same for every runtime, as root and as a user."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.sandbox.conftest import Box
from support.daemon import Daemon

DOCKERS = 0xA80425FB
"""The capabilities that docker gives a container, as a mask (capabilities(7))."""
MKNOD = 1 << 27

PROBE = r"""
exec 2>&1
say() { echo "== $1"; }
say status; cat /proc/self/status
say mounts; cat /proc/mounts
say processes; ls -d /proc/[0-9]* | wc -l
say unshare; unshare -m true 2>&1
say mount; mount -t tmpfs none /tmp 2>&1
say sysctl; (echo x > /proc/sys/kernel/core_pattern) 2>&1
say sysrq; (echo x > /proc/sysrq-trigger) 2>&1
say disk; mknod /tmp/disk b $DISK 2>&1; (dd if=/tmp/disk of=/tmp/copy count=1) 2>&1; rm -f /tmp/disk
say secret; cat $HOST/secret 2>&1
say socket; ls /run/docker.sock /var/run/docker.sock 2>&1
say root; ls /
say kcore; wc -c < /proc/kcore 2>&1
say resolv; cat /etc/resolv.conf
say hosts; cat /etc/hosts
say devices; ls /dev
say stdin; cat
say groups; id -G
say end
exit 0
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Path]:
    """A directory of this machine with a file that everyone may read."""
    with tempfile.TemporaryDirectory(prefix="oakum-host-") as place:
        os.chmod(place, 0o777)
        Path(place, "secret").write_text("the machine's own")
        yield Path(place)


@pytest.fixture(scope="module")
def seen(box: Box, host: Path) -> dict[str, str]:
    """What the probe printed, by section."""
    disk = os.stat("/").st_dev
    number = f"{os.major(disk)} {os.minor(disk)}"
    script = PROBE.replace("$HOST", str(host)).replace("$DISK", number)
    place = box.context("probe").write(
        "COPY probe /probe",
        "RUN sh /probe",
        "RUN --network=none echo == alone && tail -n +3 /proc/net/dev "
        "&& ls /sys/class/net 2>&-; exit 0",
        probe=script,
    )
    lines = re.findall(r"^#\d+ \d+\.\d (.*)$", box.output(place, "-t", "probe:1"), re.M)
    text = "\n".join(lines)
    parts = re.split(r"^== (\w+)\n?", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def mask(seen: dict[str, str], name: str) -> int:
    found = re.search(rf"^{name}:\s+([0-9a-f]+)$", seen["status"], re.M)
    assert found
    return int(found[1], 16)


def test_a_step_has_dockers_capabilities(box: Box, seen: dict[str, str]) -> None:
    """Where no control group guards devices, runc's steps may not make any."""
    lacking = MKNOD if box.sandbox == "runc" and box.who != "root" else 0
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert mask(seen, name) == DOCKERS & ~lacking


def test_system_calls_are_filtered(seen: dict[str, str]) -> None:
    assert mask(seen, "Seccomp") == 2
    assert "Operation not permitted" in seen["unshare"]
    assert re.search("not permitted|denied", seen["mount"])


def test_the_kernel_cannot_be_tuned(seen: dict[str, str]) -> None:
    refusal = "Read-only file system|Permission denied|nonexistent"
    assert re.search(refusal, seen["sysctl"])
    assert re.search(refusal, seen["sysrq"])


def test_a_disk_cannot_be_read_through_a_node_of_the_steps_own(seen: dict[str, str]) -> None:
    assert re.search("denied|not permitted|No such", seen["disk"])
    assert "records in" not in seen["disk"]


def test_a_step_sees_no_file_of_the_machine(box: Box, seen: dict[str, str]) -> None:
    assert "No such file" in seen["secret"]
    assert "machine's own" not in seen["secret"]
    assert seen["socket"].count("No such file") == 2
    names = {"bin", "dev", "etc", "probe", "proc", "root", "sys", "tmp"}
    assert set(seen["root"].split()) == names
    assert str(box.oakum.store) not in "".join(
        line for line in seen["mounts"].splitlines() if not line.startswith("overlay / ")
    )


def test_a_step_sees_no_process_but_its_own(seen: dict[str, str]) -> None:
    assert int(seen["processes"]) <= 4


def test_the_memory_of_the_machine_is_hidden(seen: dict[str, str]) -> None:
    assert not seen["kcore"].strip().isdigit() or int(seen["kcore"]) == 0


def test_names_are_resolved_as_on_the_machine(seen: dict[str, str]) -> None:
    assert seen["resolv"].split() == Path("/etc/resolv.conf").read_text().split()
    assert "127.0.0.1" in seen["hosts"]
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        assert re.search(rf"^\S+ {path} \S+ ro,", seen["mounts"], re.M)


def test_only_harmless_devices_are_there(seen: dict[str, str]) -> None:
    usual = "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom"
    assert set(seen["devices"].split()) <= {*usual.split(), "zero"}


def test_nothing_can_be_read_from_standard_input(seen: dict[str, str]) -> None:
    assert seen["stdin"] == ""


def test_root_of_a_step_is_in_no_further_group(seen: dict[str, str]) -> None:
    assert set(seen["groups"].split()) <= {"0"}


def test_a_step_without_a_network_sees_a_loopback_only(seen: dict[str, str]) -> None:
    names = re.findall(r"^ *(\w+):", seen["alone"], re.M)
    assert names == ["lo"]


def test_mounts_of_a_step_never_get_into_a_layer(box: Box, seen: dict[str, str]) -> None:
    listed = box.oakum.done("ls", "probe:1", "/", "-R", "--format", "json").document["files"]
    paths = {file["path"] for file in listed}
    assert "/etc/passwd" in paths
    assert not paths & {"/etc/hosts", "/etc/resolv.conf", "/run"}
    assert not [path for path in paths if path.startswith(("/proc/", "/sys/", "/dev/"))]


def test_docker_gives_a_container_the_same(box: Box, seen: dict[str, str], daemon: Daemon) -> None:
    if (box.sandbox, box.who) != ("runc", "root"):
        pytest.skip("docker runs as root")
    archive = box.place / "docker.tar"
    box.oakum.done("copy", "store:probe:1", f"docker-archive:{archive}:probe:1")
    daemon("load", "-i", str(archive))
    command = ("run", "--rm", "--network", "none", "probe:1", "cat", "/proc/self/status")
    status = {"status": daemon(*command)}
    for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp"):
        assert mask(seen, name) == mask(status, name), name
