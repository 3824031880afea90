"""The part of the graph before the first layer: embeddings, and the number of real tokens."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from leanbert_export.architectures.description import Embeddings, Floats
from leanbert_export.graph.building import Builder

__all__ = ["build_embeddings", "build_lengths", "sequence_length"]


def build_embeddings(builder: Builder, embeddings: Embeddings) -> ir.Value:
    """The input of the first layer, *shape* ``(batch, length, hidden)``."""
    ids = builder.inputs["input_ids"]
    value = builder.table("word", embeddings.word, ids)
    types = embeddings.token_type
    if types is not None and len(types) > 1:
        rows = builder.table("token_type", types, builder.inputs["token_type_ids"])
        value = builder.node("Add", [value, rows], "embeddings/Add_token_type")
    elif types is not None:
        row = builder.tensor("embeddings.token_type", types.shape, lambda: types)
        value = builder.node("Add", [value, row], "embeddings/Add_token_type")
    if embeddings.position is not None:
        rows = builder.table("position", embeddings.position, _positions(builder, embeddings))
        value = builder.node("Add", [value, rows], "embeddings/Add_position")
    if embeddings.projection is not None and embeddings.projection_first:
        value = _projected(builder, embeddings, value)
    value = builder.norm(value, "embeddings.norm", "embeddings.norm", embeddings.norm)
    if embeddings.projection is not None and not embeddings.projection_first:
        value = _projected(builder, embeddings, value)
    return value


def build_lengths(builder: Builder) -> ir.Value:
    """The number of tokens of each text, int32, by which attention knows padding."""
    mask = builder.inputs["attention_mask"]
    narrow = builder.node("Cast", [mask], "lengths/Cast", to=ir.DataType.INT32)
    axis = builder.constant("axis_1", np.array([1], np.int64))
    return builder.node("ReduceSum", [narrow, axis], "lengths/ReduceSum", keepdims=0)


def sequence_length(builder: Builder) -> ir.Value:
    """The padded length of the batch, int64, *shape* ``(1,)``; made at each call."""
    return builder.node("Shape", [builder.inputs["input_ids"]], start=1, end=2)


def _projected(builder: Builder, embeddings: Embeddings, value: ir.Value) -> ir.Value:
    projection = embeddings.projection
    if projection is None:
        raise AssertionError
    name = "embeddings.projection"
    bias = projection.bias
    return builder.matmul(value, "embeddings.dense", name, [projection.weight], bias, role=name)


def _positions(builder: Builder, embeddings: Embeddings) -> ir.Value:
    """The row of each token's position, *shape* ``(1, length)`` or ``(batch, length)``."""
    position: Floats | None = embeddings.position
    if position is None:
        raise AssertionError
    name = "embeddings/positions"
    if embeddings.padding_idx is None:
        every = builder.constant("positions", np.arange(len(position), dtype=np.int64)[None])
        zero, one = (builder.constant(f"axis_{n}", np.array([n], np.int64)) for n in (0, 1))
        length = sequence_length(builder)
        return builder.node("Slice", [every, zero, length, one], f"{name}/Slice")
    # As PyTorch counts: tokens other than the padding's, whatever the mask says.
    padding = builder.constant("padding_idx", np.array(embeddings.padding_idx, np.int64))
    same = builder.node("Equal", [builder.inputs["input_ids"], padding], f"{name}/Equal")
    other = builder.node("Not", [same], f"{name}/Not")
    number = builder.node("Cast", [other], f"{name}/Cast", to=ir.DataType.INT64)
    axis = builder.constant("cumsum_axis", np.array(1, np.int64))
    counted = builder.node("CumSum", [number, axis], f"{name}/CumSum")
    kept = builder.node("Mul", [counted, number], f"{name}/Mul")
    return builder.node("Add", [kept, padding], f"{name}/Add")
