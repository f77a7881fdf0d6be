"""Steps that try to outlive, to flood, to spy, and to break what they share with the machine."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from builder.sandbox.conftest import Box
from support.busy import LINES
from support.command import finished
from support.traces import eventually, processes_with

DEVICES = ("full", "null", "random", "tty", "urandom", "zero")


def test_the_machines_devices_stay_as_they_are(prison: Box) -> None:
    """A step's stdin and its /dev are not the machine's /dev/null, nor any other node of it."""
    before = {name: os.stat(f"/dev/{name}").st_mode for name in DEVICES}
    place = prison.context().write(
        "RUN cd /dev; for one in * /proc/self/fd/0 /proc/1/fd/0; do chmod 604 $one; done 2>&-; "
        "chmod 666 /dev/null; echo x > /dev/null && test $(head -c 3 /dev/zero | wc -c) = 3 "
        "&& test $(head -c 3 /dev/urandom | wc -c) = 3 && ! echo x > /dev/full"
    )
    try:
        prison.output(place)
        assert {name: os.stat(f"/dev/{name}").st_mode for name in DEVICES} == before
    finally:
        for name, mode in before.items():
            os.chmod(f"/dev/{name}", mode & 0o7777)


def test_nothing_of_a_step_outlives_it(prison: Box) -> None:
    """Not in another session or group, with signals ignored, nor with the step's end ignored."""
    mark = f"8{os.getpid()}"
    place = prison.context().write(
        "COPY stay /stay", "RUN sh /stay; echo ready", stay=STAY.replace("$MARK", mark)
    )
    assert "ready" in prison.output(place)
    assert processes_with(mark) == []
    assert processes_with(f"OAKUM_STORE={prison.oakum.store}") == []


STAY = """
trap '' HUP TERM INT PIPE CHLD
(setsid sh -c 'trap "" HUP TERM INT; exec 0<&- 1>&- 2>&-; sleep $MARK' &)
(setsid sh -c 'setsid sh -c "sleep $MARK" &' &)
nohup sleep $MARK >/dev/null 2>&1 &
"""


def test_no_namespace_of_a_steps_own_and_no_mount(prison: Box) -> None:
    place = prison.context().write(
        "RUN for kind in -U -Ur -m -n -p -u -i -C '-U -m'; do unshare $kind true && echo made; "
        "done 2>&1; mount -t tmpfs none /tmp 2>&1; mount --bind /bin /tmp 2>&1; "
        "umount /etc/hosts 2>&1; mount -o remount,rw /sys 2>&1; echo x > /etc/hosts; "
        "nsenter -t 1 -m true 2>&1; chroot /proc/1/root /bin/true; grep -c ' /tmp ' /proc/mounts; "
        "test ! -e /tmp/busybox"
    )
    said = prison.output(place)
    assert " made\n" not in said
    assert re.search(r"^#\d+ \d+\.\d 0$", said, re.M)


def test_the_kernel_and_its_memory_are_closed(prison: Box) -> None:
    tried = (
        "/proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches "
        "/proc/kcore /proc/kmsg /dev/mem /dev/kmsg /sys/kernel/uevent_helper /sys/power/state "
        "/sys/fs/cgroup/memory/release_agent /sys/fs/cgroup/cgroup.procs"
    )
    place = prison.context().write(
        f"RUN for file in {tried}; do test -e $file && (echo x >> $file) 2>&- && echo wrote $file; "
        "done; "
        "cat /proc/kcore /proc/kmsg /dev/mem 2>&- | head -c 1 | wc -c"
    )
    said = prison.output(place)
    assert re.findall(r"^#\d+ \d+\.\d wrote (.*)$", said, re.M) == []
    assert re.search(r"^#\d+ \d+\.\d 0$", said, re.M)


def test_stages_side_by_side_see_nothing_of_each_other(prison: Box) -> None:
    """Neither processes, nor their environments, nor secrets, nor where they work."""
    spy = (
        "sleep 0.5; cat /proc/*/environ /proc/*/cmdline /proc/*/mountinfo /dev/shm/* /tmp/* "
        "/run/secrets/* /proc/*/root/run/secrets/* /dev/mqueue/* 2>&1 | strings | cat; "
        "echo $(ls -d /proc/[0-9]* | wc -l) processes; kill -9 -1; true"
    )
    place = prison.context().write_all(
        LINES[0] + " AS base",
        *LINES[1:],
        "FROM base AS one",
        "RUN --mount=type=secret,id=a --mount=type=secret,id=b,env=B echo shared > /dev/shm/x; "
        "echo tmp-of-one > /tmp/x; sleep 1.5 && touch /one",
        "FROM base AS two",
        f"RUN {spy}",
        "FROM base",
        "COPY --from=one /one /",
        "RUN --mount=from=two,target=/two true",
    )
    values = {"A": "secret-a-71c0", "B": "secret-b-71c0"}
    words = ("--secret", "id=a,env=A", "--secret", "id=b,env=B")
    said = prison.output(place, *words, **values)
    for found in (*values.values(), "tmp-of-one", "echo shared", str(prison.oakum.store) + "/tmp"):
        assert found not in re.sub(r"^#\d+ \[.*$", "", said, flags=re.M)
    assert int(re.search(r"(\d+) processes", said)[1]) <= 6  # type: ignore[index]


