"""Quantize the weights of each matmul, and choose how its input is rounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from leanbert.cpu import allowed_cores
from leanbert_export.graph.final import Matmul
from leanbert_export.int8.one_core import matmuls_on_one_core
from leanbert_export.int8.ranges import (
    AFTER_GELU,
    SYMMETRIC,
    ActivationRange,
    Sample,
    choose_range,
    choose_smoothing,
)
from leanbert_export.int8.rounding import (
    Doubles,
    Floats,
    Int8,
    quantize_columns,
    quantize_compensated,
)
from leanbert_export.recipe import Int8Settings

_SMOOTHED = ("qkv", "query", "key_value", "ffn_up", "dense")
"""Kinds of matmuls that read a LayerNorm, whose outlier channels cost the most accuracy."""

_WIDE = 8192
"""Columns that are rounded at once: a whole vocabulary at once would take gigabytes."""

_AT_ONCE = 4  # matmuls; each takes up to 0.4 GB meanwhile (3,072 inputs)
_CHUNK = 512  # calibration rows at once
_SIDE = 768  # of the blocks in which their squares are summed up


@dataclass(frozen=True)
class QuantizedMatmul:
    """The numbers of one matmul in int8."""

    levels: Int8
    """The weights, *shape* ``(inputs, outputs)``."""
    scale: Floats
    """The scale of each column of weights, *shape* ``(outputs,)``."""
    range: ActivationRange
    smoothing: Floats | None
    """*Shape:* ``(inputs,)``. Each input is divided by it before the matmul; the weights are
    multiplied by it already. ``None`` if the matmul is not smoothed."""
    bias_change: Floats
    """*Shape:* ``(outputs,)``. The mean error on the calibration texts, to be added to the bias."""

    def summary(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {**asdict(self.range), "smoothed": self.smoothing is not None}


def quantize_matmuls(
    matmuls: Sequence[Matmul],
    samples: Mapping[str, Sample],
    settings: Int8Settings,
    on_matmul: Callable[[str], None] = lambda _: None,
) -> dict[str, QuantizedMatmul]:
    """Quantize each matmul; layers that share weights share the result.

    Args:
        matmuls: the matmuls of the final fp32 graph.
        samples: the rows that each matmul reads on calibration texts, by the matmul's name. A
            matmul without a sample is rounded to the nearest levels.
        settings: of the recipe.
        on_matmul: is called with the name of each matmul as its turn comes.

    Returns:
        The quantized matmuls by name, in the order of ``matmuls``.
    """
    groups: dict[str, list[Matmul]] = {}
    for matmul in matmuls:
        groups.setdefault(matmul.weight_name, []).append(matmul)
    found: dict[str, QuantizedMatmul] = {}

    def quantize(group: list[Matmul]) -> QuantizedMatmul:
        seen = [samples[matmul.name] for matmul in group if matmul.name in samples]
        sample = seen[0] if len(seen) == 1 else _joined(seen) if seen else None
        return _quantize(group[0], sample, settings, found.get(_partner(group[0]) or ""))

    # Queries that are a matmul of their own come last: each takes the smoothing of the matmul for
    # keys and values that reads the same rows, so that these are smoothed once for both.
    alone = [group for group in groups.values() if _partner(group[0]) is None]
    last = [group for group in groups.values() if _partner(group[0]) is not None]
    # Side by side, each on one core: numpy's own loops use no more, and its matmuls gain less from
    # a second core (0.7 of the time of one after the other on both cores).
    with matmuls_on_one_core() as apart:
        pool = ThreadPoolExecutor(min(_AT_ONCE, allowed_cores()) if apart else 1)
        try:
            for together in (alone, last):
                running = [pool.submit(quantize, group) for group in together]
                for group, made in zip(together, running, strict=True):
                    on_matmul(group[0].name)
                    found |= dict.fromkeys((matmul.name for matmul in group), made.result())
        finally:
            pool.shutdown(cancel_futures=True)
    return {matmul.name: found[matmul.name] for matmul in matmuls}


def _joined(samples: Sequence[Sample]) -> Sample:
    return Sample(
        np.concatenate([sample.rows for sample in samples]),
        np.concatenate([sample.first for sample in samples]),
    )


def _partner(matmul: Matmul) -> str | None:
    """Name the matmul for keys and values that reads the same rows as a separate query's matmul.

    ``None`` for every other matmul.
    """
    place, _, kind = matmul.name.rpartition(".")
    return f"{place}.key_value" if kind == "query" else None


def _quantize(
    matmul: Matmul, sample: Sample | None, settings: Int8Settings, partner: QuantizedMatmul | None
) -> QuantizedMatmul:
    weight, limit = matmul.weight, settings.limit
    unchanged = np.zeros(weight.shape[1], np.float32)
    if sample is None or not settings.per_token:
        levels, scale = quantize_columns(weight, limit)
        start = ActivationRange(AFTER_GELU if matmul.after_gelu else SYMMETRIC)
        return QuantizedMatmul(levels, scale, start, None, unchanged)
    smoothing = partner.smoothing if partner is not None else None
    few = weight[:, :: -(-weight.shape[1] // _WIDE)]  # some columns are enough for the choices
    if partner is None and (matmul.after_norm or matmul.name.rsplit(".", 1)[-1] in _SMOOTHED):
        smoothing = choose_smoothing(sample, few, limit)
    if smoothing is not None:
        weight = weight * smoothing[:, None]
        few = few * smoothing[:, None]
        sample = Sample((sample.rows / smoothing).astype(np.float16), sample.first)
    chosen = choose_range(sample, few)
    gram, means = _statistics(sample, chosen)
    parts = [
        quantize_compensated(weight[:, i : i + _WIDE], gram, limit)
        for i in range(0, weight.shape[1], _WIDE)
    ]
    levels, scale = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    # The matmul is linear, so its mean error follows from the means of the rows.
    lost, kept = means[0] @ weight, (means[1] @ levels) * scale
    return QuantizedMatmul(levels, scale, chosen, smoothing, (lost - kept).astype(np.float32))


def _statistics(sample: Sample, chosen: ActivationRange) -> tuple[Doubles, Doubles]:
    """What the rows say of a matmul, some rows at a time, so that they stay in the CPU's caches.

    *Shape:* ``(inputs, inputs)``, the sum of ``x.T @ x`` over the rounded rows ``x``; and ``(2,
    inputs)``, the means of the rows and of the rounded rows.
    """
    total, width = sample.rows.shape
    gram, sums = np.zeros((width, width)), np.zeros((2, width))
    blocks = [slice(start, start + _SIDE) for start in range(0, width, _SIDE)]
    for start in range(0, total, _CHUNK):
        rows = sample.rows[start : start + _CHUNK].astype(np.float32)
        rounded = chosen.round_trip(rows)
        # In float32, which is twice as fast and errs by far less than the damping adds. Only the
        # blocks on the diagonal and to the right of it: the matrix is symmetric.
        for i, left in enumerate(blocks):
            for right in blocks[i:]:
                gram[left, right] += rounded[:, left].T @ rounded[:, right]
        sums += rows.sum(axis=0, dtype=np.float64), rounded.sum(axis=0, dtype=np.float64)
    for i, left in enumerate(blocks):
        for right in blocks[i + 1 :]:
            gram[right, left] = gram[left, right].T
    return gram, sums / total
