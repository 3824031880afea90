"""From logits to scores: softmax, sigmoid, pooling. numpy only, float32 in and out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "apply_function",
    "cls_pool",
    "l2_normalize",
    "max_pool",
    "mean_pool",
    "sigmoid",
    "softmax",
]

Floats = npt.NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """Softmax over the last axis, shifted by its maximum so that nothing overflows.

    A row's result is the same bits alone and among others. *Shape:* any -> the same; each slice of
    the last axis sums to 1.
    """
    # The ufuncs' own reductions: the methods of arrays take twice as long for a few labels.
    largest: Floats = np.maximum.reduce(logits, axis=-1, keepdims=True)
    shifted: Floats = np.exp(logits - largest)
    total: Floats = np.add.reduce(shifted, axis=-1, keepdims=True)
    return shifted / total


def sigmoid(logits: Floats) -> Floats:
    """Logistic function of each element; saturates to 0 and 1 without a warning.

    *Shape:* any -> the same.
    """
    with np.errstate(over="ignore"):  # exp(+large) = inf, and 1 / inf is the right 0
        result: Floats = np.float32(1.0) / (np.float32(1.0) + np.exp(-logits))
    return result


def apply_function(name: str, logits: Floats) -> Floats:
    """``"softmax"``, ``"sigmoid"`` or ``"none"`` of the logits.

    *Shape:* any -> the same.
    """
    if name == "softmax":
        return softmax(logits)
    return sigmoid(logits) if name == "sigmoid" else logits


def mean_pool(hidden: Floats) -> Floats:
    """Mean over the tokens of one text, as sentence-transformers pools.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    result: Floats = hidden.sum(axis=0) / np.float32(max(len(hidden), 1))
    return result


def max_pool(hidden: Floats) -> Floats:
    """The largest value of each dimension over the tokens of one text.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    result: Floats = hidden.max(axis=0)
    return result


def cls_pool(hidden: Floats) -> Floats:
    """The first token's vector of one text.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    first: Floats = hidden[0]
    return first


def l2_normalize(vectors: Floats) -> Floats:
    """Scale vectors to length 1; a zero vector stays zero (torch's ``normalize``, eps 1e-12).

    *Shape:* ``(..., width)`` -> the same.
    """
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Floats = vectors / np.maximum(norm, np.float32(1e-12))
    return result
