"""How a verb ended: as an exit code, and for a failure as the JSON result that was asked for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oakum.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_NOT_POSSIBLE,
    EXIT_NOTHING,
    EXIT_PARTLY,
    OakumError,
    ProofFailed,
    UsageError,
)

if TYPE_CHECKING:
    from oakum.verbs import Failure

_FILES = ("result_file", "iidfile", "metadata_file")
_DETAILED = {
    "done": EXIT_DONE,
    "nothing-to-do": EXIT_NOTHING,
    "partly-done": EXIT_PARTLY,
    "not-possible": EXIT_NOT_POSSIBLE,
    "failed": EXIT_FAILED,
}


def exit_code(outcome: str, detailed: bool) -> int:
    """0 unless it failed; with ``--detailed-exit-code`` a number for every outcome."""
    if detailed:
        return _DETAILED[outcome]
    return EXIT_FAILED if outcome == "failed" else EXIT_DONE


def with_result(verb: Callable[..., int]) -> Callable[..., int]:
    """`verb`, which also tells a failure in JSON where its options ask for a JSON result.

    What it is to write at its end is tried before it begins.
    """

    @functools.wraps(verb)
    def told(*words: Any, **options: Any) -> int:
        for name in _FILES:
            if options.get(name) is not None:
                _require_place(options[name])
        try:
            return verb(*words, **options)
        except OakumError as error:
            _tell(error, options.get("format_"), options.get("result_file"))
            raise

    return told


def _require_place(file: Path) -> None:
    """`UsageError` where no file can be made."""
    try:
        directory, place = file.is_dir(), file.resolve().parent
        there = place.is_dir()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"cannot write {str(file)[:200]}: {error}", "name another file") from error
    if directory:
        raise UsageError(f"cannot write {file}: it is a directory", "name a file")
    if not there:
        raise UsageError(f"cannot write {file}: there is no directory {place}", "make it")


def _tell(error: OakumError, format_: str | None, file: Path | None) -> None:
    if format_ != "json" and file is None:
        return
    from oakum.cli.output import show_json, write_result

    document = failure(error)
    with contextlib.suppress(OakumError):
        write_result(file, document)
    if format_ == "json":
        show_json(document)


def failure(error: OakumError) -> Failure:
    """The JSON result of a verb that failed."""
    from oakum.verbs import Failure, Proof

    result = error.result if isinstance(error, ProofFailed) else None
    return Failure(
        outcome="failed",
        exit_code=error.exit_code,
        error=error.what,
        hint=error.todo,
        proof=result if isinstance(result, Proof) else None,
        reproducibility=result if isinstance(result, tuple) else (),
    )
