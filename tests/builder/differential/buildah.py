"""buildah (1.28, Debian 12's) as a third builder, and where it is known to go its own way."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest

from builder.differential.case import Case
from builder.differential.engines import Engine, oci_record
from builder.differential.record import Record

_CONSTRUCTS = {
    r"--(link|exclude|parents|unpack|checksum|keep-git-dir|network|start-interval)\b": "no flag",
    r"--chmod=[ugoa]": "takes numbers only",
    r"<<": "knows no heredocs",
    r"\$\{\w*([-+?#%/}]|:\?)": "knows only ':-' and ':+', and no empty name",
    r"(?m)^COPY (\*\.nothing|p/\*)": "a pattern that matches nothing is an error",
    r"mknod": "makes no devices in a chroot",
    r"target=[^/]|sharing=private|type=tmpfs|env=": "not with --mount",
    r"--from=\$|from=\$": "expands variables there",
    r"(?m)^SHELL": "keeps it in docker's format only",
}
_CASES = {
    "add: a tar whose members climb out": "unpacks below the destination",
    "config: a port that is none": "does not look at ports",
    "config: a port that is too large": "does not look at ports",
    "config: a protocol that does not exist": "does not look at ports",
    "config: a range that goes down": "does not look at ports",
    "config: a health check with odd durations": "no retries are a mistake",
    "config: a health check with a duration that is too short": "takes any duration",
    "copy-flags: chown to an unknown user": "an error, not root",
    "copy-flags: chown to an unknown group": "an error, not root",
    "copy-flags: chmod with a number that is too large": "takes it",
    "copy-flags: a flag given twice": "takes the last one",
    "copy: a directory inside of a directory over a file": "replaces the file",
    "copy: a file inside of a directory over a directory": "replaces the directory",
    "copy: a directory inside of a directory over a symlink to a directory": "replaces the link",
    "copy: from an image": "a directory that it makes has the time of the build",
    "copy: the whole root of a stage": "leaves the files that it mounts in a stage",
    "from: the target is a stage by number": "takes it, as oakum does",
    "from: a name that a stage may not have": "takes it",
    "from: a stage of another platform": "the image is for the platform of its FROM",
    "from: an instruction before FROM": "takes it",
    "ignore: a range that goes down, in an exception that is not needed": "breaks down",
    "layers: names that begin with a whiteout's mark": "fails",
    "mounts: a bind of something that is not there": "mounts nothing",
    "mounts: a mount over a directory hides it": "the target is gone after the step",
    "run: a step in a scratch image": "leaves /etc behind",
    "run: an empty RUN": "breaks down",
    "syntax: a line that is too long": "takes it",
    "syntax: bytes that are not UTF-8": "takes them",
    "variables: ENV with a blank name": "takes it",
    "workdir: over a file": "takes it",
}
_OWN_LABEL = "io.buildah.version"


def goes_its_own_way(case: Case) -> str:
    """Why buildah builds the case otherwise; empty when it does not."""
    if case.topic in ("git", "places"):
        return "reads repositories and contexts from elsewhere in a way of its own"
    text = "".join(case.sections.values())
    reasons = (why for pattern, why in _CONSTRUCTS.items() if re.search(pattern, text))
    return next(reasons, _CASES.get(case.id, ""))


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
            return _plain(self.shown(oci_record(tar, self.base)))

    def close(self) -> None:
        """Let go of what failed builds left mounted."""
        self._call("rm", "--all")
        subprocess.run(["umount", "--lazy", f"{self.room}/root/overlay"], capture_output=True)

    def _call(self, verb: str, *words: str) -> None:
        command = ["buildah", f"--root={self.room}/root", f"--runroot={self.room}/run", verb]
        if verb == "build":
            command += ["--isolation=chroot", "--pull-never", "--layers", "--network=host"]
        subprocess.run(
            [*command, *words], check=True, capture_output=True, text=True, errors="replace"
        )


def _plain(record: Record) -> Record:
    """The record without the label that buildah gives an image which stands on nothing, and with
    the working directory that it leaves out there."""
    config = {"WorkingDir": "/", **record.config}
    labels = {k: v for k, v in (config.pop("Labels", None) or {}).items() if k != _OWN_LABEL}
    if labels:
        config["Labels"] = labels
    return msgspec.structs.replace(record, config=config)
