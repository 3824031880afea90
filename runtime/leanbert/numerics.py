"""From logits to scores: softmax, sigmoid, pooling. numpy only, float32 in and out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = [
    "apply_function",
    "cls_pool",
    "is_finite",
    "l2_normalize",
    "last_pool",
    "max_pool",
    "mean_pool",
    "mean_sqrt_pool",
    "sigmoid",
    "softmax",
    "tanh",
    "weighted_mean_pool",
]

Floats = npt.NDArray[np.float32]

FUNCTIONS = ("sigmoid", "softmax", "none")
"""What a caller may have applied to logits."""

# The exponential. numpy's own gives other bits with each SIMD level, and the C library's with each
# library; what stands here is sums, products and quotients in double precision, which IEEE 754
# rounds in one way only, each a numpy call or an operation of Python's of its own, so that no
# compiler can fuse two. e^x = 2^(k / 64) e^r with |r| <= ln 2 / 128, and e^r by four terms of its
# series: relative error 4e-11, where a float32 has 6e-8. Sums are taken over whole numbers of 2^-40
# and so do not depend on their order. Few numbers take plain Python, which is faster up to _FEW.
_FEW = 32
_UNIT = float(1 << 40)
_SMALLEST = -100.0  # below it e^x is taken as 0; the normal numbers of float32 end at e^-87
_STEPS = 64
_STEPS_PER_UNIT = 92.33248261893024  # 64 / ln 2
_STEP = 0.010830424696249145  # ln 2 / 64
_THIRD_TERM = 0.16666666666666666


def _roots_of_two() -> list[float]:
    """2^(k / 64) for k in 0 to 63, from whole numbers of 2^-100."""
    root = 2 << 6400  # of 2^-6400: six square roots make it 2^(1 / 64), in units of 2^-100
    for _ in range(6):
        root = math.isqrt(root)
    powers = [1 << 100]
    while len(powers) < _STEPS:
        powers.append(powers[-1] * root >> 100)
    return [power / (1 << 100) for power in powers]


_ROOTS = _roots_of_two()
_ROOTS_ARRAY = np.array(_ROOTS)


def _exp_of_number(x: float) -> float:
    """e^x for x <= 0; the same bits as :func:`_exp`."""
    if x < _SMALLEST:
        return 0.0
    k = round(x * _STEPS_PER_UNIT)
    r = x - k * _STEP
    series = 1.0 + r * (1.0 + r * (0.5 + r * _THIRD_TERM))
    return math.ldexp(_ROOTS[k % _STEPS] * series, k // _STEPS)


def _exp(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """e^x of each element, none above 0; the same bits as :func:`_exp_of_number`."""
    kept = np.maximum(x, _SMALLEST)
    k = np.rint(kept * _STEPS_PER_UNIT)
    r = kept - k * _STEP
    series = 1.0 + r * (1.0 + r * (0.5 + r * _THIRD_TERM))
    whole = k.astype(np.int32)
    powers = np.ldexp(_ROOTS_ARRAY[whole % _STEPS] * series, whole // _STEPS)
    return np.where(x < _SMALLEST, 0.0, powers)


def _softmax_of_row(row: list[float]) -> list[float]:
    top = max(row)
    if not math.isfinite(top) or any(value != value for value in row):
        return [math.nan] * len(row)
    powers = [_exp_of_number(value - top) for value in row]
    total = sum(round(power * _UNIT) for power in powers) / _UNIT
    return [power / total for power in powers]


def _sigmoid_of_number(x: float) -> float:
    if x != x:
        return x
    power = _exp_of_number(-abs(x))
    return (1.0 if x >= 0 else power) / (1.0 + power)


def softmax(logits: Floats) -> Floats:
    """Softmax over the last axis, shifted by its maximum so that nothing overflows.

    The same logits give the same bits with every build of numpy, on every CPU and system. A slice
    with NaN or +inf, or with -inf alone, becomes NaN.

    *Shape:* any -> the same; each slice of the last axis sums to 1.
    """
    if logits.size <= _FEW:
        rows = logits.reshape(-1, logits.shape[-1]).tolist() if logits.size else []
        return np.array([_softmax_of_row(row) for row in rows], np.float32).reshape(logits.shape)
    top = logits.max(axis=-1, keepdims=True).astype(np.float64)
    sound = np.isfinite(top)
    powers = _exp(np.where(sound, logits, 0.0) - np.where(sound, top, 0.0))
    total = np.rint(powers * _UNIT).astype(np.int64).sum(axis=-1, keepdims=True)
    result: Floats = np.where(sound, powers / (total / _UNIT), np.nan).astype(np.float32)
    return result


def sigmoid(logits: Floats) -> Floats:
    """Logistic function of each element; saturates to 0 and 1 without a warning.

    The same logits give the same bits everywhere, as with :func:`softmax`.

    *Shape:* any -> the same.
    """
    if logits.size <= _FEW:
        few = [_sigmoid_of_number(value) for value in logits.ravel().tolist()]
        return np.array(few, np.float32).reshape(logits.shape)
    sound = np.where(np.isnan(logits), 0.0, logits).astype(np.float64)
    power = _exp(-np.abs(sound))
    values = np.where(sound >= 0, 1.0, power) / (1.0 + power)
    result: Floats = np.where(np.isnan(logits), np.nan, values).astype(np.float32)
    return result


def tanh(logits: Floats) -> Floats:
    """Hyperbolic tangent of each element; the same bits everywhere, as with :func:`softmax`.

    *Shape:* any -> the same.
    """
    sound = np.where(np.isnan(logits), 0.0, logits).astype(np.float64)
    power = _exp(-2.0 * np.abs(sound))
    values = np.copysign((1.0 - power) / (1.0 + power), sound)
    result: Floats = np.where(np.isnan(logits), np.nan, values).astype(np.float32)
    return result


def is_finite(values: Floats) -> bool:
    """Whether no element is NaN or infinite."""
    if values.size <= _FEW:
        return all(map(math.isfinite, values.ravel().tolist()))
    return bool(np.isfinite(values).all())


def apply_function(name: str, logits: Floats) -> Floats:
    """``"softmax"``, ``"sigmoid"``, ``"tanh"`` or ``"none"`` of the logits.

    *Shape:* any -> the same.
    """
    if name == "softmax":
        return softmax(logits)
    if name == "tanh":
        return tanh(logits)
    return sigmoid(logits) if name == "sigmoid" else logits


def mean_pool(hidden: Floats) -> Floats:
    """Mean over the tokens of one text, as sentence-transformers pools.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    result: Floats = hidden.sum(axis=0) / np.float32(max(len(hidden), 1))
    return result


def mean_sqrt_pool(hidden: Floats) -> Floats:
    """Sum over the tokens of one text, divided by the square root of their number.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    result: Floats = hidden.sum(axis=0) / np.sqrt(np.float32(max(len(hidden), 1)))
    return result


def weighted_mean_pool(hidden: Floats, first: int = 1) -> Floats:
    """Mean over the tokens of one text, the first of which counts ``first`` times, the next more.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    weights = np.arange(first, first + len(hidden), dtype=np.float32)
    result: Floats = (hidden * weights[:, None]).sum(axis=0) / np.float32(max(weights.sum(), 1))
    return result


def last_pool(hidden: Floats) -> Floats:
    """The last token's vector of one text.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.
    """
    last: Floats = hidden[-1]
    return last


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
