"""From a random BERT to random models of other families, for ``random_model``'s ``extend``.

MPNet has biases by distance, ModernBERT norms before attention and network, gates, rotary tables
and windows, DeBERTa tables that queries and keys are multiplied by.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tests.helpers.native_models import F32, Layer, Model, Norm, random_matmul

FAR = 20
"""Distance from which on all tokens are in one bucket, or positions are rounded."""


def mpnet(model: Model, rng: Any, int8: bool) -> Model:
    """A bias for each head and bucket; earlier and later keys have buckets of their own."""
    del int8
    near = FAR // 2
    distances = np.arange(-FAR, FAR + 1)
    size = np.where(abs(distances) < near, abs(distances), near + (abs(distances) - near) // 3)
    half = int(size.max()) + 1
    buckets = np.where(distances > 0, half + size, size)
    bias = rng.normal(0, 1, (2 * half, model.heads)).astype(np.float32)
    return replace(model, buckets=[int(b) for b in buckets], relative_bias=bias)


def deberta(model: Model, rng: Any, int8: bool, *, query: bool = True, far: int = FAR) -> Model:
    """Tables of 2 * (FAR + 5) rows; beyond ``far`` two distances share a row."""
    del int8
    span = far + 5
    distances = np.arange(-far - 12, far + 13)
    size = np.where(abs(distances) <= far, abs(distances), far + (abs(distances) - far + 1) // 2)
    rows = (span - np.sign(distances) * size).clip(0, 2 * span - 1)
    width = model.hidden // model.heads
    scale = 1 / np.sqrt(width * (3 if query else 2))

    def table() -> F32:
        values: F32 = (rng.normal(0, 1, (2 * span, model.hidden)) * scale).astype(np.float32)
        return values

    layers = [
        replace(layer, position_key=table(), position_query=table() if query else None)
        for layer in model.layers
    ]
    return replace(
        _unplaced(model),
        layers=layers,
        buckets=[int(row) for row in rows],
    )


def nomic(model: Model, rng: Any, int8: bool) -> Model:
    """Gates, one rotary table, and norms after the sums, as NomicBERT and GTE have them."""
    made = modernbert(model, rng, int8)
    layers = [
        replace(layer, attention_norm=old.attention_norm, window=0, rotary=1)
        for layer, old in zip(made.layers, model.layers, strict=True)
    ]
    return replace(made, layers=layers, final_norm=None, rotary=made.rotary[:1])


def modernbert(model: Model, rng: Any, int8: bool, *, window: int = 7) -> Model:
    """Every second layer has a window and a rotary table of its own; no norm has a beta."""
    f = model.intermediate
    width = model.hidden // model.heads

    def norm(n: int) -> Norm:
        return Norm(rng.normal(1, 0.1, n).astype(np.float32), None)

    def layer(i: int, old: Layer) -> Layer:
        up = random_matmul(
            rng, model.hidden, 2 * f, int8=int8, bias=False, smoothing=old.ffn_up.smoothing
        )
        local = i % 2 == 1
        return replace(
            old,
            attention_norm=norm(model.hidden) if i else None,
            ffn_norm=norm(model.hidden),
            ffn_up=up,
            window=window if local else 0,
            rotary=2 if local else 1,
        )

    def tables() -> tuple[F32, F32]:
        # Any pair of numbers will do: these are near the circle, made without a C library.
        shape = (model.positions, width // 2)
        return (
            rng.uniform(-1, 1, shape).astype(np.float32),
            rng.uniform(-1, 1, shape).astype(np.float32),
        )

    return replace(
        _unplaced(model),
        layers=[layer(i, old) for i, old in enumerate(model.layers)],
        embedding_norm=norm(model.word.shape[1]),
        final_norm=norm(model.hidden),
        head_norm=None if model.head_norm is None else norm(len(model.head_norm.gamma)),
        gated=True,
        rotary=[tables(), tables()],
    )


def _unplaced(model: Model) -> Model:
    return replace(model, position=None, position_scale=None, max_positions=model.positions)


deberta_keys_alone = partial(deberta, query=False)
deberta_near = partial(deberta, far=300)
""" Rows of their own for every distance of a text."""
