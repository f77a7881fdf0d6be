"""The registry that all tools push to, and what it stored anew."""

from __future__ import annotations

from pathlib import Path


class Registry:
    """docker-registry's files on disk; it keeps nothing of them in memory."""

    def __init__(self, host: str, data: Path) -> None:
        self.host = host
        self._data = data

    def state(self) -> frozenset[Path]:
        """The files that are there now."""
        return frozenset(path for path in self._data.rglob("*") if path.is_file())

    def grown(self, since: frozenset[Path]) -> int:
        """Bytes of blobs that came since."""
        blobs = (path for path in self.state() - since if path.name == "data")
        return sum(path.stat().st_size for path in blobs)

    def restore(self, state: frozenset[Path]) -> None:
        """Forget everything that came since."""
        for path in self.state() - state:
            path.unlink()
        for path in sorted(self._data.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
