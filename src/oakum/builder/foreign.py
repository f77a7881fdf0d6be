"""Which platforms' programs the kernel of this machine runs."""

from __future__ import annotations

from pathlib import Path

from oakum.oci import Platform, host_platform

_HANDLERS = Path("/proc/sys/fs/binfmt_misc")
_BESIDE = {"amd64": ("386",), "arm64": ("arm",)}
"""What a processor runs besides its own."""
_QEMU = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i386",
    "mips64le": "mips64el",
    "loong64": "loongarch64",
}
"""qemu's words where they are not Go's."""


def runs_here(platform: Platform, handlers: Path = _HANDLERS) -> bool:
    """Whether steps of this platform can run: by the processor, or by a handler in binfmt_misc.

    A handler counts that the kernel keeps open (flag F), since a step's root does not have it.
    """
    here = host_platform()
    if platform.os != here.os:
        return False
    if platform.architecture in (here.architecture, *_BESIDE.get(here.architecture, ())):
        return True
    name = f"qemu-{_QEMU.get(platform.architecture, platform.architecture)}"
    try:
        said = (handlers / name).read_text()
    except OSError:
        return False
    flags = next((line for line in said.splitlines() if line.startswith("flags:")), "")
    return said.startswith("enabled") and "F" in flags.partition(":")[2]
