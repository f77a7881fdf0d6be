"""What options say about the steps of a build: what they may use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oakum.errors import UsageError

if TYPE_CHECKING:
    from oakum.builder import BuildRequest
    from oakum.builder.sandbox import Ulimit

_SIZE = re.compile(r"([0-9]+)([bkmg]?)b?", re.IGNORECASE)
_SET = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
_LEAST_MEMORY = 6 << 20
"""Docker's own least."""


def with_limits(
    request: BuildRequest,
    *,
    ulimits: Sequence[str] = (),
    shm_size: str | None = None,
    cgroup_parent: str | None = None,
    memory: str | None = None,
    memory_swap: str | None = None,
    cpu_shares: int | None = None,
    cpu_period: int | None = None,
    cpu_quota: int | None = None,
    cpuset_cpus: str | None = None,
    cpuset_mems: str | None = None,
    pids_limit: int | None = None,
) -> BuildRequest:
    """The build with the limits of its steps, as docker's flags of the same names give them."""
    import msgspec

    from oakum.builder.sandbox import DEFAULT_PIDS, Limits

    limits = Limits(
        memory=_memory(memory),
        memory_swap=_swap(memory, memory_swap),
        cpu_shares=cpu_shares,
        cpu_period=cpu_period,
        cpu_quota=cpu_quota,
        cpuset_cpus=_set_of("--cpuset-cpus", cpuset_cpus),
        cpuset_mems=_set_of("--cpuset-mems", cpuset_mems),
        pids=DEFAULT_PIDS if pids_limit is None else pids_limit if pids_limit > 0 else -1,
    )
    return msgspec.structs.replace(
        request,
        ulimits=tuple({one.name: one for one in map(ulimit_of, ulimits)}.values()),
        shm_size=None if shm_size is None else _bytes("--shm-size", shm_size) or None,
        cgroup_parent=_group(cgroup_parent),
        limits=limits,
    )


def ulimit_of(text: str) -> Ulimit:
    """``--ulimit NAME=SOFT[:HARD]``; -1 is unlimited; without HARD it is SOFT."""
    from oakum.builder.sandbox import Ulimit
    from oakum.builder.sandbox.limits import ULIMITS

    name, _, values = text.partition("=")
    soft, colon, hard = values.partition(":")
    if name not in ULIMITS:
        raise UsageError(f"unknown ulimit {text[:80]!r}", f"one of {', '.join(ULIMITS)}")
    try:
        low, high = int(soft), int(hard if colon else soft)
    except ValueError:
        raise UsageError(f"not a ulimit: {text[:80]!r}", "write --ulimit NAME=SOFT:HARD") from None
    if min(low, high) < -1 or max(low, high) >= 1 << 63:
        raise UsageError(f"the ulimit {text[:80]!r} is out of range", "-1 is unlimited")
    if high != -1 and (low == -1 or low > high):
        raise UsageError(f"the ulimit {text[:80]!r} is softly above its hard limit", "swap them")
    return Ulimit(name, low, high)


def _bytes(option: str, text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{option} {text[:80]!r} is no size", "write it as in 64m or 1g")
    return int(match[1]) << 10 * "bkmg".index(match[2].lower() or "b")


def _memory(text: str | None) -> int | None:
    if text is None:
        return None
    size = _bytes("--memory", text)
    if 0 < size < _LEAST_MEMORY:
        raise UsageError(f"--memory {text} is too little for any step", "6m is the least")
    return size or None


def _swap(memory: str | None, text: str | None) -> int | None:
    if text is None:
        return None
    limit = _memory(memory)
    if limit is None:
        raise UsageError("--memory-swap needs --memory", "it counts memory and swap together")
    swap = -1 if text == "-1" else _bytes("--memory-swap", text)
    if 0 < swap < limit:
        raise UsageError(
            "--memory-swap is less than --memory", "it counts memory and swap together"
        )
    return swap or None


def _set_of(option: str, text: str | None) -> str:
    if text and not _SET.fullmatch(text):
        raise UsageError(f"{option} {text[:80]!r} is no list", "write it as in 0-3 or 0,1")
    return text or ""


def _group(name: str | None) -> str | None:
    if name and (".." in name.split("/") or "\0" in name):
        raise UsageError(f"no control group can be called {name[:80]!r}", "name it without ..")
    return name or None
