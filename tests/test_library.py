"""``import oakum`` is the product: verbs as functions, nothing imported before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import oakum


def test_every_name_is_there() -> None:
    for name in oakum.__all__:
        assert getattr(oakum, name) is not None
    assert callable(oakum.build) and callable(oakum.scan) and callable(oakum.rebuild)
    assert set(oakum.__all__) == set(oakum._MODULES)


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, oakum; print(sorted({'httpx', 'msgspec', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_build_by_hand(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    told: list[oakum.Event] = []
    with oakum.Store(tmp_path / "store") as store:
        built = oakum.build(store, oakum.BuildRequest(tmp_path), progress=told.append)
        assert built.ran == 1 and [e.kind for e in told] == ["start", "done"]
