"""What unpacking makes does not take the mode that the caller's umask would give."""

from __future__ import annotations

import os
from pathlib import Path

from oakum.layer import Kind
from oakum.layer.disk import DirectoryUnpacker
from oakum.layer.tar import Header


def test_directories_that_a_layer_implies_have_mode_755(tmp_path: Path) -> None:
    owner = (os.getuid(), os.getgid())
    header = Header(b"a/b/c", Kind.FILE, 0o644, *owner, 0, 0, b"", (0, 0), None, 0)
    umask = os.umask(0o077)
    try:
        unpacker = DirectoryUnpacker(tmp_path, user_namespace=False)
        unpacker.member(header, iter(()))
        unpacker.finish()
    finally:
        os.umask(umask)
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("a", "a/b")] == [0o755, 0o755]
