"""Which texts share a batch: order by length, cut by a budget of padded tokens, restore.

Batches of 32 in arrival order hold twice the real tokens of news sentences; sorted by length,
1.3% more than the real ones. A budget in tokens instead of texts keeps memory and time a batch
even between headlines and documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

__all__ = ["plan_batches", "windows"]

T = TypeVar("T")


def plan_batches(
    lengths: Sequence[int], max_tokens: int, max_rows: int | None = None
) -> list[list[int]]:
    """Cut texts of the given lengths (in tokens) into batches of similar length.

    Longest first, so that the largest buffers are taken once and a progress bar speeds up rather
    than stalls. Equal lengths keep their order. A text longer than the budget is alone.

    Args:
        lengths: tokens of each text, each at least 0.
        max_tokens: largest ``rows * longest`` of a batch.
        max_rows: largest number of rows of a batch; ``None`` for no bound.

    Returns:
        Batches of indices into ``lengths``; every index stands in exactly one.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batches: list[list[int]] = []
    room = 0
    for i in order:
        if room <= 0:
            rows = max(1, max_tokens // max(1, lengths[i]))
            room = min(rows, max_rows) if max_rows else rows
            batches.append([])
        batches[-1].append(i)
        room -= 1
    return batches


def windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of ``size`` items (the last may be shorter), drawn lazily."""
    iterator = iter(items)
    while window := list(islice(iterator, size)):
        yield window
