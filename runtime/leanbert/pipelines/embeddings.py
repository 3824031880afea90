"""One vector per text, as a directory of sentence-transformers makes it, and in few bits.

The pooling and the layers after it are sums and products of float32 numbers, each a numpy call of
its own and each taken over tokens or inputs in their order. So the same token vectors give the same
bits whatever the CPU, the build of numpy, the number of threads and the other texts of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.bundle import Bundle
from leanbert.bundle.sentence_transformers import SentenceModules, Step
from leanbert.bundle.tensors import MOST_TENSOR_BYTES, parse_tensors
from leanbert.errors import BundleCorruptError, InputError
from leanbert.numerics import (
    Floats,
    apply_function,
    cls_pool,
    l2_normalize,
    last_pool,
    max_pool,
    mean_pool,
    mean_sqrt_pool,
    weighted_mean_pool,
)

__all__ = ["PRECISIONS", "Embedder", "pool", "quantize_embeddings"]

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
"""What an embedding's numbers may be, as sentence-transformers names them."""

_POOLED: Mapping[str, Callable[[Floats], Floats]] = {
    "cls": cls_pool,
    "lasttoken": last_pool,
    "max": max_pool,
    "mean": mean_pool,
    "mean_sqrt_len_tokens": mean_sqrt_pool,
    "weightedmean": weighted_mean_pool,
}
_EPS = np.float32(1e-5)  # torch's of a LayerNorm, which the directory does not say
_ROWS = 64  # of a layer's weights that are multiplied at once: they stay in the cache


def pool(hidden: Floats, mode: str, skipped: int = 0) -> Floats:
    """One vector of those of a text's tokens.

    *Shape:* ``(tokens, width)`` -> ``(width,)``.

    Args:
        hidden: the tokens' vectors.
        mode: one of :data:`leanbert.bundle.sentence_transformers.POOLINGS`.
        skipped: so many tokens at the start are left out; ``"weightedmean"`` counts them.
    """
    left = hidden[skipped:]
    if not len(left):  # as sentence-transformers has it, for all but the largest of no numbers
        return hidden[0] if mode == "cls" else np.zeros_like(hidden[0])
    if mode == "weightedmean":
        return weighted_mean_pool(left, skipped + 1)
    return _POOLED[mode](left)


class Embedder:
    """The pooling of a bundle and what follows it, with the weights of its layers.

    Args:
        bundle: where the weights lie.
        modules: what the bundle says of them.

    Raises:
        BundleCorruptError: a layer's weights are missing, or have another shape.
    """

    def __init__(self, bundle: Bundle, modules: SentenceModules) -> None:
        self._pooling = modules.pooling
        self._layers = [_layer(bundle, step) for step in modules.steps]

    def embed(self, hidden: Floats, skipped: int) -> Floats:
        """A text's vector.

        *Shape:* ``(tokens, width)`` -> ``(dimensions,)``.

        Args:
            hidden: the vectors of its tokens.
            skipped: how many tokens at the start are not pooled.
        """
        pooled = [pool(hidden, mode, skipped) for mode in self._pooling]
        vector = pooled[0] if len(pooled) == 1 else np.concatenate(pooled)
        for layer in self._layers:
            vector = layer(vector)
        return vector


@dataclass(frozen=True)
class _Dense:
    """``activation(weight @ x + bias)``, plus ``x`` or its projection where it is residual."""

    columns: Floats
    """The weight's columns. *Shape:* ``(inputs, outputs)``."""
    bias: Floats | None
    activation: str
    residual: Floats | None
    """The projection's columns; empty where the input is added as it is."""

    where: Path

    def __call__(self, vector: Floats) -> Floats:
        if len(vector) != len(self.columns):
            raise BundleCorruptError(
                f"{self.where}: takes vectors of {len(self.columns)} numbers, the pooling gives "
                f"{len(vector)}; copy the model again"
            )
        found = _matmul(vector, self.columns)
        if self.bias is not None:
            found = found + self.bias
        if self.activation == "relu":
            found = np.maximum(found, np.float32(0))
        else:
            found = apply_function(self.activation, found)
        if self.residual is not None:
            found = found + (_matmul(vector, self.residual) if self.residual.size else vector)
        return found


@dataclass(frozen=True)
class _LayerNorm:
    weight: Floats
    bias: Floats

    def __call__(self, vector: Floats) -> Floats:
        centred = vector - vector.mean(dtype=np.float64).astype(np.float32)
        variance = np.square(centred).mean(dtype=np.float64).astype(np.float32)
        result: Floats = centred / np.sqrt(variance + _EPS) * self.weight + self.bias
        return result


