"""Move biases to where they cost nothing; every step is exact in real arithmetic.

- The bias of the keys adds the same number to all scores of a row, which softmax ignores. It stays
  where positions turn the keys, or are compared with them: there it differs from key to key.
- The bias of the values passes through attention unchanged, since the weights of attention sum to
  1, and is added to the bias of the next matmul.
- ``LayerNorm(y + (x @ W + b))`` adds three terms, and on a CPU each addition reads and writes every
  token. In the sum after the second feed-forward matmul, ``y`` comes from a LayerNorm whose own
  bias can hold ``b``; the first feed-forward matmul, which also reads ``y``, takes the difference
  back in its bias. This does not apply to the sum after attention: there the difference would go
  into the bias of the values, which has moved into the same sum already.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leanbert_export.architectures.description import (
    Attention,
    Disentangled,
    Encoder,
    Floats,
    Layer,
    Linear,
)

__all__ = ["fold"]


def fold(encoder: Encoder) -> Encoder:
    """The same encoder with fewer biases to add; layers that were one object stay one."""
    relative = encoder.relative
    keeps = isinstance(relative, Disentangled) and relative.p2c
    made = {
        id(layer): _absorbed(
            replace(layer, attention=_without_biases(layer.attention, keeps_key=keeps)),
            pre_norm=encoder.pre_norm,
        )
        for layer in {id(layer): layer for layer in encoder.layers}.values()
    }
    return replace(encoder, layers=[made[id(layer)] for layer in encoder.layers])


def _without_biases(attention: Attention, *, keeps_key: bool) -> Attention:
    key, value, output = attention.key, attention.value, attention.output
    if not keeps_key and attention.rotary is None:
        key = replace(key, bias=None)
    if value.bias is not None:
        passed = value.bias.astype(np.float64) @ output.weight
        output = Linear(output.weight, _sum(output.bias, passed))
        value = replace(value, bias=None)
    return replace(attention, key=key, value=value, output=output)


def _absorbed(layer: Layer, *, pre_norm: bool) -> Layer:
    norm, forward = layer.attention_norm, layer.feed_forward
    up, down = forward.up, forward.down
    if pre_norm or norm is None or norm.beta is None or forward.multiplier is not None:
        return layer
    if up.bias is None or down.bias is None:
        return layer
    moved = down.bias.astype(np.float64)
    return replace(
        layer,
        attention_norm=replace(norm, beta=_sum(norm.beta, moved)),
        feed_forward=replace(
            forward,
            up=replace(up, bias=_sum(up.bias, -(moved @ up.weight.astype(np.float64)))),
            down=replace(down, bias=None),
        ),
    )


def _sum(one: Floats | None, other: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Floats:
    total = other if one is None else one.astype(np.float64) + other
    return total.astype(np.float32)
