"""A final fp32 graph, with what the later steps of the export need to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["MOST_LABELS", "FinalGraph", "Matmul"]

MOST_LABELS = 256
"""A matmul that gives at most so many scores is a classifier and stays fp32: it has few weights,
and they decide the answer. One that scores the words of a vocabulary is none in this sense."""


@dataclass(frozen=True)
class Matmul:
    """A matmul with a constant matrix that may become int8, and the bias that follows it."""

    name: str
    """For example ``layer.3.ffn_down``."""
    node: ir.Node
    input: ir.Value
    """*Shape:* ``(batch, length, inputs)``, or ``(batch, inputs)`` in a head."""
    shape: tuple[int, int]
    """Inputs and outputs."""
    add: ir.Node | None = None
    """The node that adds the bias."""
    after_gelu: bool = False
    """Whether the input is the output of a GELU, which is never below -0.1701."""
    after_norm: bool = False
    """Whether the input is the output of a LayerNorm, whose outlier channels cost accuracy."""
    first_token: bool = False
    """Whether the input has one row per text instead of one per token."""
    rank: int = 3
    """Number of axes of the input: 2 once the head has taken the first token, else 3."""
    role: str = ""
    """The name of its tensors in the native engine's layout, where it differs from ``name``."""

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """The matrix; it is computed anew at each call where it is a joined one."""
        value = self.node.inputs[1]
        if value is None or value.const_value is None:
            raise AssertionError(self.name)  # whoever made it has checked that
        return value.const_value.numpy()

    @property
    def weight_name(self) -> str:
        """The name of the initializer; layers that share weights (ALBERT) have the same."""
        value = self.node.inputs[1]
        return str(value.name) if value is not None else self.name


@dataclass
class FinalGraph:
    """A graph in its final form."""

    model: ir.Model
    matmuls: Sequence[Matmul]
    """Those that may become int8, in the graph's order; classifiers of few labels are left out."""
    tables: Sequence[tuple[str, ir.Node]] = ()
    """The ``Gather`` of each embedding table, with the table's role."""
    roles: dict[str, str] = field(default_factory=dict)
    """The initializer of each tensor in the native engine's layout; empty for a traced graph."""
