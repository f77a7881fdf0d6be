"""What was decoded of records a moment ago, for as long as their files are the same."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any

_Identity = tuple[int, int, int]


class Memo:
    """Decoded values, the least recently used of which make room for others; safe to share."""

    def __init__(self, most: int) -> None:
        """`most` is the sum of weights that is kept at most."""
        self._most = most
        self._weight = 0
        self._kept: OrderedDict[tuple[str, str], tuple[_Identity, int, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], info: os.stat_result) -> Any | None:
        """The value of `key`, if it was made from the file that `info` tells of."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] != _identity(info):
                return None
            self._kept.move_to_end(key)
            return found[2]

    def put(self, key: tuple[str, str], info: os.stat_result, weight: int, value: object) -> None:
        """Keep a value that was made from that file, unless it alone is too heavy."""
        with self._lock:
            old = self._kept.pop(key, None)
            self._weight -= old[1] if old else 0
            if weight > self._most:
                return
            self._kept[key] = _identity(info), weight, value
            self._weight += weight
            while self._weight > self._most:
                self._weight -= self._kept.popitem(last=False)[1][1]

    def renew(self, key: tuple[str, str], before: os.stat_result, after: os.stat_result) -> None:
        """The file of `key` got another time, and nothing else, between the two."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found[0] == _identity(before):
                self._kept[key] = _identity(after), found[1], found[2]


def _identity(info: os.stat_result) -> _Identity:
    return info.st_ino, info.st_size, info.st_mtime_ns
