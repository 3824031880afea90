"""Recognize the embeddings, where the walk ends.

They are a sum of rows looked up in embedding tables, a normalization, and in some models a
projection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from leanbert_export.layout.patterns import (
    NoLayoutError,
    Norm,
    axis_of,
    input_of,
    matmul_of,
    norm_of,
    shape_of,
)


def find_embeddings(value: ir.Value, config: Mapping[str, Any]) -> tuple[dict[str, ir.Value], Norm]:
    """Find the tensors from which the input of the first layer is computed.

    Args:
        value: the input of the first layer, *shape* ``(batch, length, hidden)``.
        config: of the model; it says which table has positions and which has token types.

    Returns:
        The tensors by role, and the normalization of the embeddings.

    Raises:
        NoLayoutError: ``value`` is computed in another way.
    """
    found: dict[str, ir.Value] = {}
    projection = matmul_of(value)
    if projection is not None:
        found |= {f"projection.{part}": tensor for part, tensor in projection.parts.items()}
        value = projection.source
    normed = norm_of(value)
    if normed is None:
        raise NoLayoutError("the embeddings before the first layer are not normalized")
    found |= {f"norm.{part}": tensor for part, tensor in normed.parts.items()}
    for leaf in _leaves(normed.source):
        table, scale, ids = _looked_up(leaf)
        rows = shape_of(table)[0]
        if ids.name == "input_ids":
            kind = "word"
        elif ids.name == "token_type_ids" or rows == config.get("type_vocab_size"):
            kind = "token_type"
        elif rows == config.get("max_position_embeddings"):
            kind = "position"
        else:
            raise NoLayoutError("an embedding is none of words, positions or token types")
        if kind in found:
            raise NoLayoutError(f"there are two {kind} embeddings")
        found[kind] = table
        if scale is not None:
            found[f"{kind}_scale"] = scale
    if not {"word", "position"} <= set(found) or "token_type_scale" in found:
        raise NoLayoutError("the embeddings are not those of words, positions and token types")
    return found, normed


def _leaves(value: ir.Value) -> Sequence[ir.Value]:
    node = value.producer()
    if node is None or node.op_type != "Add":
        return [value]
    return [leaf for i in (0, 1) for leaf in _leaves(input_of(node, i))]


def _looked_up(value: ir.Value) -> tuple[ir.Value, ir.Value | None, ir.Value]:
    """The table of an embedding, the scales of its rows if it has any, and the ids."""
    node, scale = value.producer(), None
    if node is not None and node.op_type == "Mul":
        scales, cast = input_of(node, 1).producer(), input_of(node, 0).producer()
        if scales is not None and scales.op_type == "Gather" and cast is not None:
            scale, node = input_of(scales, 0), input_of(cast, 0).producer()
            if node is None or input_of(scales, 1) is not input_of(node, 1):
                raise NoLayoutError("an embedding has scales that are not those of its rows")
    looked_up = node is not None and node.op_type == "Gather" and not axis_of(node)
    if node is None or not looked_up or len(shape_of(input_of(node, 0))) != 2:
        raise NoLayoutError("the embeddings are not a sum of rows from tables")
    return input_of(node, 0), scale, input_of(node, 1)
