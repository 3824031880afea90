"""Threads that compute groups of jobs, and give each group's results in order.

This module knows nothing of models: a job is any callable. Threads live as long as one call:
starting one takes about 0.15 ms, a batch tens of milliseconds. So no thread idles, is inherited by
a fork, or has to be pickled.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from leanbert.errors import EngineError
from leanbert.leaving import when_leaving

__all__ = ["in_order"]

R = TypeVar("R")

_AHEAD = 2  # groups held at once: one that is waited for, and the next


def in_order(
    groups: Iterable[Sequence[Callable[[], R]]],
    workers: int,
    keeps_up: Callable[[], bool] = lambda: True,
) -> Generator[list[R], None, None]:
    """Yield the results of each group's jobs, in the order of the jobs.

    With one worker the caller's thread computes, one group at a time. With more, it draws the next
    group while threads compute this one, and then waits; a single job that no other follows still
    runs on the caller. No thread outlives the iterator: closing it, dropping it or an exception
    ends them, after the jobs that run at that moment.

    Args:
        groups: drawn lazily on the caller's thread, at most one ahead of the results.
        workers: how many jobs run at once.
        keeps_up: whether the next group may be drawn before the one just drawn is waited for.

    Raises:
        Exception: what a job or ``groups`` raised, after the results of the groups before it.
        EngineError: the process was forked since the iterator began.
    """
    if workers == 1:
        for jobs in groups:
            yield [job() for job in jobs]
        return
    crew: _Crew[R] = _Crew(workers)
    held: deque[_Group[R]] = deque()
    try:
        for drawn in _or_error(groups):
            held.append(_Group(0, drawn) if isinstance(drawn, Exception) else crew.submit(drawn))
            del drawn  # the crew alone keeps the jobs alive, and drops each when it is done
            while held and len(held) >= (_AHEAD if keeps_up() else 1):
                yield crew.wait(held.popleft())
        while held:
            yield crew.wait(held.popleft())
    finally:
        crew.stop()


def _or_error(groups: Iterable[R]) -> Iterator[R | Exception]:
    """The groups, and last what drawing them raised, so that it waits for its turn."""
    try:
        yield from groups
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised in its turn
        yield error


class _Group(Generic[R]):
    """Jobs that belong together, and what came of them."""

    def __init__(self, size: int, error: BaseException | None = None) -> None:
        self.results: list[R | None] = [None] * size
        self.left = size
        self.error = error


class _Crew(Generic[R]):
    """Up to ``workers`` daemon threads on one queue of jobs, the first submitted first."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: list[threading.Thread] = []
        self._queue: deque[tuple[_Group[R], int, Callable[[], R]]] = deque()
        # Reentrant, as a garbage collection in a worker may close another's iterator.
        lock = threading.RLock()
        self._work = threading.Condition(lock)
        self._done = threading.Condition(lock)
        self._stopped = False
        self._pid = os.getpid()

    def submit(self, jobs: Sequence[Callable[[], R]]) -> _Group[R]:
        """Queue the jobs; threads start when there is more than one."""
        group: _Group[R] = _Group(len(jobs))
        with self._work:
            self._queue.extend((group, i, job) for i, job in enumerate(jobs))
            waiting = len(self._queue)
            self._work.notify(len(jobs))
        if waiting > 1 or self._threads:
            _crews.add(self)
            for _ in range(min(waiting, self._workers - len(self._threads))):
                name = f"leanbert-{len(self._threads)}"
                thread = threading.Thread(target=self._loop, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return group

    def wait(self, group: _Group[R]) -> list[R]:
        """The group's results once all are there; raises what one of its jobs raised."""
        if self._pid != os.getpid():
            raise EngineError(
                "answers that were begun before a fork cannot go on in the child; "
                "call the pipeline again there"
            )
        if not self._threads:
            while self._queue:
                self._run(*self._queue.popleft())
        with self._done:
            while group.left and group.error is None:
                self._done.wait()
        error, group.error = group.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame
        return group.results  # type: ignore[return-value]  # none is missing

    def stop(self) -> None:
        """Drop what is queued and wait for the threads; safe to repeat."""
        if self._pid != os.getpid():
            return  # the threads stayed with the parent, and the lock may be theirs
        with self._work:
            self._stopped = True
            self._queue.clear()
            self._work.notify_all()
        for thread in self._threads:
            # Ctrl-C inside start() may leave one that has not begun: it will find itself stopped.
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()

    def _loop(self) -> None:
        while True:
            with self._work:
                while not self._queue and not self._stopped:
                    self._work.wait()
                if self._stopped:
                    return
                taken = self._queue.popleft()
            self._run(*taken)
            del taken  # an idle thread keeps no texts alive

    def _run(self, group: _Group[R], index: int, job: Callable[[], R]) -> None:
        try:
            group.results[index] = job()
        except BaseException as error:  # noqa: BLE001 - raised by wait, on the caller's thread
            with self._work:
                group.error = group.error or error
                self._queue.clear()  # first in, first out: earlier groups are all under way
        with self._done:
            group.left -= 1
            # On Windows at each job, so that Ctrl-C is seen, which waits block there. Elsewhere
            # that would wake a thread for nothing, on a core that computes.
            if not group.left or group.error is not None or sys.platform == "win32":
                self._done.notify_all()


_crews: WeakSet[_Crew[Any]] = WeakSet()


def _stop_all() -> None:
    """End the threads of abandoned iterators while the interpreter is still whole."""
    for crew in list(_crews):
        crew.stop()


when_leaving(_stop_all)
