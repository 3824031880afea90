"""Decide for each product how it becomes int8."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from leanbert_export.int8.matmuls import Product
from leanbert_export.int8.ranges import (
    AFTER_GELU,
    SYMMETRIC,
    ActivationRange,
    Sample,
    choose_range,
    choose_smoothing,
)
from leanbert_export.int8.rounding import Floats, Int8, quantize_columns, quantize_compensated
from leanbert_export.recipe import Int8Settings

_SMOOTHED = ("qkv", "query", "key_value", "ffn_up", "dense")
"""Products that read a LayerNorm, whose outlier channels are what hurts."""

_WIDE = 8192
"""Columns that are rounded at once: of a vocabulary all of them would take gigabytes."""


@dataclass(frozen=True)
class Plan:
    """One product in int8."""

    levels: Int8
    """*Shape:* ``(inputs, outputs)``."""
    scale: Floats
    """*Shape:* ``(outputs,)``."""
    range: ActivationRange
    smoothing: Floats | None
    """*Shape:* ``(inputs,)``: what each input is divided by first; the weights hold it."""
    bias_change: Floats
    """*Shape:* ``(outputs,)``: the mean error on calibration texts, to be added to the bias."""

    def summary(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {**asdict(self.range), "smoothed": self.smoothing is not None}


def make_plan(
    products: Sequence[Product],
    samples: Mapping[str, Sample],
    settings: Int8Settings,
    on_product: Callable[[str], None] = lambda _: None,
) -> dict[str, Plan]:
    """A plan for every product, by name; layers that share weights share a plan."""
    groups: dict[str, list[Product]] = {}
    for product in products:
        groups.setdefault(product.weight_name, []).append(product)
    plans: dict[str, Plan] = {}
    # A query of its own comes last: it takes the smoothing of the keys and values beside it, so
    # that one smoothed row serves both.
    for group in sorted(groups.values(), key=lambda group: _beside(group[0]) is not None):
        on_product(group[0].name)
        found = [samples[product.name] for product in group if product.name in samples]
        sample = found[0] if len(found) == 1 else _joined(found) if found else None
        beside = plans.get(_beside(group[0]) or "")
        plan = _plan(group[0], sample, settings, beside)
        plans |= {product.name: plan for product in group}
    return {product.name: plans[product.name] for product in products}


def _joined(samples: Sequence[Sample]) -> Sample:
    return Sample(
        np.concatenate([sample.rows for sample in samples]),
        np.concatenate([sample.first for sample in samples]),
    )


def _beside(product: Product) -> str | None:
    """The product that reads the same rows as a query of its own."""
    place, _, kind = product.name.rpartition(".")
    return f"{place}.key_value" if kind == "query" else None


def _plan(
    product: Product, sample: Sample | None, settings: Int8Settings, beside: Plan | None
) -> Plan:
    weight, limit = product.weight, settings.limit
    unchanged = np.zeros(weight.shape[1], np.float32)
    if sample is None or not settings.per_token:
        levels, scale = quantize_columns(weight, limit)
        start = ActivationRange(AFTER_GELU if product.after_gelu else SYMMETRIC)
        return Plan(levels, scale, start, None, unchanged)
    smoothing = beside.smoothing if beside is not None else None
    few = weight[:, :: -(-weight.shape[1] // _WIDE)]  # choices need no whole vocabulary
    if beside is None and (product.after_norm or product.name.rsplit(".", 1)[-1] in _SMOOTHED):
        smoothing = choose_smoothing(sample, few, limit)
    if smoothing is not None:
        weight = weight * smoothing[:, None]
        few = few * smoothing[:, None]
        sample = Sample((sample.rows / smoothing).astype(np.float16), sample.first)
    chosen = choose_range(sample, few)
    rows = sample.rows.astype(np.float32)
    rounded = chosen.round_trip(rows)
    gram = rounded.T.astype(np.float64) @ rounded
    parts = [
        quantize_compensated(weight[:, i : i + _WIDE], gram, limit)
        for i in range(0, weight.shape[1], _WIDE)
    ]
    levels, scale = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    # The error's mean is linear in the rows' means.
    lost = rows.mean(axis=0, dtype=np.float64) @ weight
    kept = (rounded.mean(axis=0, dtype=np.float64) @ levels) * scale
    return Plan(levels, scale, chosen, smoothing, (lost - kept).astype(np.float32))
