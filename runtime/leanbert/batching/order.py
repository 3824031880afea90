"""Which texts share a batch: ordered by length, cut by a budget of padded tokens.

Batches of 32 in arrival order hold twice the real tokens of news sentences; sorted by length, 1.3%
more than the real ones. A budget in tokens instead of texts keeps memory and time per batch even
between headlines and documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from leanbert.engines.batch import Ints

__all__ = ["chunks", "cut_batches"]

T = TypeVar("T")


def cut_batches(
    lengths: Sequence[int] | Ints, max_tokens: int, max_rows: int | None = None
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
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        rows = max(1, max_tokens // max(1, longest))
        stop = start + (min(rows, max_rows) if max_rows else rows)
        batches.append(order[start:stop])
        start = stop
    return batches


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of ``size`` items (the last may be shorter), drawn lazily."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
