"""A live feed in groups: the first input is answered at once, a fast feed in large groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TypeVar

__all__ = ["MAX_WAIT_MS", "live_groups"]

T = TypeVar("T")

MAX_WAIT_MS = 50.0
"""Milliseconds that a lazy input's group is waited for, by default."""

_GROWTH = 4


def live_groups(
    items: Iterable[T],
    size: int,
    seconds: float,
    weigh: Callable[[T], int] | None = None,
    most: int = 0,
) -> Iterator[list[T]]:
    """Groups of at most ``size`` items, drawn lazily on the caller's thread.

    The first group is one item. As long as every item comes within ``seconds``, groups grow
    fourfold; an item that took longer ends its group, and the next one is of one item again. A
    group also ends when its first item has waited for ``seconds``: while the next item is being
    drawn that is noticed of items alone that can be waited for, as those of
    :class:`leanbert.batching.drawing.DrawnAhead` can. Where items have weights by ``weigh``, a
    group ends with the item that makes it weigh ``most``.
    """
    comes_within: Callable[[float], bool] | None = getattr(items, "comes_within", None)
    iterator = iter(items)
    limit = 1
    group: list[T] = []
    weight = 0
    asked = since = monotonic()
    while True:
        if group and comes_within and not comes_within(max(0, since + seconds - asked)):
            limit = 1
            yield group
            group = []
            asked = monotonic()
            continue
        try:
            item = next(iterator)
        except StopIteration:
            break
        now = monotonic()
        slow = now - asked >= seconds
        if not group:
            since, weight = now, 0
        group.append(item)
        full = len(group) >= limit
        if weigh is not None:
            weight += weigh(item)
            full |= weight >= most
        if slow or now - since >= seconds or full:
            if slow:
                limit = 1
            elif len(group) >= limit:
                limit = min(size, limit * _GROWTH)
            yield group
            group = []
        asked = monotonic()
    if group:
        yield group
