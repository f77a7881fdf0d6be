"""Several transfers at once: the first that fails, or an interrupt, stops the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

_LEAVE_SECONDS = 1.0


class _Stopped(Exception):
    """Another transfer failed: this one is no longer of use."""


class Stop:
    """Whether what is being done side by side should end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def now(self) -> None:
        """End it."""
        self._event.set()

    def checked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, until it should end."""
        for chunk in chunks:
            if self._event.is_set():
                raise _Stopped
            yield chunk

    @property
    def is_set(self) -> bool:
        """Whether it should."""
        return self._event.is_set()


Task = Callable[[Stop], None]


def side_by_side(tasks: Sequence[Task], jobs: int) -> None:
    """Do every task, at most `jobs` at once; raise the first failure, or what interrupts.

    A task that waits for the network cannot be ended: it is left to itself after a second, and
    ends at its next chunk or with the process.
    """
    stop = Stop()
    left = iter(tasks)
    lock = threading.Lock()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def work() -> None:
        failure: BaseException | None = None
        try:
            while not stop.is_set:
                with lock:
                    task = next(left, None)
                if task is None:
                    break
                task(stop)
        except BaseException as error:
            failure = error
            stop.now()
        ended.put(failure)

    threads = [
        threading.Thread(target=work, name="transfer", daemon=True)
        for _ in range(max(1, min(jobs, len(tasks))))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            failure = ended.get()
            if failure is not None and not isinstance(failure, _Stopped):
                raise failure
    except BaseException:
        stop.now()
        for thread in threads:
            thread.join(_LEAVE_SECONDS / len(threads))
        raise
