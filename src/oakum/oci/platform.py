"""Platforms: ``os/architecture[/variant]`` (OCI image spec, "Platform Variants")."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import msgspec

from oakum.errors import UsageError

_PART = re.compile(r"[a-z0-9_.-]+")
"""What containerd takes as a part of a platform."""
_MACHINES = {
    "x86_64": ("amd64", None),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", None),
    "i386": ("386", None),
    "ppc64le": ("ppc64le", None),
    "s390x": ("s390x", None),
    "riscv64": ("riscv64", None),
    "loongarch64": ("loong64", None),
}
_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "i386": "386",
}
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7"}
_DEBIAN = {
    ("amd64", None): "amd64",
    ("arm64", "v8"): "arm64",
    ("arm", "v7"): "armhf",
    ("arm", "v6"): "armel",
    ("arm", "v5"): "armel",
    ("386", None): "i386",
    ("ppc64le", None): "ppc64el",
    ("s390x", None): "s390x",
    ("riscv64", None): "riscv64",
    ("mips64le", None): "mips64el",
    ("loong64", None): "loong64",
}


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an image runs on."""

    architecture: str
    """Go's name of the processor: amd64, arm64, arm, 386 …"""
    os: str = "linux"
    """Operating system."""
    variant: str | None = None
    """Variant of the processor, such as v7."""

    def __str__(self) -> str:
        parts = [self.os, self.architecture]
        if (self.variant and _DEFAULT_VARIANTS.get(self.architecture) != self.variant) or (
            self.architecture == "arm" and self.variant
        ):
            parts.append(self.variant)
        return "/".join(parts)

    def normalised(self) -> Platform:
        """The same platform with its default variant filled in."""
        arch = _ALIASES.get(self.architecture, self.architecture)
        return Platform(arch, self.os, self.variant or _DEFAULT_VARIANTS.get(arch))

    def matches(self, other: Platform) -> bool:
        """Whether both name the same platform once defaults are filled in."""
        return self.normalised() == other.normalised()

    def debian_architecture(self) -> str:
        """dpkg's name for the architecture (Debian policy 5.6.8)."""
        full = self.normalised()
        return _DEBIAN.get((full.architecture, full.variant), full.architecture)


def parse_platform(text: str) -> Platform:
    """The platform that ``os/arch[/variant]`` or ``arch`` names; `UsageError` if it is neither."""
    parts = text.strip().lower().split("/")
    if not all(_PART.fullmatch(part) for part in parts):
        parts = []
    if len(parts) == 1 and parts[0]:
        return Platform(parts[0]).normalised()
    if len(parts) in (2, 3) and all(parts):
        return Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else None).normalised()
    raise UsageError(f"not a platform: {text!r}", "write os/architecture, such as linux/amd64")


def host_platform() -> Platform:
    """The platform of this machine."""
    machine = os.uname().machine
    arch, variant = _MACHINES.get(machine, (machine, None))
    return Platform(arch, "linux", variant)


def choose(wanted: Platform, offered: Sequence[Platform | None]) -> int | None:
    """Index of the platform in `offered` that `wanted` runs best, or None.

    An exact match wins; otherwise an arm machine takes the highest lower variant of its
    architecture, as containerd's matcher does.
    """
    want = wanted.normalised()
    best: tuple[str, int] | None = None
    for number, offer in enumerate(offered):
        if offer is None:
            continue
        have = offer.normalised()
        if have == want:
            return number
        same = (have.os, have.architecture) == (want.os, want.architecture)
        if same and want.architecture == "arm":
            rank = have.variant or ""
            if rank <= (want.variant or "") and (best is None or rank > best[0]):
                best = (rank, number)
        elif same and have.variant is None and best is None:
            best = ("", number)
    return best[1] if best else None
