"""A certificate authority of one's own, and a certificate for 127.0.0.1."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


class Authority:
    """PEM files below a directory."""

    def __init__(self, place: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl")
        self._place = place
        self.certificate = place / "ca.pem"
        self._make("ca", "-subj", "/CN=test")
        self.server = self.issue("server", "IP:127.0.0.1,DNS:localhost")

    def issue(self, name: str, names: str) -> tuple[str, str]:
        """Files of a certificate for these names, and of its key."""
        signer = ["-CA", str(self.certificate), "-CAkey", str(self._place / "ca.key")]
        return self._make(
            name, "-subj", f"/CN={name}", *signer, "-addext", f"subjectAltName={names}"
        )

    def _make(self, name: str, *words: str) -> tuple[str, str]:
        made = (str(self._place / f"{name}.pem"), str(self._place / f"{name}.key"))
        new = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command = ["openssl", "req", *new, *words, "-out", made[0], "-keyout", made[1]]
        subprocess.run(command, check=True, capture_output=True)
        return made
