"""The head, where the walk begins: from the graph's outputs to the encoder's last value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from leanbert_export.graph.editing import constant
from leanbert_export.layout.patterns import (
    ACTIVATIONS,
    Norm,
    NoTableError,
    activation_of,
    axis_of,
    input_of,
    norm_of,
    product_of,
)


@dataclass(frozen=True)
class HeadRoles:
    """What stands behind the encoder."""

    source: ir.Value
    """The encoder's last value."""
    kind: str = "none"
    """``none``, ``first_token`` or ``every_token``."""
    activation: str = "identity"
    tensors: dict[str, ir.Value] = field(default_factory=dict)
    norm: Norm | None = None

    @property
    def architecture(self) -> dict[str, Any]:
        """Its part of the table."""
        return {"head": self.kind, "head_activation": self.activation}


def find_head(outputs: Sequence[ir.Value]) -> HeadRoles:
    """Walk from the outputs: dense, activation, norm and classifier, each but the last optional.

    Raises:
        NoTableError: the head is another.
    """
    names = [value.name for value in outputs]
    if names == ["last_hidden_state"]:
        return HeadRoles(outputs[0])
    value = _logits(outputs)
    classifier = product_of(value)
    if classifier is None:
        raise NoTableError("the logits are not a product")
    tensors = {f"classifier.{part}": tensor for part, tensor in classifier.parts.items()}
    value, activation = classifier.source, "identity"
    norm = norm_of(value)
    if norm is not None and _activated(norm.source):
        tensors |= {f"norm.{part}": tensor for part, tensor in norm.parts.items()}
        value = norm.source
    else:
        norm = None  # the last layer's own
    node = value.producer()
    if node is not None and _activated(value):
        activation = activation_of(node)
        value, parts = _dense(input_of(node, 0))
        tensors |= parts
    first = _first_token(value)
    if first is None:
        return HeadRoles(value, "every_token", activation, tensors, norm)
    if norm is not None:
        raise NoTableError("the head normalizes the first token")
    return HeadRoles(first, "first_token", activation, tensors)


def _logits(outputs: Sequence[ir.Value]) -> ir.Value:
    """The one product that the outputs come from."""
    names = [str(value.name) for value in outputs]
    if names == ["logits"]:
        return outputs[0]
    if names == ["start_logits", "end_logits"]:
        return _both_columns(outputs)
    raise NoTableError(f"the outputs {', '.join(names)} are not known")


def _dense(value: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]]:
    dense = product_of(value)
    if dense is None:
        raise NoTableError("the head has a layer that is not a dense one")
    return dense.source, {f"dense.{part}": found for part, found in dense.parts.items()}


def _activated(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type in ACTIVATIONS


def _first_token(value: ir.Value) -> ir.Value | None:
    """What the first token is taken of; ``None`` where the head reads every token.

    Raises:
        NoTableError: it reads others than the first.
    """
    node = value.producer()
    if node is None or node.op_type != "Gather":
        return None
    index = constant(input_of(node, 1))
    if index is None or index.ndim or int(index) or axis_of(node) != 1:
        raise NoTableError("the head does not read the first token alone")
    return input_of(node, 0)


def _both_columns(outputs: Sequence[ir.Value]) -> ir.Value:
    """The product with two columns a token that starts and ends were split from."""
    parts = []
    for value in outputs:
        node = value.producer()
        while node is not None and node.op_type in ("Identity", "Squeeze"):
            value = input_of(node, 0)
            node = value.producer()
        parts.append(value)
    split = parts[0].producer()
    if split is None or split.op_type != "Split" or list(split.outputs) != parts:
        raise NoTableError("starts and ends are not two columns of one product")
    return input_of(split, 0)
