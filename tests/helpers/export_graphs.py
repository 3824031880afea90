"""Read graphs for the export's tests, with onnx alone: another eye than the code under test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

BOOKKEEPING = frozenset({"Expand", "Shape"})
"""Of zero points: one for all matmuls that can share it, so they belong to no layer."""


@dataclass
class Graph:
    """A graph's nodes, and its weights as arrays."""

    nodes: list[Any]
    weights: Mapping[str, npt.NDArray[Any]]
    outputs: list[str]

    @property
    def counts(self) -> Counter[str]:
        """How often each operator is there."""
        return Counter(node.op_type for node in self.nodes)

    def of(self, op_type: str) -> list[Any]:
        """The nodes of one kind, in the graph's order."""
        return [node for node in self.nodes if node.op_type == op_type]

    def maker(self, name: str) -> Any:
        """The node that computes ``name``; ``None`` for inputs and weights."""
        return next((node for node in self.nodes if name in node.output), None)

    def users(self, name: str) -> list[Any]:
        """The nodes that read ``name``."""
        return [node for node in self.nodes if name in node.input]

    def layers(self) -> list[Counter[str]]:
        """Operators of the embeddings, of each layer, and of the head.

        A layer is what its last LayerNorm needs and the layer before does not: in post-norm models
        every other one after the embeddings' ends a layer.
        """
        ends = [node.output[0] for node in self.of("LayerNormalization")][::2]
        parts, done = [], set[str]()
        for names in [*([end] for end in ends), self.outputs]:
            needed = self._needed(names) - done
            done |= needed
            parts.append(
                Counter(
                    node.op_type
                    for node in self.nodes
                    if node.output[0] in needed and node.op_type not in BOOKKEEPING
                )
            )
        return parts

    def _needed(self, names: list[str]) -> set[str]:
        makers = {output: node for node in self.nodes for output in node.output}
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            node = makers.get(waiting.pop())
            if node is not None and node.output[0] not in found:
                found.add(node.output[0])
                waiting += node.input
        return found


def read(bundle: Path) -> Graph:
    """The graph of a bundle."""
    graph = onnx.load(str(bundle / "model.onnx")).graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    return Graph(list(graph.node), weights, [output.name for output in graph.output])


def recipe_of(bundle: Path) -> dict[str, Any]:
    """What the manifest says of the recipe."""
    manifest = json.loads((bundle / "leanbert.json").read_text(encoding="utf-8"))
    recipe: dict[str, Any] = manifest["recipe"]
    return recipe


@dataclass
class Int8Matmul:
    """One per-token matmul as it stands in the graph."""

    levels: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    zero_point: int
    smoothing: npt.NDArray[np.float32] | None
    node: Any
    quantize: Any
    """The QuantizeLinear before it."""

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """In fp32, as the rows before smoothing meet it. *Shape:* ``(inputs, outputs)``."""
        restored = self.levels * self.scale
        return restored if self.smoothing is None else self.smoothing[:, None] * restored


def matmuls(graph: Graph) -> list[Int8Matmul]:
    """The per-token matmuls in the graph's order."""
    found = []
    for node in graph.of("MatMulIntegerToFloat"):
        rows, weight, row_scale, scale, zero = node.input[:5]
        quantize = graph.maker(rows)
        assert quantize.op_type == "QuantizeLinear"
        assert quantize.input[1] == row_scale
        before = graph.maker(quantize.input[0])
        smoothing = None
        if before is not None and before.op_type == "Mul" and before.input[1] in graph.weights:
            smoothing = graph.weights[before.input[1]]
        found.append(
            Int8Matmul(
                graph.weights[weight],
                graph.weights[scale],
                graph.weights[zero].item(),
                smoothing,
                node,
                quantize,
            )
        )
    return found
