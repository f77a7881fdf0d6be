"""buildah as a third builder of the cases."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from builder.differential.case import Case
from builder.differential.engines import Engine, oci_record
from builder.differential.record import Record


class Buildah(Engine):
    """The real one, with images of its own."""

    def __init__(self, place: Path, server: str) -> None:
        if os.geteuid() != 0 or shutil.which("buildah") is None:
            pytest.skip("needs root and buildah")
        super().__init__(place, server)
        self._call("build", "--tag=base", str(place / "base"))

    def record(self, case: Case) -> Record:
        """Build the case."""
        context = self.context(case)
        words = [word for line in case.lines("options") for word in line.split(None, 1)]
        words = [word.replace("@CONTEXT@", str(context)) for word in words]
        out = context.with_suffix(".tar")
        try:
            for name in case.named("image"):
                file = context / f"{name}.Dockerfile"
                self._call("build", f"--file={file}", f"--tag={name}", str(context))
            self._call("build", *words, "--tag=built", str(context))
            self._call("push", "--disable-compression", "built", f"oci-archive:{out}")
        except subprocess.CalledProcessError as error:
            return self.shown(Record(error=error.stderr[-500:].replace(str(context), "CONTEXT")))
        with tarfile.open(out) as tar:
            return self.shown(oci_record(tar, self.base))

    def _call(self, verb: str, *words: str) -> None:
        command = ["buildah", f"--root={self.place}/root", f"--runroot={self.place}/run", verb]
        if verb == "build":
            command += ["--isolation=chroot", "--pull-never", "--layers", "--network=host"]
        subprocess.run(
            [*command, *words], check=True, capture_output=True, text=True, errors="replace"
        )
