"""The base image of the cases: busybox, some accounts, and things to change and remove."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

BASE_TIME = 1_600_000_000
"""Time of the base image's files."""
_PROGRAMS = (
    "ash awk basename cat chgrp chmod chown cp cut date dd df dirname echo egrep env expr false "
    "find getfattr grep head hostname id install ln ls md5sum mkdir mkfifo mknod mktemp mv nproc "
    "od printenv printf pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat sync "
    "tail tar tee test touch tr true truncate umask uname uniq wc which whoami xargs yes"
)
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1::/:/bin/false\napp:x:1000:1001:An App:/home/app:/bin/sh\n"
    "nobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\napp:x:1001:\nstaff:x:50:app\nnogroup:x:65534:\n",
    "data/one": "one\n",
    "data/two": "two\n",
    "data/sub/three": "three\n",
    "data/sub/deep/four": "four\n",
    "opt/tool/run": "#!/bin/sh\necho run\n",
    "opt/tool/set-user-id": "#!/bin/sh\n",
}
_MODES = {"opt/tool/run": 0o755, "opt/tool/set-user-id": 0o4755, "tmp": 0o1777, "root": 0o700}
_LINKS = {"data/link": "one", "data/dirlink": "sub", "var/run": "/run", "opt/abs": "/data/sub"}
_HARD = {"data/hard": "data/one"}
_DIRECTORIES = (
    "bin data data/sub data/sub/deep dev empty etc home home/app opt opt/tool proc root run srv "
    "sys tmp usr usr/bin var"
)


def write_base(place: Path) -> Path:
    """A context whose Dockerfile makes the image; the tar in it has the image's files."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static")
    place.mkdir(parents=True, exist_ok=True)
    (place / "Dockerfile").write_text(
        'FROM scratch\nADD base.tar /\nENV BASE=yes\nLABEL of=base\nCMD ["sh"]\n'
    )
    with tarfile.open(place / "base.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for path in _DIRECTORIES.split():
            _add(tar, path, tarfile.DIRTYPE, _MODES.get(path, 0o755))
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, Path(busybox).read_bytes())
        for name in _PROGRAMS.split():
            _add(tar, f"bin/{name}", tarfile.SYMTYPE, link="busybox")
        for path, text in _TEXTS.items():
            _add(tar, path, tarfile.REGTYPE, _MODES.get(path, 0o644), text.encode())
        for path, target in _LINKS.items():
            _add(tar, path, tarfile.SYMTYPE, link=target)
        for path, target in _HARD.items():
            _add(tar, path, tarfile.LNKTYPE, 0o644, link=target)
    return place


def _add(
    tar: tarfile.TarFile,
    path: str,
    kind: bytes,
    mode: int = 0o777,
    data: bytes = b"",
    link: str = "",
) -> None:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.mtime = kind, mode, BASE_TIME
    member.size, member.linkname = len(data), link
    if path.startswith("home/app"):
        member.uid, member.gid = 1000, 1001
    tar.addfile(member, io.BytesIO(data))
