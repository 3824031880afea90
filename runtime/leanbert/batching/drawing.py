"""An iterable that a thread of its own draws, so that one can wait for an item and give up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["DrawnAhead"]

T = TypeVar("T")


class DrawnAhead(Iterator[T]):
    """The items of an iterable, at most ``most`` of them ahead.

    The thread begins with the first item that is asked for. It is a daemon: where it waits for a
    pipe at the end of the process, nobody waits for it. What the iterable raises is raised by
    ``next`` in its turn.
    """

    def __init__(self, items: Iterable[T], most: int = 4096) -> None:
        self._items, self._most = items, most
        self._held: deque[T] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = self._closed = False
        self._error: BaseException | None = None

    def __next__(self) -> T:
        """The next item, however long it takes."""
        self.comes_within(None)
        with self._changed:
            if self._held:
                self._changed.notify_all()
                return self._held.popleft()
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def comes_within(self, seconds: float | None) -> bool:
        """Whether ``next`` has something to say within so many seconds: an item, an error, the end.

        Args:
            seconds: how long to wait; ``None`` for as long as it takes.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._draw, name="leanbert-feed", daemon=True)
            self._thread.start()
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._held) or self._ended, seconds)

    def close(self) -> None:
        """Draw nothing more once the item is there that is being drawn."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _draw(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                with self._changed:
                    self._held.append(item)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: len(self._held) < self._most or self._closed)
                    if self._closed:
                        return
        except BaseException as raised:  # noqa: BLE001 - raised by next, on the caller's thread
            error = raised
        finally:
            with self._changed:
                self._error, self._ended = error, True
                self._changed.notify_all()
            del error
