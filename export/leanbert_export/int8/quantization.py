"""Make the rewritten graph int8, product by product as planned.

A product becomes: the row's largest and smallest value, the scale that they ask for, one pass that
rounds the row to uint8 (``QuantizeLinear`` with a block as wide as the row), the int8 product with
that scale (``MatMulIntegerToFloat``), its bias. So a token's result depends on no other token.
Embedding tables are int8 with one scale a row. Attention, normalization and the last, tiny
classifier stay in fp32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from leanbert_export.errors import ExportError
from leanbert_export.graph.editing import add_node, bias_after, constant, initializer, tidy
from leanbert_export.graph.operators import ATTENTION, MICROSOFT
from leanbert_export.int8.matmuls import Product, find_products
from leanbert_export.int8.ranges import GELU_FLOOR, TINY, ActivationRange
from leanbert_export.int8.rounding import quantize_columns
from leanbert_export.int8.weights import Plan
from leanbert_export.recipe import Int8Settings

_MOST_LABELS = 256
_MIN_ROWS = 64  # smaller tables (token types) save nothing


def quantize(model: ir.Model, plans: Mapping[str, Plan], settings: Int8Settings) -> int:
    """Bring the planned products of the rewritten graph to int8, in place; returns their number.

    The last classifier stays, whatever the plan says: a few hundred weights that decide the answer.
    """
    graph = model.graph
    writer = _Writer(graph, settings)
    done = 0
    for product in find_products(graph):
        plan = plans.get(product.name)
        if plan is not None and not is_classifier(product):
            writer.product(product, plan)
            done += 1
    for node in list(graph):
        if node.op_type == "Gather":
            _quantize_table(graph, node)
    model.opset_imports[MICROSOFT] = 1
    tidy(model)
    return done


def is_classifier(product: Product) -> bool:
    """Whether the product gives the answer itself, to few labels: a vocabulary is no classifier."""
    if product.weight.shape[1] > _MOST_LABELS:
        return False
    ends = [(product.add or product.node).outputs[0]]
    for step in ("Split", "Squeeze"):  # starts and ends of answers
        users = [use.node for value in ends for use in value.uses()]
        ends += [output for node in users if node.op_type == step for output in node.outputs]
    return any(value.is_graph_output() for value in ends)


def check_products(products: int, graph: ir.Graph) -> None:
    """Raise ExportError where a layer has less than its four products."""
    attentions = sum(node.op_type == ATTENTION for node in graph)
    if products < 4 * attentions or not products:
        raise ExportError(
            f"{products} products found where {4 * attentions} were expected "
            "(QKV, output and two feed-forward in each layer)"
        )


class _Writer:
    """Writes the operators of int8 products; what several share is made once."""

    def __init__(self, graph: ir.Graph, settings: Int8Settings) -> None:
        self._graph, self._settings = graph, settings
        self._zero_points: dict[tuple[int, bool, int], ir.Value] = {}

    def product(self, product: Product, plan: Plan) -> None:
        """Replace one product, and correct its bias."""
        node, name = product.node, product.name
        matrix = initializer(self._graph, f"{product.weight_name}/int8", plan.levels)
        scale = initializer(self._graph, f"{product.weight_name}/scale", plan.scale)
        if self._settings.per_token:
            value = product.input
            if plan.smoothing is not None:
                inverse = initializer(
                    self._graph, f"{product.weight_name}/smoothing", 1 / plan.smoothing
                )
                value = add_node(self._graph, "Mul", [value, inverse], before=node)
            row_scale, levels = self._rows(product, value, plan.range)
            zero = initializer(
                self._graph,
                f"zero_point_{plan.range.zero_point}",
                np.array(plan.range.zero_point, np.uint8),
            )
            output = add_node(
                self._graph,
                "MatMulIntegerToFloat",
                [levels, matrix, row_scale, scale, zero],
                before=node,
                domain=MICROSOFT,
            )
        else:
            output = add_node(
                self._graph,
                "DynamicQuantizeMatMul",
                [product.input, matrix, scale],
                before=node,
                domain=MICROSOFT,
            )
        bias = bias_after(node)
        if bias is not None and plan.bias_change.any():
            changed = initializer(self._graph, f"{name}/bias", bias.vector + plan.bias_change)
            bias.node.replace_input_with(bias.position, changed)
        ir.convenience.replace_all_uses_with(node.outputs[0], output)

    def _rows(
        self, product: Product, value: ir.Value, chosen: ActivationRange
    ) -> tuple[ir.Value, ir.Value]:
        """Each row's scale, ``(…, 1)``, and its uint8 levels."""
        graph, node = self._graph, product.node

        def vector(number: float) -> ir.Value:
            return initializer(graph, f"constant_{number!r}", np.array([number], np.float32))

        last = initializer(graph, "last_axis", np.array([-1], np.int64))
        high = add_node(graph, "ReduceMax", [value, last], before=node, keepdims=1)
        ends = [add_node(graph, "Mul", [high, vector(chosen.high)], before=node)]
        if product.after_gelu:
            ends.append(vector(float(np.float32(-GELU_FLOOR * chosen.low))))
        else:
            low = add_node(graph, "ReduceMin", [value, last], before=node, keepdims=1)
            ends.append(add_node(graph, "Mul", [low, vector(chosen.low)], before=node))
            ends.append(vector(TINY))
        scale = add_node(graph, "Max", ends, before=node)
        levels = add_node(
            graph,
            "QuantizeLinear",
            [value, scale, self._zero_point(product, chosen, scale)],
            before=node,
            axis=-1,
            block_size=product.weight.shape[0],
        )
        return scale, levels

    def _zero_point(self, product: Product, chosen: ActivationRange, scale: ir.Value) -> ir.Value:
        """The zero point once a row, which is how QuantizeLinear wants it."""
        key = chosen.zero_point, product.first_token, product.rank
        if key not in self._zero_points:
            one = np.array([chosen.zero_point], np.uint8)
            self._zero_points[key] = add_node(
                self._graph,
                "Expand",
                [
                    initializer(self._graph, f"zero_points_{chosen.zero_point}", one),
                    add_node(self._graph, "Shape", [scale], before=product.node),
                ],
                before=product.node,
            )
        return self._zero_points[key]


def _quantize_table(graph: ir.Graph, node: ir.Node) -> None:
    """Store an embedding table in int8, and scale the looked-up rows back."""
    table, source = constant(node.inputs[0]), node.inputs[0]
    if source is None or table is None or table.ndim != 2 or table.dtype != np.float32:
        return
    if len(table) < _MIN_ROWS or node.attributes.get_int("axis"):
        return
    rows, scale = quantize_columns(np.ascontiguousarray(table.T), 127)
    ids = node.inputs[1]
    weights = initializer(graph, f"{source.name}/int8", rows.T)
    scales = initializer(graph, f"{source.name}/scale", scale[:, None])
    levels = add_node(graph, "Gather", [weights, ids], before=node)
    row_scales = add_node(graph, "Gather", [scales, ids], before=node)
    floats = add_node(graph, "Cast", [levels], before=node, to=ir.DataType.FLOAT)
    output = add_node(graph, "Mul", [floats, row_scales], before=node)
    ir.convenience.replace_all_uses_with(node.outputs[0], output)
