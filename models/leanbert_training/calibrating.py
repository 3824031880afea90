"""Fit the temperature and the bias of a classifier to labelled rows, and fold them in."""

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


def fit_scaling(
    logits: Floats, labels: npt.NDArray[np.int64], weights: Floats
) -> tuple[float, Floats]:
    """The temperature and the bias under which ``labels`` are most likely (arXiv 1706.04599).

    The likelihood of ``logits / temperature + bias`` has one maximum, which Newton's method finds.
    The bias takes back a preference for labels that the training rows had more often.

    *Shape:* logits ``(rows, labels)``, labels and weights ``(rows,)``; the bias ``(labels,)``.

    Args:
        logits: the answers.
        labels: the index of each row's label.
        weights: how much each row counts.

    Returns:
        The temperature, and the bias, whose values sum to zero.

    Raises:
        ValueError: there are no rows, or no temperature from 0.25 to 4 fits them: all or none of
            the answers are right.
    """
    if not len(labels):
        raise ValueError("no rows to fit a temperature on")
    rows, size = logits.shape
    shares = weights / weights.sum()
    # One parameter per column: 1 / temperature, then the bias of every label but the last.
    inputs = np.zeros((rows, size, size))
    inputs[:, :, 0] = logits
    inputs[:, : size - 1, 1:] = np.eye(size - 1)
    wanted = np.eye(size)[labels]
    found = np.array([1.0, *[0.0] * (size - 1)])
    for _ in range(50):
        chances = softmax(inputs @ found)
        gradient = np.einsum("r,rl,rlp->p", shares, chances - wanted, inputs)
        mean = np.einsum("rl,rlp->rp", chances, inputs)
        curvature = np.einsum("r,rl,rlp,rlq->pq", shares, chances, inputs, inputs)
        curvature -= np.einsum("r,rp,rq->pq", shares, mean, mean)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(size), gradient)
        found -= step * min(1.0, 1.0 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    if not 0.25 <= found[0] <= 4.0:
        raise ValueError(f"no temperature from 0.25 to 4 fits the {rows} rows")
    bias = np.array([*found[1:], 0.0])
    return 1 / float(found[0]), bias - bias.mean()


def fold_bias(model: Any, bias: Floats) -> None:
    """Add ``bias`` to the classifier's bias. Changes ``model``. *Shape:* ``(labels,)``."""
    own = model.classifier.bias.data
    own += own.new_tensor(bias)


def fold_temperature(model: Any, temperature: float) -> None:
    """Divide the classifier's weights and bias by ``temperature``. Changes ``model``."""
    model.classifier.weight.data /= temperature
    model.classifier.bias.data /= temperature
