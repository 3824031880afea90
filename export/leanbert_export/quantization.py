"""Make the fused graph int8.

The recipe: weights QInt8 and symmetric, one scale a column (``per_channel``); activations uint8,
their range taken at run time by ``DynamicQuantizeMatMul``; the bias stays in the product's
epilogue; query, key and value are one product; embedding tables int8 with one scale a row. Only
products with a constant right side are touched: attention, normalization and the last, tiny
classifier stay in fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass

from leanbert_export.errors import ExportError
from leanbert_export.fusion import ATTENTION

WEIGHTS_FILE = "model.onnx.data"
_MIN_ROWS = 64  # smaller tables (token types) save nothing
_EXTERNAL_FROM = 1024  # bytes; smaller tensors stay inside model.onnx
_MICROSOFT = "com.microsoft"

RECIPES = ("int8", "fp32")


@dataclass(frozen=True)
class Int8Settings:
    """Every setting of the int8 recipe; they go into the manifest."""

    weights_dtype: str = "QInt8"
    activations_dtype: str = "QUInt8"
    per_channel: bool = True
    is_static: bool = False
    reduce_range: bool = False
    """Weights in 7 bits: for x86 CPUs without VNNI, where 8 bits saturate."""
    operators_to_quantize: Sequence[str] = field(default=("MatMul", "Gemm", "Gather"))


def save_with_weights(source: Path, target: Path) -> None:
    """Write a graph with its weights in one file beside it, which engines can map."""
    model = ir.load(source)
    _save(model, target)


def quantize(source: Path, target: Path, settings: Int8Settings) -> int:
    """Write the int8 form of the fused graph ``source``; returns the number of int8 products.

    Raises:
        ExportError: the graph holds no product to quantize, or not one for each layer's four.
    """
    model = ir.load(source)
    LiftConstantsToInitializersPass()(model)
    graph = model.graph
    rewriter = _Rewriter(graph, 63 if settings.reduce_range else 127)
    for node in list(graph):
        if node.op_type == ATTENTION:
            rewriter.attention(node)
    for node in list(graph):
        if node.op_type == "MatMul":
            rewriter.product(node)
        elif node.op_type == "Gemm":
            rewriter.gemm(node)
        elif node.op_type == "Gather":
            rewriter.embedding(node)
    RemoveUnusedNodesPass()(model)
    model.opset_imports[_MICROSOFT] = 1
    attentions = sum(node.op_type == ATTENTION for node in graph)
    if rewriter.products < 4 * attentions or not rewriter.products:
        raise ExportError(
            f"{rewriter.products} products quantized where {4 * attentions} were expected "
            "(QKV, output and two feed-forward in each layer)"
        )
    _save(model, target)
    return rewriter.products


def _save(model: ir.Model, target: Path) -> None:
    ir.save(model, target, external_data=WEIGHTS_FILE, size_threshold_bytes=_EXTERNAL_FROM)


def quantize_columns(
    weight: npt.NDArray[np.float32], limit: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Symmetric int8 with one scale a column.

    *Shape:* ``(inputs, outputs)`` -> ``(inputs, outputs)`` int8 in ``[-limit, limit]``,
    ``(outputs,)`` float32; ``weight ~ int8 * scale``.
    """
    largest = np.abs(weight).max(axis=0)
    # Below the smallest normal number the division would underflow to 0; such weights are 0.
    tiny = np.finfo(np.float32).tiny * limit
    scale = np.where(largest > tiny, largest / limit, 1.0).astype(np.float32)
    return np.clip(np.rint(weight / scale), -limit, limit).astype(np.int8), scale


