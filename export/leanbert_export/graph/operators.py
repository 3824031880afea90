"""Names of the operators, and the versions of operator sets, that several steps look for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

ATTENTION = "MultiHeadAttention"
"""One operator per layer, from :data:`MICROSOFT`."""

NORMALIZATION = "LayerNormalization"

TRACED_OPSET = 18
"""PyTorch is traced to this: LayerNormalization is one operator from 17, and the fusions are tested
on 18."""

FINAL_OPSET = 21
"""From 21, QuantizeLinear takes a block, so that one vectorized call gives each row its scale."""


def count_operators(path: Path) -> dict[str, int]:
    """Count each operator of a saved graph, the most frequent first; weights are not read."""
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    return dict(Counter(node.op_type for node in nodes).most_common())
