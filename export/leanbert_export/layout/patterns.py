"""Recognize the pieces of a layer in the final graph: matmuls, sums, activations, norms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from leanbert_export.graph.editing import constant
from leanbert_export.graph.operators import NORMALIZATION

ACTIVATIONS = {"Gelu": "gelu", "FastGelu": "gelu_tanh", "Relu": "relu", "Tanh": "tanh"}


class NoLayoutError(Exception):
    """The native engine does not compute this graph; the message is a clause that says why."""


@dataclass(frozen=True)
class Matmul:
    """A matmul's input, its initializers and its size."""

    source: ir.Value
    parts: dict[str, ir.Value]
    """``weight``, and those of ``scale``, ``bias`` and ``smoothing`` that the matmul has."""
    size: tuple[int, int]
    """Inputs and outputs."""


@dataclass(frozen=True)
class Norm:
    """A layer normalization over the last axis."""

    source: ir.Value
    parts: dict[str, ir.Value]
    """``gamma`` and ``beta``."""
    eps: float


def input_of(node: ir.Node, index: int) -> ir.Value:
    """An input that must be there.

    Raises:
        NoLayoutError: the node has no such input.
    """
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise NoLayoutError(f"a {node.op_type} lacks an input")
    return value


def axis_of(node: ir.Node, default: int = 0) -> int:
    """The attribute ``axis``, or ``default`` without one."""
    return int(node.attributes.get_int("axis", default) or 0)


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The shape of a constant; ``()`` for any other value."""
    array = constant(value)
    return () if array is None else tuple(array.shape)


def activation_of(node: ir.Node) -> str:
    """The layout's name of an activation.

    Raises:
        NoLayoutError: the operator does more than the activation.
    """
    computed = [value for value in node.inputs if value is not None]
    if len(computed) != 1 or node.attributes.get_string("approximate", "none") != "none":
        raise NoLayoutError(f"a {node.op_type} has a bias or an approximation")
    return ACTIVATIONS[node.op_type]


def biased(value: ir.Value) -> tuple[ir.Value | None, ir.Value]:
    """The constant vector that was added last, if any, and the value that it was added to."""
    node = value.producer()
    if node is None or node.op_type != "Add":
        return None, value
    for i, other in ((0, 1), (1, 0)):
        if len(shape_of(input_of(node, i))) == 1:
            return input_of(node, i), input_of(node, other)
    return None, value


def matmul_of(value: ir.Value) -> Matmul | None:
    """The matmul, with its bias, whose output ``value`` is; ``None`` for any other value."""
    bias, made = biased(value)
    node = made.producer()
    if node is None:
        return None
    parts = {} if bias is None else {"bias": bias}
    if node.op_type == "MatMulIntegerToFloat":
        return _int8_matmul(node, parts)
    if node.op_type == "Gemm" and bias is None:
        plain = not any(node.attributes.get_int(name, 0) for name in ("transA", "transB"))
        ones = all(node.attributes.get_float(name, 1.0) == 1.0 for name in ("alpha", "beta"))
        if not plain or not ones:
            return None
        if len(node.inputs) > 2:
            parts["bias"] = input_of(node, 2)
    elif node.op_type != "MatMul":
        return None
    return _made(input_of(node, 0), input_of(node, 1), parts, np.float32)


def _int8_matmul(node: ir.Node, parts: dict[str, ir.Value]) -> Matmul | None:
    rounding = input_of(node, 0).producer()
    if rounding is None or rounding.op_type != "QuantizeLinear" or len(node.inputs) > 5:
        return None
    if input_of(rounding, 1) is not input_of(node, 2):
        return None  # it is multiplied by another scale than the rows were rounded with
    source, smoothing = input_of(rounding, 0), None
    multiplied = source.producer()
    if multiplied is not None and multiplied.op_type == "Mul":
        source, smoothing = input_of(multiplied, 0), input_of(multiplied, 1)
    parts = {**parts, "scale": input_of(node, 3)}
    if smoothing is not None:
        parts["smoothing"] = smoothing
    return _made(source, input_of(node, 1), parts, np.int8)


def _made(
    source: ir.Value, weight: ir.Value, parts: dict[str, ir.Value], dtype: type
) -> Matmul | None:
    matrix = constant(weight)
    vectors = all(len(shape_of(part)) == 1 for part in parts.values())
    if matrix is None or matrix.ndim != 2 or matrix.dtype != dtype or not vectors:
        return None
    return Matmul(source, {"weight": weight, **parts}, (matrix.shape[0], matrix.shape[1]))


def sum_of(value: ir.Value) -> tuple[ir.Value, ir.Value] | None:
    """Both sides of the sum that gives ``value``; ``None`` for any other value."""
    node = value.producer()
    if node is None or node.op_type != "Add":
        return None
    return input_of(node, 0), input_of(node, 1)


def pick(pair: tuple[ir.Value, ir.Value], before: set[str]) -> tuple[Matmul, ir.Value] | None:
    """Tell the two sides of a residual sum apart.

    Returns:
        The matmul whose input is the output of one of the operators ``before``, and the other
        side; ``None`` if neither side is such a matmul.
    """
    for value, other in (pair, pair[::-1]):
        matmul = matmul_of(value)
        maker = matmul.source.producer() if matmul is not None else None
        if matmul is not None and maker is not None and maker.op_type in before:
            return matmul, other
    return None


def is_first_of(value: ir.Value, whole: ir.Value) -> bool:
    """Whether ``value`` is the first token of ``whole``, *shape* ``(batch, 1, width)``."""
    node = value.producer()
    if node is None or node.op_type != "Gather" or axis_of(node) != 1:
        return False
    index = constant(input_of(node, 1))
    return index is not None and index.tolist() == [0] and input_of(node, 0) is whole


def norm_of(value: ir.Value) -> Norm | None:
    """The normalization that gives ``value``; ``None`` for any other value."""
    node = value.producer()
    if node is None or node.op_type != NORMALIZATION or len(node.inputs) < 3:
        return None
    gamma, beta = input_of(node, 1), input_of(node, 2)
    if axis_of(node, -1) not in (-1, 2) or constant(gamma) is None or constant(beta) is None:
        return None
    eps = round(float(node.attributes.get_float("epsilon", 1e-5) or 0.0), 20)
    return Norm(input_of(node, 0), {"gamma": gamma, "beta": beta}, eps)
