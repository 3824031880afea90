"""From logits to scores: softmax, sigmoid, pooling. numpy only, float32 in and out."""

from __future__ import annotations

from typing import Any

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

    *Shape:* any -> the same; each slice of the last axis sums to 1.
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


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


def mean_pool(hidden: Floats, attention_mask: npt.NDArray[Any]) -> Floats:
    """Mean over the real tokens of each text, as sentence-transformers pools.

    *Shape:* ``(batch_size, seq_len, width)``, ``(batch_size, seq_len)`` ->
    ``(batch_size, width)``.
    """
    mask = attention_mask.astype(np.float32)[:, :, None]
    result: Floats = (hidden * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1e-9)
    return result


def max_pool(hidden: Floats, attention_mask: npt.NDArray[Any]) -> Floats:
    """The largest value of each dimension over the real tokens of each text.

    *Shape:* ``(batch_size, seq_len, width)``, ``(batch_size, seq_len)`` ->
    ``(batch_size, width)``.
    """
    masked = np.where(attention_mask[:, :, None] != 0, hidden, np.float32(-np.inf))
    result: Floats = masked.max(axis=1)
    return result


def cls_pool(hidden: Floats) -> Floats:
    """The first token's vector of each text.

    *Shape:* ``(batch_size, seq_len, width)`` -> ``(batch_size, width)``.
    """
    return hidden[:, 0]


def l2_normalize(vectors: Floats) -> Floats:
    """Scale vectors to length 1; a zero vector stays zero (torch's ``normalize``, eps 1e-12).

    *Shape:* ``(..., width)`` -> the same.
    """
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Floats = vectors / np.maximum(norm, np.float32(1e-12))
    return result
