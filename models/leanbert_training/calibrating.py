"""Fit the temperature of a classifier to labelled rows, and fold it into the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def softmax(logits: npt.ArrayLike) -> Floats:
    """Probabilities along the last axis."""
    values = np.asarray(logits, dtype=np.float64)
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    result: Floats = values / values.sum(axis=-1, keepdims=True)
    return result


def negative_log_likelihood(logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of ``labels``, in nats.

    *Shape:* logits ``(rows, labels)``, labels ``(rows,)``.
    """
    chosen = softmax(logits)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def divergence(reference: npt.ArrayLike, found: npt.ArrayLike) -> float:
    """Mean Kullback-Leibler divergence of ``found`` from ``reference`` over the rows, in nats.

    *Shape:* ``(rows, labels)`` both.
    """
    p, q = (np.maximum(np.asarray(one, dtype=np.float64), 1e-9) for one in (reference, found))
    return float((p * np.log(p / q)).sum(axis=-1).mean())


def fit_temperature(logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    """The temperature from 0.25 to 4 under which ``labels`` are most likely (arXiv 1706.04599).

    As a function of ``1 / T``, the likelihood of ``logits / T`` has one maximum, which
    golden-section search finds.

    *Shape:* logits ``(rows, labels)``, labels ``(rows,)``.

    Raises:
        ValueError: there are no rows.
    """
    if not len(labels):
        raise ValueError("no rows to fit a temperature on")
    low, high = 0.25, 4.0  # bounds of 1 / T
    ratio = (5**0.5 - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(logits * left, labels) < negative_log_likelihood(
            logits * right, labels
        ):
            high = right
        else:
            low = left
    return 2 / (low + high)


def fold_temperature(model: Any, temperature: float) -> None:
    """Divide the classifier's weights and bias by ``temperature``. Changes ``model``."""
    model.classifier.weight.data /= temperature
    model.classifier.bias.data /= temperature
