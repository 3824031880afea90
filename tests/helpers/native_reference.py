"""The native encoder in numpy, in double precision but for the quantized numbers."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from tests.helpers.native_models import F64, I32, Layer, Matmul, Model, Norm


def erf(x: F64) -> F64:
    """The error function, element by element."""
    result: F64 = np.vectorize(math.erf, otypes=[np.float64])(x)
    return result


def activate(x: F64, name: str) -> F64:
    """An activation by its name in the interface."""
    y: F64 = x
    if name == "gelu":
        y = x / 2 * (1 + erf(x / np.sqrt(2)))
    elif name == "gelu_tanh":
        y = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    elif name == "relu":
        y = np.maximum(x, 0)
    elif name == "silu":
        y = x / (1 + np.exp(np.minimum(-x, 700)))
    elif name == "tanh":
        y = np.tanh(x)
    return y


def layer_norm(x: F64, norm: Norm, eps: float) -> F64:
    """Over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    y: F64 = centred / np.sqrt(variance + eps) * norm.gamma
    return y if norm.beta is None else y + norm.beta


def quantize(x: F64) -> tuple[F64, F64, F64]:
    """Per row: u8 values, scale [rows, 1], zero point [rows, 1]."""
    low = np.minimum(x.min(1, keepdims=True), 0)
    high = np.maximum(x.max(1, keepdims=True), 0)
    scale = np.maximum((high - low) / 255, 1e-20)
    zero = np.rint(-low / scale)
    return np.rint(x / scale + zero).clip(0, 255), scale, zero


def apply(x: F64, matmul: Matmul, *, quantized: bool = True) -> F64:
    """A matmul as the bundle's recipe has it: int8 weights quantize their input per row.

    `quantized=False` multiplies the same weights by the input as it is.
    """
    smoothed = x if matmul.smoothing is None else x * matmul.smoothing
    if matmul.scale is None:
        y = x @ matmul.weight.astype(np.float64)
    elif not quantized:
        y = smoothed @ matmul.weight.astype(np.float64) * matmul.scale
    else:
        q, scale, zero = quantize(smoothed)
        y = (q - zero) @ matmul.weight.astype(np.float64) * scale * matmul.scale
    if matmul.bias is not None:
        y[:, : len(matmul.bias)] += matmul.bias
    return y


def project(x: F64, layer: Layer, *, quantized: bool) -> F64:
    """Q | K | V of a layer, [tokens, 3H]."""
    y = apply(x, layer.qkv, quantized=quantized)
    if layer.query is None:
        return y
    return np.concatenate([apply(x, layer.query, quantized=quantized), y], 1)


def reference(model: Model, ids: I32, types: I32 | None = None, *, quantized: bool = True) -> F64:
    """One text's answer; `quantized=False` leaves the matmuls' inputs as they are."""
    matmul = partial(apply, quantized=quantized)
    tokens = len(ids)
    word = model.word[ids].astype(np.float64)
    if model.word_scale is not None:
        word *= model.word_scale[ids][:, None]
    x = word if model.position is None else word + _places(model, tokens)
    if model.token_type is not None:
        x = x + model.token_type[np.zeros(tokens, np.int32) if types is None else types]
    x = layer_norm(x, model.embedding_norm, model.eps)
    if model.projection is not None:
        x = matmul(x, model.projection)
    for layer in model.layers:
        x = _layer(model, layer, x, quantized)
    if model.final_norm is not None:
        x = layer_norm(x, model.final_norm, model.eps)
    if model.head == "none":
        return x
    if model.head in ("first_token", "mean"):
        x = x[:1] if model.head == "first_token" else x.mean(0, keepdims=True)
    if model.head_dense is not None:
        x = activate(matmul(x, model.head_dense), model.head_activation)
    if model.head_norm is not None:
        x = layer_norm(x, model.head_norm, model.eps)
    assert model.classifier is not None
    x = matmul(x, model.classifier)
    return x[0] if model.head in ("first_token", "mean") else x


def _layer(model: Model, layer: Layer, x: F64, quantized: bool) -> F64:
    norms = [layer.attention_norm, layer.ffn_norm]
    before: list[Norm | None] = norms if model.final_norm is not None else [None, None]
    after: list[Norm | None] = [None, None] if model.final_norm is not None else norms
    for block, first, last in zip((_attend, _network), before, after, strict=True):
        y = x if first is None else layer_norm(x, first, model.eps)
        x = x + block(model, layer, y, quantized)
        x = x if last is None else layer_norm(x, last, model.eps)
    return x


def _attend(model: Model, layer: Layer, x: F64, quantized: bool) -> F64:
    q, k, v = (
        part.reshape(len(x), model.heads, -1).transpose(1, 0, 2)
        for part in np.split(project(x, layer, quantized=quantized), 3, 1)
    )
    scores = _scores(model, layer, q, k)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    context = (weights / weights.sum(-1, keepdims=True)) @ v
    joined = context.transpose(1, 0, 2).reshape(len(x), model.hidden)
    return apply(joined, layer.attention_output, quantized=quantized)


def _places(model: Model, tokens: int) -> F64:
    assert model.position is not None
    where = model.position_offset + np.arange(tokens)
    place: F64 = model.position[where].astype(np.float64)
    return place if model.position_scale is None else place * model.position_scale[where][:, None]


def _network(model: Model, layer: Layer, x: F64, quantized: bool) -> F64:
    y = apply(x, layer.ffn_up, quantized=quantized)
    if model.gated:
        half = y.shape[1] // 2
        inner = activate(y[:, :half], model.activation) * y[:, half:]
    else:
        inner = activate(y, model.activation)
    return apply(inner, layer.ffn_down, quantized=quantized)


def _scores(model: Model, layer: Layer, q: F64, k: F64) -> F64:
    """The softmax's input [heads, tokens, tokens] of queries and keys [heads, tokens, width]."""
    heads, tokens, width = q.shape
    if layer.rotary:
        cosines, sines = (
            np.concatenate([table, table], 1).astype(np.float64)[
                model.position_offset : model.position_offset + tokens
            ]
            for table in model.rotary[layer.rotary - 1]
        )
        q, k = (
            x * cosines + np.concatenate([-x[..., width // 2 :], x[..., : width // 2]], -1) * sines
            for x in (q, k)
        )
    distance = np.arange(tokens)[None, :] - np.arange(tokens)[:, None]  # key - query
    tables = [t for t in (layer.position_key, layer.position_query) if t is not None]
    scores: F64 = q @ k.transpose(0, 2, 1) / np.sqrt(width * (1 + len(tables)))
    if model.buckets:
        ends = len(model.buckets) // 2
        rows = np.array(model.buckets)[distance.clip(-ends, ends) + ends]
    if model.relative_bias is not None:
        scores = scores + model.relative_bias.astype(np.float64)[rows].transpose(2, 0, 1)
    for table in tables:
        of_heads = table.astype(np.float64).reshape(-1, heads, width).transpose(1, 2, 0)
        if table is layer.position_key:
            scores = scores + (q @ of_heads)[:, np.arange(tokens)[:, None], rows]
        else:
            scores = scores + (k @ of_heads)[:, np.arange(tokens)[None, :], rows]
    if layer.window:
        scores = np.where(np.abs(distance) <= layer.window, scores, -np.inf)
    return scores
