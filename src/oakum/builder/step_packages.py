"""What a step did to dpkg's database, and whether that is what its lock says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oakum.builder.lock_pins import broken_promises
from oakum.dockerfile import Instruction
from oakum.errors import LockNotKept
from oakum.packages import parse_status
from oakum.tree import ImageTree

STATUS = "var/lib/dpkg/status"
"""Where dpkg keeps what is installed."""


def packages_of_step(files: ImageTree, upper: Path) -> dict[str, str]:
    """What the step did to dpkg's database: new versions, and "" for what it removed."""
    place = upper / STATUS
    if not place.is_file() or any(one.is_symlink() for one in (place, *place.parents[:3])):
        return {}
    return changed_packages(files.read(STATUS), place.read_bytes())


def changed_packages(before: bytes | None, after: bytes) -> dict[str, str]:
    """What lies between two states of dpkg's database: new versions, and "" for what is gone."""
    old = parse_status(before) if before else {}
    new = parse_status(after)
    was = {f"{n}:{a}": p.version for (n, a), p in old.items() if p.installed}
    now = {f"{n}:{a}": p.version for (n, a), p in new.items() if p.installed}
    changed = {name: version for name, version in now.items() if was.get(name) != version}
    changed.update(dict.fromkeys(was.keys() - now.keys(), ""))
    return dict(sorted(changed.items()))


def check_lock(
    instruction: Instruction, packages: Mapping[str, str], locked: Mapping[str, str] | None
) -> None:
    """`LockNotKept` unless a step installed what its lock says."""
    broken = broken_promises(packages, locked)
    if broken:
        raise LockNotKept(
            f"line {instruction.first_line}: the step did not install what oakum.lock says: "
            + "; ".join([*broken.values()][:5]),
            "the archive has moved on, or the step's own script chooses versions: "
            "'oakum rebuild --write' raises the lock, 'oakum lock' writes it anew",
            tuple(broken),
        )
