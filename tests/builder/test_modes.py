"""``--chmod``: what the letters mean, by chmod(1) itself."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oakum.builder.modes import parse_mode
from oakum.errors import BuildError

WHO = st.sampled_from(["u", "g", "o", "a", "ug", "go", "ugo"])
WHAT = st.text("rwxX", max_size=3) | st.sampled_from(["u", "g", "o"])
CLAUSE = st.tuples(WHO, st.sampled_from("+-="), WHAT).map("".join)
CLAUSES = st.lists(CLAUSE, min_size=1, max_size=3).map(",".join)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(text=CLAUSES, mode=st.integers(0, 0o777), directory=st.booleans())
def test_letters_mean_what_chmod_makes_of_them(
    tmp_path: Path, text: str, mode: int, directory: bool
) -> None:
    path = tmp_path / ("directory" if directory else "file")
    path.mkdir(exist_ok=True) if directory else path.touch()
    path.chmod(mode)
    subprocess.run(["chmod", "--", text, str(path)], check=True)
    assert parse_mode(text).apply(mode, directory) == stat.S_IMODE(path.stat().st_mode)


def test_octal_digits_are_the_mode() -> None:
    assert parse_mode("4755").apply(0o600, False) == 0o4755


@pytest.mark.parametrize("text", ["foo", "888", "17777", "u=rwz", "u", "", "u+r,"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match="invalid"):
        parse_mode(text)
