"""How near an int8 model's answers are to fp32's, and a text's answers to each other.

The pure part of ``fidelity.py``: which texts share a batch, and what is said of the answers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert_bench import metrics

BATCH = 32
MARGIN = 0.1
"""Between the two best probabilities of fp32: a label that changes above it was not a coin toss."""
SEED = 0

Floats = npt.NDArray[np.float64]
Batches = list[list[int]]
Json = dict[str, Any]


def sorted_batches(lengths: Sequence[int], size: int = BATCH) -> Batches:
    """Indices of all texts, shortest first, so that a batch has next to no padding."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[start : start + size] for start in range(0, len(order), size)]


def shuffled_batches(count: int, size: int = BATCH) -> Batches:
    """Indices of all texts in a seeded order, so that a batch is padded to its longest text."""
    order = list(range(count))
    random.Random(SEED).shuffle(order)  # noqa: S311 - an order, not a secret
    return [order[start : start + size] for start in range(0, count, size)]


def margins(probabilities: Floats) -> Floats:
    """The best probability less the second best, ``(texts, labels)`` -> ``(texts,)``."""
    best = np.sort(probabilities, axis=1)
    result: Floats = best[:, -1] - best[:, -2]
    return result


def set_fidelity(
    probabilities: Floats, reference: Floats, labels: npt.NDArray[np.int64] | None
) -> Json:
    """How near a back end is to fp32 on one set.

    *Shape:* ``(texts, labels)`` twice, ``(texts,)``.
    """
    flipped = probabilities.argmax(axis=1) != reference.argmax(axis=1)
    held = margins(reference) > MARGIN
    return {
        "agreement": metrics.accuracy(probabilities, reference.argmax(axis=1)),
        **metrics.nearness(probabilities, reference),
        "accuracy": None if labels is None else metrics.accuracy(probabilities, labels),
        "flipped": int(flipped.sum()),
        "held": int(held.sum()),
        "held_flipped": int((flipped & held).sum()),
    }


def batch_invariance(ways: dict[str, Floats], reference: Floats) -> Json:
    """How much the answer to a text depends on what it is computed with.

    Args:
        ways: ``"alone"``, ``"sorted"`` and ``"shuffled"``, each ``(texts, labels)``.
        reference: fp32's, of the same shape.
    """
    every = np.stack(list(ways.values()))
    change = np.ptp(every, axis=0).max(axis=1)
    best = every.argmax(axis=2)
    flipped = (best != best[0]).any(axis=0)
    held = margins(reference) > MARGIN
    return {
        "texts": len(reference),
        "max_change": float(change.max()),
        "mean_change": float(change.mean()),
        "max_change_from_alone": {
            name: float(np.abs(found - ways["alone"]).max())
            for name, found in ways.items()
            if name != "alone"
        },
        "flipped": int(flipped.sum()),
        "held": int(held.sum()),
        "held_flipped": int((flipped & held).sum()),
    }


def cosines(vectors: Floats, reference: Floats) -> Floats:
    """Of each row with the reference's, ``(texts, width)`` twice -> ``(texts,)``."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
    result: Floats = (vectors * reference).sum(axis=1) / lengths
    return result
