"""What every verb needs around it: the store, progress, errors as two lines, exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from oakum.cli.printable import printable
from oakum.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    OakumError,
    UsageError,
)

if TYPE_CHECKING:
    from oakum.progress import Progress
    from oakum.store import Store


class Settings:
    """Options that stand before the verb."""

    store: Path | None = None
    debug: bool = False


SETTINGS = Settings()
_OPEN: list[Store] = []
"""Stores that are in use."""


def complain(error: OakumError) -> None:
    """What happened and what to do, on standard error: two lines."""
    print(f"error: {printable(error.what)}", file=sys.stderr)
    print(f"hint: {printable(error.todo or _DEFAULT_HINT)}", file=sys.stderr)


_DEFAULT_HINT = "run it again with --debug to see where this comes from"


_GRACE = 1.0
"""Seconds that work in threads, such as a download, may take to notice that it is to stop."""


_TOLD = threading.Lock()
"""Held by the thread that tells why oakum ends: the main one, or the one that does not wait."""


class _Stopped(BaseException):
    """SIGINT or SIGTERM arrived."""

    def __init__(self, number: int) -> None:
        interrupted = number == signal.SIGINT
        self.exit_code = EXIT_INTERRUPTED if interrupted else EXIT_TERMINATED
        self.word = "interrupted" if interrupted else "terminated"


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    stopped = _Stopped(number)
    timer = threading.Timer(_GRACE, _leave_now, [stopped])
    timer.daemon = True
    timer.start()
    raise stopped


def _leave_now(stopped: _Stopped) -> NoReturn:
    """End although threads are still at work; the kernel ends their steps and their mounts."""
    try:
        from oakum.builder.sandbox import clean_mounts

        for store in list(_OPEN):
            # A thread may still write where this removes; the next start removes the rest.
            with suppress(Exception):
                if store.place.made is not None:
                    clean_mounts(store.place.made)
            with suppress(Exception):
                store.close()
        _tell_stopped(stopped)
    finally:
        os._exit(stopped.exit_code)


def _tell_stopped(stopped: _Stopped) -> None:
    if _TOLD.acquire(blocking=False):
        print(f"error: {stopped.word}; nothing half-made was left", file=sys.stderr, flush=True)


def _catch_signals() -> None:
    """Both signals end oakum in good order; one that the caller ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def guarded_main(run: object) -> NoReturn:
    """Call `run` and leave with the documented exit code; a traceback only with ``--debug``."""
    assert callable(run)
    _catch_signals()
    code = EXIT_FAILED
    try:
        code = int(run() or 0)
    except OakumError as error:
        if SETTINGS.debug:
            traceback.print_exc()
        complain(error)
        code = error.exit_code
    except (KeyboardInterrupt, _Stopped) as error:
        stopped = error if isinstance(error, _Stopped) else _Stopped(signal.SIGINT)
        _tell_stopped(stopped)
        code = stopped.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except Exception as error:
        if SETTINGS.debug:
            traceback.print_exc()
        kind = type(error).__name__
        print(f"error: a defect in oakum: {kind}: {printable(str(error))[:500]}", file=sys.stderr)
        print("hint: run it again with --debug and report what it prints", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code)


@contextmanager
def opened_store(*, runs_steps: bool = False) -> Iterator[Store]:
    """The store that the options name, rid of what killed processes left.

    With `runs_steps`, mounts are this process's own, and a user who is not root becomes root of a
    user namespace first.
    """
    from oakum.store import Store, default_root

    root = SETTINGS.store or default_root()
    if runs_steps:
        from oakum.builder.sandbox import clean_cgroups, enter_user_namespace, keep_mounts_private

        clean_cgroups()
        if os.geteuid() == 0:
            keep_mounts_private()
        limit = enter_user_namespace()
        if limit:
            print(f"note: {printable(limit)}", file=sys.stderr)
    with Store(root) as store:
        _OPEN.append(store)
        try:
            clean_up(store)
            yield store
        finally:
            _OPEN.remove(store)


def clean_up(store: Store) -> None:
    """Unmount and remove what a killed process left in the store."""
    abandoned = store.place.abandoned()
    if abandoned:
        from oakum.builder.sandbox import clean_mounts

        for path in abandoned:
            clean_mounts(path)
        store.clean_abandoned()


@contextmanager
def watching(mode: str = "auto", quiet: bool = False) -> Iterator[Progress]:
    """Progress on standard error: bars on a terminal, plain lines elsewhere, or nothing."""
    from oakum.cli.progress import watcher

    if mode not in ("auto", "plain", "tty", "quiet"):
        raise UsageError(f"unknown progress mode {mode!r}", "auto, plain, tty or quiet")
    with watcher("quiet" if quiet else mode) as progress:
        yield progress
