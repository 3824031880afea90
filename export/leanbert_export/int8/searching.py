"""Find the candidate of least error without computing every error to its end."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["least_error"]

_NEAR = 1e-3
"""Relative. Two errors that are nearer to each other are compared by their whole sums, since the
sums over parts are made by a shorter way, which errs by about 1e-5 in float32."""


def least_error(
    candidates: int, parts: int, part: Callable[[int, int], float], whole: Callable[[int], float]
) -> int:
    """The number of the candidate of least error; of equals, the first.

    An error is a sum over parts, none of which is negative. So a candidate is given up as soon as
    its sum exceeds the least whole one: most of them after a few parts.

    Args:
        candidates: how many there are.
        parts: into how many an error is divided.
        part: gives the error of a candidate (first argument) in one of the parts (second).
        whole: gives the whole error of a candidate. It decides between those that are too near to
            each other for sums over parts.
    """
    begun = [part(number, 0) for number in range(candidates)]
    ended: dict[int, float] = {}
    least = math.inf
    for number in sorted(range(candidates), key=begun.__getitem__):
        total = begun[number]
        for i in range(1, parts):
            if total > least * (1 + _NEAR):
                break
            total += part(number, i)
        else:
            ended[number] = total
            least = min(least, total)
    if not math.isfinite(sum(begun)) or not math.isfinite(least):
        return min(range(candidates), key=whole)
    near = [number for number in sorted(ended) if ended[number] <= least * (1 + _NEAR)]
    return near[0] if len(near) == 1 else min(near, key=whole)
