"""Real runs of ``python -m oakum`` as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What ``--format json`` wrote."""
        return json.loads(self.out)

    @property
    def complaint(self) -> tuple[str, str]:
        """What happened and what to do, when that is all that was said."""
        assert "Traceback" not in self.err
        error, hint = self.err.splitlines()
        assert error.startswith("error: "), self.err
        assert hint.startswith("hint: "), self.err
        assert hint != "hint: "
        return error.removeprefix("error: "), hint.removeprefix("hint: ")


class Oakum:
    """The command with a store and a home of its own; `before` is what starts it."""

    def __init__(self, store: Path, home: Path, *before: str) -> None:
        self.store = store
        self.home = home
        self.before = before
        self.python = sys.executable

    def environment(self, **more: str) -> dict[str, str]:
        """The machine's environment without what would change a run."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.lower() not in PROXIES and not name.startswith(("OAKUM_", "NO_COLOR"))
        }
        own = {"OAKUM_STORE": str(self.store), "HOME": str(self.home), "COLUMNS": "100"}
        own["TMPDIR"] = str(self.home)
        return {**kept, **own, "DOCKER_CONFIG": str(self.home), **more}

    def start(
        self, *words: str | Path, stdin: int = subprocess.DEVNULL, **env: str
    ) -> subprocess.Popen[bytes]:
        """Start it and do not wait."""
        return subprocess.Popen(
            [*self.before, self.python, "-m", "oakum", *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(**env),
        )

    def __call__(self, *words: str | Path, **env: str) -> Done:
        """Run it to its end."""
        return finished(self.start(*words, **env))

    def piped(self, stdin: bytes, *words: str | Path, **env: str) -> Done:
        """Run it to its end with this on standard input."""
        return finished(self.start(*words, stdin=subprocess.PIPE, **env), stdin)

    def done(self, *words: str | Path, **env: str) -> Done:
        """Run it to its end, which must be a good one."""
        ended = self(*words, **env)
        assert ended.code == 0, ended.err
        return ended


def finished(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Done:
    """Wait for a run's end, two minutes at most."""
    try:
        out, err = process.communicate(stdin, timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Done(process.returncode, out.decode(), err.decode())