def _matmul(vector: Floats, columns: Floats) -> Floats:
    """``vector @ columns``, summed in the order of the inputs.

    *Shape:* ``(inputs,)`` and ``(inputs, outputs)`` -> ``(outputs,)``.
    """
    found: Floats = np.zeros(columns.shape[1], np.float32)
    for start in range(0, len(vector), _ROWS):
        part = slice(start, start + _ROWS)
        found += (columns[part] * vector[part, None]).sum(axis=0)
    return found


def _layer(bundle: Bundle, step: Step) -> Callable[[Floats], Floats]:
    if step.weights is None:
        return l2_normalize
    where = bundle.path / step.weights
    data = bundle.content(step.weights, MOST_TENSOR_BYTES)
    if data is None:
        raise BundleCorruptError(
            f"{where}: missing; {step.kind} needs its weights as safetensors, which leanbert "
            "export writes"
        )
    tensors = parse_tensors(data, where)
    if step.kind == "LayerNorm":
        weight, bias = tensors.pop("norm.weight", None), tensors.pop("norm.bias", None)
        fits = weight is not None and bias is not None and weight.ndim == 1
        if not fits or weight.shape != bias.shape or tensors:  # type: ignore[union-attr]
            raise _wrong(where, step)
        return _LayerNorm(weight, bias)  # type: ignore[arg-type]  # just looked at
    return _dense(tensors, where, step)


def _dense(tensors: dict[str, Floats], where: Path, step: Step) -> _Dense:
    weight, bias = tensors.pop("linear.weight", None), tensors.pop("linear.bias", None)
    projection = tensors.pop("residual.weight", None)
    if tensors or weight is None or weight.ndim != 2 or not weight.size:
        raise _wrong(where, step)
    outputs, inputs = weight.shape
    if bias is not None and bias.shape != (outputs,):
        raise _wrong(where, step)
    projects = step.residual and inputs != outputs
    if (None if projection is None else projection.shape) != (weight.shape if projects else None):
        raise _wrong(where, step)
    residual = None
    if step.residual:
        residual = np.zeros((0, 0), np.float32) if projection is None else _transposed(projection)
    return _Dense(_transposed(weight), bias, step.activation, residual, where)


def _transposed(weight: Floats) -> Floats:
    return np.ascontiguousarray(weight.T)


def _wrong(where: Path, step: Step) -> BundleCorruptError:
    return BundleCorruptError(
        f"{where}: its tensors are not those of a {step.kind}; copy the model again"
    )


def quantize_embeddings(
    embeddings: Floats | Sequence[Sequence[float]],
    precision: str,
    ranges: npt.ArrayLike | None = None,
    calibration_embeddings: npt.ArrayLike | None = None,
) -> npt.NDArray[Any]:
    """Embeddings in few bits, the same numbers as sentence-transformers' function of this name.

    ``"int8"`` and ``"uint8"`` divide the range of each dimension into 256 steps; ``"binary"`` and
    ``"ubinary"`` keep one bit of each dimension, whether it is above 0, eight in a byte.

    *Shape:* ``(texts, dimensions)`` -> the same, or ``(texts, dimensions / 8)`` in bits.

    Args:
        embeddings: float vectors; one alone is ``(dimensions,)``.
        precision: one of :data:`PRECISIONS`.
        ranges: for int8 and uint8 the smallest and the largest value of each dimension.
            *Shape:* ``(2, dimensions)``.
        calibration_embeddings: embeddings to take the ranges from; by default ``embeddings``.

    Returns:
        float32, int8 for ``"int8"`` and ``"binary"``, uint8 for the others.

    Raises:
        InputError: the precision is unknown; or ranges are needed, and there is one embedding only
            or they do not fit.
    """
    values = np.asarray(embeddings, dtype=np.float32)
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return values
    if precision.endswith("binary"):
        bits: npt.NDArray[Any] = np.packbits(values > 0, axis=-1)
        return bits if precision == "ubinary" else (bits ^ np.uint8(128)).view(np.int8)
    if ranges is None:
        calibration = values if calibration_embeddings is None else calibration_embeddings
        ranges = _ranges(np.asarray(calibration, dtype=np.float32), precision)
    bounds = np.asarray(ranges, dtype=np.float32)
    if bounds.shape != (2, values.shape[-1]):
        raise InputError(
            f"ranges has the shape {bounds.shape}; expected (2, {values.shape[-1]}): the smallest "
            "and the largest value of each dimension"
        )
    steps = (bounds[1] - bounds[0]) / np.float32(255)
    steps[steps == 0] = 1
    places = np.clip(np.floor((values - bounds[0]) / steps), 0, 255)
    found: npt.NDArray[Any] = (
        places.astype(np.uint8) if precision == "uint8" else (places - 128).astype(np.int8)
    )
    return found


def _ranges(embeddings: Floats, precision: str) -> Floats:
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise InputError(
            f"precision={precision!r} needs the range of each dimension: give a list of texts, or "
            "ranges, or calibration_embeddings"
        )
    return np.stack((embeddings.min(axis=0), embeddings.max(axis=0)))
