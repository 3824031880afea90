"""The ONNX graph of a described encoder, in its best form from the start.

docs/graph.md says why it has these operators and no others.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from leanbert_export.architectures.description import Encoder
from leanbert_export.graph.building import Builder
from leanbert_export.graph.embeddings import build_embeddings
from leanbert_export.graph.final import FinalGraph
from leanbert_export.graph.folding import fold
from leanbert_export.graph.layers import Layers

__all__ = ["build_graph"]


def build_graph(encoder: Encoder) -> FinalGraph:
    """The final fp32 graph; its large tensors are read from the description when it is saved."""
    encoder = fold(encoder)
    types = ["token_type_ids"] if encoder.reads_types else []
    builder = Builder(["input_ids", "attention_mask", *types])
    value = build_embeddings(builder, encoder.embeddings)
    value = Layers(builder, encoder).add(value)
    return builder.finish(_head(builder, encoder, value))


def _head(builder: Builder, encoder: Encoder, value: ir.Value) -> list[ir.Value]:
    head = encoder.head
    if head.classifier is None:
        return [_output(value, head.outputs[0], ["sequence_length", encoder.hidden_size])]
    rank, first = 3, head.pooling == "first_token"
    if first:
        zero = builder.constant("first", np.array(0, np.int64))
        value, rank = builder.node("Gather", [value, zero], "head/Gather", axis=1), 2
    elif head.pooling == "mean":
        value, rank = _mean(builder, value), 2
    alone = rank == 2
    if head.dense is not None:
        dense = head.dense
        value = builder.matmul(
            value, "head.dense", "head.dense", [dense.weight], dense.bias,
            first_token=alone, rank=rank,
        )  # fmt: skip
    value = builder.activate(value, head.activation, "head")
    if head.norm is not None:
        value = builder.norm(value, "head.norm", "head.norm", head.norm)
    linear, name = head.classifier, "head.classifier"
    columns = linear.weight.shape[1]
    if alone:
        weight = builder.tensor(f"{name}.weight", linear.weight.shape, lambda: linear.weight)
        bias = linear.bias
        inputs = [value, weight]
        if bias is not None:
            inputs.append(builder.tensor(f"{name}.bias", bias.shape, lambda: bias))
        logits = builder.node("Gemm", inputs, f"{name}/Gemm")
        return [_output(logits, head.outputs[0], [columns])]
    logits = builder.matmul(
        value, "head.dense.2" if head.dense is not None else "head.dense", name,
        [linear.weight], linear.bias, role=name,
    )  # fmt: skip
    if len(head.outputs) == 1:
        return [_output(logits, head.outputs[0], ["sequence_length", columns])]
    axis = builder.constant("last_axis", np.array([-1], np.int64))
    parts = builder.nodes("Split", [logits], 2, "head/Split", axis=-1, num_outputs=2)
    return [
        _output(
            builder.node("Squeeze", [part, axis], f"head/Squeeze_{output}"),
            output,
            ["sequence_length"],
        )
        for part, output in zip(parts, head.outputs, strict=True)
    ]


def _mean(builder: Builder, value: ir.Value) -> ir.Value:
    """The mean of each text's tokens, *shape* ``(batch, width)``."""
    mask = builder.node(
        "Cast", [builder.inputs["attention_mask"]], "mean/Cast", to=ir.DataType.FLOAT
    )
    one, two = (builder.constant(f"axis_{n}", np.array([n], np.int64)) for n in (1, 2))
    wide = builder.node("Unsqueeze", [mask, two], "mean/Unsqueeze")
    kept = builder.node("Mul", [value, wide], "mean/Mul")
    total = builder.node("ReduceSum", [kept, one], "mean/ReduceSum", keepdims=0)
    number = builder.node("ReduceSum", [mask, one], "mean/ReduceSum_mask", keepdims=1)
    return builder.node("Div", [total, number], "mean/Div")


def _output(value: ir.Value, name: str, shape: list[int | str]) -> ir.Value:
    value.name = name
    value.shape = ir.Shape(["batch_size", *shape])
    value.type = ir.TensorType(ir.DataType.FLOAT)
    return value
