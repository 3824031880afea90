"""Entries into answers, in order: what fails by itself costs its own row."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from leanbert.cli.inputs import Entry, Failure
from leanbert.errors import EngineError, InputError

__all__ = ["answered"]

_TOGETHER = 64  # entries that are answered at once where one of many fails
_NUMBER = re.compile(r"^text \d+: ")

Answered = tuple[Entry, Any]
"""An entry with its answer."""


def answered(
    entries: Iterable[Entry | Failure],
    stream: Callable[[Iterable[Any]], Iterator[Any]],
    *,
    tolerant: bool = False,
    before_drawing: Callable[[], object] = lambda: None,
) -> Iterator[Answered | Failure]:
    """Yield each entry with its answer, and each failure, in the order of ``entries``.

    Args:
        entries: drawn lazily, as ``stream`` draws its inputs.
        stream: gives the answers to inputs, lazily and in order.
        tolerant: whether an input that cannot be answered is yielded as a failure; the entries
            that were drawn with it are then answered again, a few at a time.
        before_drawing: called before each entry is drawn. All answers that were yielded until then
            have been dealt with, and the next ones are yet to be computed.

    Raises:
        InputError: an entry cannot be drawn, or an input cannot be answered; the answers before it
            are yielded first.
        EngineError: the engine failed.
    """
    feed = _Feed(entries, before_drawing, tolerant=tolerant)
    while True:
        try:
            for answer in stream(feed.inputs()):
                yield from feed.failures()
                yield feed.pending.popleft(), answer  # type: ignore[misc]  # no failure is left
            break
        except (InputError, EngineError):
            if not tolerant or not feed.pending:
                raise
        while feed.pending:
            yield from _apart([*_taken(feed.pending, _TOGETHER)], stream)
    yield from feed.failures()
    if feed.error is not None:
        raise feed.error


class _Feed:
    """Draws entries, and keeps those whose answers are yet to come."""

    def __init__(
        self,
        entries: Iterable[Entry | Failure],
        before_drawing: Callable[[], object],
        *,
        tolerant: bool,
    ) -> None:
        self.pending: deque[Entry | Failure] = deque()
        self.error: Exception | None = None
        """What drawing an entry raised: if failures are tolerated, it is raised after the answers
        to those before."""
        self._entries = iter(entries)
        self._before_drawing = before_drawing
        self._tolerant = tolerant

    def inputs(self) -> Iterator[Any]:
        """What the pipeline takes for each entry that has not failed."""
        while self.error is None:
            self._before_drawing()
            try:
                entry = next(self._entries)
            except StopIteration:
                return
            except Exception as error:
                if not self._tolerant:
                    raise
                self.error = error
                return
            self.pending.append(entry)
            if isinstance(entry, Entry):
                yield entry.given

    def failures(self) -> Iterator[Failure]:
        """The failures before the next entry that has an answer."""
        while self.pending and isinstance(self.pending[0], Failure):
            yield self.pending.popleft()  # type: ignore[misc]  # checked above


def _taken(pending: deque[Entry | Failure], most: int) -> Iterator[Entry | Failure]:
    for _ in range(min(most, len(pending))):
        yield pending.popleft()


def _apart(
    entries: Sequence[Entry | Failure], stream: Callable[[Iterable[Any]], Iterator[Any]]
) -> Iterator[Answered | Failure]:
    """Answer a few entries together, or one by one if that fails."""
    good = [entry for entry in entries if isinstance(entry, Entry)]
    try:
        answers = list(stream(entry.given for entry in good))
    except (InputError, EngineError):
        for entry in entries:
            yield entry if isinstance(entry, Failure) else _alone(entry, stream)
        return
    found = iter(answers)
    for entry in entries:
        yield entry if isinstance(entry, Failure) else (entry, next(found))


def _alone(entry: Entry, stream: Callable[[Iterable[Any]], Iterator[Any]]) -> Answered | Failure:
    try:
        [answer] = islice(stream(iter([entry.given])), 1)
    except (InputError, EngineError) as error:
        reason = _NUMBER.sub("", str(error))
        return Failure(entry.record.row, entry.record.number, reason)
    return entry, answer
