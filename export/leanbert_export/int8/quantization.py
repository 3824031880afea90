"""Write quantized matmuls into the final fp32 graph.

Four steps take the place of a matmul. The largest and the smallest value of each row are found, and
with them the scale of the row. ``QuantizeLinear``, with a block as wide as the row, rounds the row
to uint8. ``MatMulIntegerToFloat`` multiplies, and the bias is added. So the result of a token
depends on no other token. Embedding tables become int8 with one scale per row. Attention,
normalization and the last, small classifier stay in fp32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from leanbert_export.errors import ExportError
from leanbert_export.graph.editing import add_node, bias_after, constant, initializer, tidy
from leanbert_export.graph.final import FinalGraph, Matmul
from leanbert_export.graph.operators import ATTENTION, MICROSOFT
from leanbert_export.int8.ranges import GELU_FLOOR, TINY, ActivationRange
from leanbert_export.int8.rounding import quantize_columns
from leanbert_export.int8.weights import QuantizedMatmul
from leanbert_export.recipe import Int8Settings

_MIN_ROWS = 64  # smaller embedding tables, such as that of token types, would save nothing


def quantize_graph(
    final: FinalGraph, quantized: Mapping[str, QuantizedMatmul], settings: Int8Settings
) -> int:
    """Replace matmuls of the final fp32 graph, and its embedding tables, by int8 ones in place.

    Args:
        final: the final fp32 graph; it knows afterwards where the int8 tensors are.
        quantized: the numbers of each matmul that is to be int8, by the matmul's name.
        settings: of the recipe.

    Returns:
        How many matmuls were replaced.
    """
    writer = _Writer(final, settings)
    done = 0
    for matmul in final.matmuls:
        numbers = quantized.get(matmul.name)
        if numbers is not None:
            writer.replace(matmul, numbers)
            done += 1
    for role, node in final.tables:
        _quantize_table(final, role, node)
    final.model.opset_imports[MICROSOFT] = 1
    tidy(final.model)
    return done


def check_matmuls(matmuls: int, graph: ir.Graph) -> None:
    """Check that each layer has its four matmuls.

    Raises:
        ExportError: fewer were found.
    """
    attentions = sum(node.op_type == ATTENTION for node in graph)
    if matmuls < 4 * attentions or not matmuls:
        raise ExportError(
            f"{matmuls} matmuls were found where {4 * attentions} were expected "
            "(in each layer QKV, attention's output, and two of the feed-forward network)"
        )


class _Writer:
    """Writes the operators of int8 matmuls; operators that several share are made once."""

    def __init__(self, final: FinalGraph, settings: Int8Settings) -> None:
        self._graph, self._settings, self._roles = final.model.graph, settings, final.roles
        self._zero_points: dict[tuple[int, bool, int], ir.Value] = {}

    def replace(self, matmul: Matmul, numbers: QuantizedMatmul) -> None:
        """Replace one matmul, and correct its bias."""
        node, name = matmul.node, matmul.name
        matrix = self._tensor(matmul, "weight", "int8", numbers.levels)
        scale = self._tensor(matmul, "scale", "scale", numbers.scale)
        if self._settings.per_token:
            value = matmul.input
            if numbers.smoothing is not None:
                inverse = self._tensor(matmul, "smoothing", "smoothing", 1 / numbers.smoothing)
                value = add_node(self._graph, "Mul", [value, inverse], before=node)
            row_scale, levels = self._rows(matmul, value, numbers.range)
            zero = initializer(
                self._graph,
                f"zero_point_{numbers.range.zero_point}",
                np.array(numbers.range.zero_point, np.uint8),
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
                [matmul.input, matrix, scale],
                before=node,
                domain=MICROSOFT,
            )
        bias = bias_after(node)
        if bias is not None and numbers.bias_change.any():
            changed = initializer(self._graph, f"{name}/bias", bias.vector + numbers.bias_change)
            bias.node.replace_input_with(bias.position, changed)
            self._roles[f"{matmul.role}.bias"] = str(changed.name)
        ir.convenience.replace_all_uses_with(node.outputs[0], output)

    def _tensor(self, matmul: Matmul, part: str, end: str, array: npt.NDArray[Any]) -> ir.Value:
        """A tensor of a matmul; layers that share the weights share it."""
        value = initializer(self._graph, f"{matmul.weight_name}/{end}", array)
        self._roles[f"{matmul.role}.{part}"] = str(value.name)
        return value

    def _rows(
        self, matmul: Matmul, value: ir.Value, chosen: ActivationRange
    ) -> tuple[ir.Value, ir.Value]:
        """The scales of the rows, *shape* ``(…, 1)``, and their uint8 levels."""
        graph, node = self._graph, matmul.node

        def vector(number: float) -> ir.Value:
            return initializer(graph, f"constant_{number!r}", np.array([number], np.float32))

        last = initializer(graph, "last_axis", np.array([-1], np.int64))
        high = add_node(graph, "ReduceMax", [value, last], before=node, keepdims=1)
        ends = [add_node(graph, "Mul", [high, vector(chosen.high)], before=node)]
        if matmul.after_gelu:
            ends.append(vector(float(np.float32(-GELU_FLOOR * chosen.low))))
        else:
            low = add_node(graph, "ReduceMin", [value, last], before=node, keepdims=1)
            ends.append(add_node(graph, "Mul", [low, vector(chosen.low)], before=node))
            ends.append(vector(TINY))
        scale = add_node(graph, "Max", ends, before=node)
        levels = add_node(
            graph,
            "QuantizeLinear",
            [value, scale, self._zero_point(matmul, chosen, scale)],
            before=node,
            axis=-1,
            block_size=matmul.shape[0],
        )
        return scale, levels

    def _zero_point(self, matmul: Matmul, chosen: ActivationRange, scale: ir.Value) -> ir.Value:
        """The zero point, repeated for each row as QuantizeLinear wants it."""
        key = chosen.zero_point, matmul.first_token, matmul.rank
        if key not in self._zero_points:
            one = np.array([chosen.zero_point], np.uint8)
            self._zero_points[key] = add_node(
                self._graph,
                "Expand",
                [
                    initializer(self._graph, f"zero_points_{chosen.zero_point}", one),
                    add_node(self._graph, "Shape", [scale], before=matmul.node),
                ],
                before=matmul.node,
            )
        return self._zero_points[key]


def _quantize_table(final: FinalGraph, role: str, node: ir.Node) -> None:
    """Store an embedding table in int8, and multiply the rows looked up by their scales."""
    graph = final.model.graph
    table, source = constant(node.inputs[0]), node.inputs[0]
    if source is None or table is None or table.ndim != 2 or table.dtype != np.float32:
        return
    if len(table) < _MIN_ROWS:
        return
    rows, scale = quantize_columns(np.ascontiguousarray(table.T), 127)
    ids = node.inputs[1]
    weights = initializer(graph, f"{source.name}/int8", rows.T)
    scales = initializer(graph, f"{source.name}/scale", scale[:, None])
    if role:
        final.roles |= {role: str(weights.name), f"{role}_scale": str(scales.name)}
    levels = add_node(graph, "Gather", [weights, ids], before=node)
    row_scales = add_node(graph, "Gather", [scales, ids], before=node)
    floats = add_node(graph, "Cast", [levels], before=node, to=ir.DataType.FLOAT)
    output = add_node(graph, "Mul", [floats, row_scales], before=node)
    ir.convenience.replace_all_uses_with(node.outputs[0], output)
