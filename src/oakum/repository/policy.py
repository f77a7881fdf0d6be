"""Which version apt would choose: the rules of apt's pkgPolicy (apt-pkg/policy.cc)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oakum.errors import RepositoryError
from oakum.repository.preferences import (
    INSTALLED,
    NEVER,
    Pin,
    Shelf,
    covers,
    fits,
    on_shelf,
    shelf_priorities,
)
from oakum.repository.versions import version_key


class Offer(msgspec.Struct, frozen=True):
    """One version of a package, and the indexes that have it."""

    version: str
    source: str
    source_version: str
    shelves: tuple[int, ...]
    """Positions of its indexes; none for a version that is only installed."""
    installed: bool = False


class Policy:
    """An image's pins, applied to the indexes of its sources."""

    def __init__(self, pins: Sequence[Pin], shelves: Sequence[Shelf], native: str) -> None:
        self._shelves = [*shelves, INSTALLED]
        self._pins = [pin for pin in pins if pin.package]
        self._native = native
        self._priorities = shelf_priorities(pins, self._shelves)

    def priority(self, offer: Offer, package: str, architecture: str) -> int:
        """apt's priority of a version; `architecture` is the native one for ``all``."""
        places = [*offer.shelves, len(self._shelves) - 1] if offer.installed else offer.shelves
        if not self._pins:
            return max((self._priorities[at] for at in places), default=0)
        shelves = [self._shelves[at] for at in places]
        for pin in self._pins:
            if not covers(pin, package, offer.source, architecture, self._native):
                continue
            if fits(pin, offer.version, offer.source_version, shelves):
                if any(self._priorities[at] != NEVER for at in places):
                    return pin.priority
                break
        return max((self._priorities[at] for at in places), default=0)

    def choose(
        self, offers: Sequence[Offer], package: str, architecture: str, installed: str | None
    ) -> tuple[Offer, int] | None:
        """The version that apt would install, with its priority; `offers` come newest first."""
        best, best_priority = None, -1
        for offer in offers:
            priority = self.priority(offer, package, architecture)
            if priority == 0 or priority <= best_priority:
                continue
            older = installed is not None and version_key(offer.version) < version_key(installed)
            if older and priority < 1000:
                continue
            best, best_priority = offer, priority
        return None if best is None else (best, best_priority)


def check_default_release(pins: Sequence[Pin], shelves: Sequence[Shelf]) -> None:
    """apt refuses to work with an ``APT::Default-Release`` that no source offers; so does this."""
    if not pins or pins[0].package or pins[0].priority != 990 or "=" in pins[0].data:
        return
    pin = pins[0]
    if pin.data != "now" and not any(on_shelf(pin, shelf) for shelf in shelves):
        raise RepositoryError(
            f"the image's APT::Default-Release is {pin.data!r}, which none of its sources offers",
            "apt refuses this too; correct the option or the sources in the image",
        )