class _Rewriter:
    """Replaces nodes of one graph; counts the products it made."""

    def __init__(self, graph: ir.Graph, limit: int) -> None:
        self._graph, self._limit = graph, limit
        self.products = 0

    def attention(self, node: ir.Node) -> None:
        """Fold the three products that feed one attention, and their bias, into one."""
        sources = [value.producer() if value else None for value in node.inputs[:3]]
        parts: list[ir.Node] = [p for p in sources if p is not None and p.op_type == "MatMul"]
        bias = _constant(node.inputs[3])
        weights = [_constant(part.inputs[1]) for part in parts]
        if len(parts) != 3 or bias is None or len({part.inputs[0] for part in parts}) != 1:
            return
        matrices = [weight for weight in weights if weight is not None]
        if len(matrices) != 3:
            return
        joined = self._quantized(
            parts[0].inputs[0], np.concatenate(matrices, axis=1), bias, parts[0], "qkv"
        )
        split = ir.node(
            "Split",
            [joined],
            attributes={"axis": -1, "num_outputs": 3},
            num_outputs=3,
            name=f"{node.name}/split",
        )
        for i, output in enumerate(split.outputs):
            output.name = f"{node.name}/split_{i}"
            output.dtype = ir.DataType.FLOAT
            node.replace_input_with(i, output)
        node.replace_input_with(3, None)
        self._graph.insert_before(node, split)

    def product(self, node: ir.Node) -> None:
        """Quantize a product with a constant matrix; a bias that follows joins it."""
        weight = _constant(node.inputs[1])
        if weight is None or weight.ndim != 2:
            return
        users = list(node.outputs[0].uses())
        end, bias = node, None
        if len(users) == 1 and users[0].node.op_type == "Add":
            add = users[0].node
            other = _constant(add.inputs[1 - users[0].idx])
            if other is not None and other.shape == (weight.shape[1],):
                end, bias = add, other
        if end.outputs[0].is_graph_output() or not users:
            return  # the last classifier: a few hundred weights that decide the answer
        output = self._quantized(node.inputs[0], weight, bias, end, "int8")
        ir.convenience.replace_all_uses_with(end.outputs[0], output)

    def gemm(self, node: ir.Node) -> None:
        """Quantize a pooler's product."""
        weight, bias = _constant(node.inputs[1]), _constant(node.inputs[2])
        plain = all(node.attributes.get_float(name, 1.0) == 1.0 for name in ("alpha", "beta"))
        if weight is None or bias is None or not plain or node.attributes.get_int("transA"):
            return
        if node.outputs[0].is_graph_output():
            return
        matrix = weight.T if node.attributes.get_int("transB") else weight
        output = self._quantized(node.inputs[0], np.ascontiguousarray(matrix), bias, node, "int8")
        ir.convenience.replace_all_uses_with(node.outputs[0], output)

    def embedding(self, node: ir.Node) -> None:
        """Store a table in int8, and scale the looked-up rows back."""
        table = _constant(node.inputs[0])
        if table is None or table.ndim != 2 or table.dtype != np.float32:
            return
        if len(table) < _MIN_ROWS or node.attributes.get_int("axis"):
            return
        rows, scale = quantize_columns(np.ascontiguousarray(table.T), 127)
        name = str(node.inputs[0].name) if node.inputs[0] else node.name
        ids = node.inputs[1]
        quantized = self._add("Gather", [self._weight(f"{name}.int8", rows.T), ids], node)
        scales = self._add("Gather", [self._weight(f"{name}.scale", scale[:, None]), ids], node)
        floats = self._add("Cast", [quantized], node, to=ir.DataType.FLOAT)
        output = self._add("Mul", [floats, scales], node)
        ir.convenience.replace_all_uses_with(node.outputs[0], output)

    def _quantized(
        self,
        value: ir.Value | None,
        weight: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32] | None,
        where: ir.Node,
        suffix: str,
    ) -> ir.Value:
        matrix, scale = quantize_columns(weight, self._limit)
        name = f"{where.name}.{suffix}"
        inputs: list[ir.Value | None] = [
            value,
            self._weight(f"{name}.weight", matrix),
            self._weight(f"{name}.scale", scale),
            None,  # symmetric: no zero point
            None if bias is None else self._weight(f"{name}.bias", bias),
        ]
        self.products += 1
        return self._add("DynamicQuantizeMatMul", inputs, where, domain=_MICROSOFT)

    def _add(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        before: ir.Node,
        *,
        domain: str = "",
        **attributes: Any,
    ) -> ir.Value:
        node = ir.node(op_type, inputs, attributes=attributes, domain=domain)
        self._graph.insert_before(before, node)
        return node.outputs[0]

    def _weight(self, name: str, array: npt.NDArray[Any]) -> ir.Value:
        tensor = ir.tensor(np.ascontiguousarray(array), name=name)
        value = ir.Value(
            name=name,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self._graph.initializers[name] = value
        return value


def _constant(value: ir.Value | None) -> npt.NDArray[Any] | None:
    """The array behind an initializer; ``None`` for anything computed."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return value.const_value.numpy()