def test_a_flood_that_looks_like_the_runtimes_own_words_is_a_steps_output(prison: Box) -> None:
    """It is passed on; what was held back would else take all of this machine's memory."""
    words = {"runc": "runc run failed: ", "bwrap": "bwrap: "}[prison.sandbox]
    place = prison.context().write(
        f"RUN printf '{words}' && head -c 400m /dev/zero && echo && exit 3"
    )
    limited = ("prlimit", "--as=1500000000", *prison.oakum.before)
    box = type(prison.oakum)(prison.oakum.store, prison.oakum.home, *limited)
    process = box.start("build", place, "--sandbox", prison.sandbox, "-q")
    highest = 0
    while process.poll() is None:
        highest = max(highest, *map(_memory, _family(process.pid)))
        time.sleep(0.1)
    ended = finished(process)
    assert ended.code == 1
    assert "exit code: 3" in ended.err
    assert 0 < highest < 350 * 1024


def _family(process: int) -> list[int]:
    """A process and those that came of it."""
    parents: dict[int, list[int]] = {}
    for told in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(told.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(told.parent.name))
    found = [process]
    for one in found:
        found += parents.get(one, [])
    return found


def _memory(process: int) -> int:
    """The most that a process ever had in memory, in KiB; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def test_words_of_the_runtime_from_a_step_are_shown(prison: Box) -> None:
    place = prison.context().write("RUN echo 'runc run failed: nothing'; echo 'bwrap: nothing'")
    said = prison.output(place)
    assert " runc run failed: nothing\n" in said
    assert " bwrap: nothing\n" in said


def test_a_file_without_end_is_an_error_and_not_a_layer(prison: Box) -> None:
    place = prison.context().write("RUN truncate -s 1024G /big")
    began = time.monotonic()
    ended = prison.build(place)
    assert ended.code == 1
    assert (
        "the layer is larger than 68719476736 bytes with 'big' (1099511627776 bytes)" in ended.err
    )
    assert time.monotonic() - began < 20


def test_what_a_step_may_not_ask_for_is_said_before_anything_starts(prison: Box) -> None:
    for flag in ("--security=insecure", "--device=vendor/class"):
        place = prison.context().write("RUN echo has started", f"RUN {flag} true")
        ended = prison.build(place)
        error, _ = ended.complaint
        assert f"RUN {flag.partition('=')[0]}" in error
        assert "is not built by oakum" in error
    unneeded = ("FROM scratch AS other", "RUN --device=x true", *LINES, "RUN true")
    prison.output(prison.context().write_all(*unneeded))


def test_a_cancelled_step_is_gone_with_its_secrets(prison: Box) -> None:
    """Even by ``kill -9``: what it was given was in memory only, the options of a runtime too."""
    mark = f"6{os.getpid()}"
    place = prison.context().write(
        "RUN --mount=type=secret,id=a --mount=type=secret,id=b,env=B "
        f'test -s /run/secrets/a && test -n "$B" && sleep {mark}'
    )
    values = {"A": "secret-a-d1e5", "B": "secret-b-d1e5"}
    words = ("--secret", "id=a,env=A", "--secret", "id=b,env=B", "--sandbox", prison.sandbox)
    process = prison.oakum.start("build", place, *words, "-q", **values)
    while not processes_with(f"sleep\0{mark}"):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    for pid in processes_with(f"OAKUM_STORE={prison.oakum.store}"):
        if b"oakum\0build" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, 9)
    finished(process)
    assert eventually(lambda: processes_with(mark))
    found = [
        os.path.join(directory, name)
        for directory, _, names in os.walk(prison.oakum.store)
        for name in names
        if b"-d1e5" in _content(os.path.join(directory, name))
    ]
    assert found == []


def _content(path: str) -> bytes:
    return Path(path).read_bytes() if os.path.isfile(path) and not os.path.islink(path) else b""
