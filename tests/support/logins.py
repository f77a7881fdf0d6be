"""One user, a secret, and the files and programs that docker keeps logins in."""

from __future__ import annotations

import base64
import json
from pathlib import Path

SECRET = "s3cret-pass-word"
HASHED = "$2b$05$abcdefghijklmnopqrstuuCY0HKBMXoPuDRqJ8QoGhdNRz.1jPsC."
"""The secret as ``htpasswd -B`` would write it."""
USER = "alice"


def auth(user: str = USER, password: str = SECRET) -> dict[str, str]:
    """What ``docker login`` writes."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def configure(place: Path, **document: object) -> None:
    (place / "config.json").write_text(json.dumps(document))


def helper(place: Path, name: str, script: str) -> None:
    """A credential helper on PATH."""
    program = place / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
