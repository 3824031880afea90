"""Build a graph node by node, with names that say what each thing is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from leanbert_export.architectures.description import Activation, Floats, Norm
from leanbert_export.graph.editing import initializer
from leanbert_export.graph.final import MOST_LABELS, FinalGraph, Matmul
from leanbert_export.graph.operators import FINAL_OPSET, MICROSOFT, NORMALIZATION

__all__ = ["Builder"]

_LARGE = 4096  # numbers; what is smaller is made at once
_ACTIVATIONS = {"gelu": "Gelu", "gelu_tanh": "FastGelu", "relu": "Relu", "tanh": "Tanh"}
_GELU = frozenset({"Gelu", "FastGelu"})


class Builder:
    """A graph that grows, and the record of its matmuls, tables and roles.

    Args:
        inputs: names; each is int64, *shape* ``(batch_size, sequence_length)``.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        shape = ["batch_size", "sequence_length"]
        self.inputs = {
            name: ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.INT64))
            for name in inputs
        }
        self.graph = ir.Graph([*self.inputs.values()], [], nodes=[], name="leanbert")
        self._matmuls: list[Matmul] = []
        self._tables: list[tuple[str, ir.Node]] = []
        self._roles: dict[str, str] = {}

    def finish(self, outputs: Sequence[ir.Value]) -> FinalGraph:
        """The graph with these outputs."""
        self.graph.outputs.extend(outputs)
        self.graph.opset_imports.update({"": FINAL_OPSET, MICROSOFT: 1})
        model = ir.Model(self.graph, ir_version=10, producer_name="leanbert")
        return FinalGraph(model, self._matmuls, self._tables, self._roles)

    def node(
        self, op_type: str, inputs: Sequence[ir.Value | None], name: str = "", **attributes: Any
    ) -> ir.Value:
        """Add an operator with one output at the end of the graph."""
        return self.nodes(op_type, inputs, 1, name, **attributes)[0]

    def nodes(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        outputs: int,
        name: str = "",
        *,
        domain: str = "",
        **attributes: Any,
    ) -> Sequence[ir.Value]:
        """Add an operator with several outputs at the end of the graph."""
        node = ir.node(
            op_type,
            inputs,
            attributes=attributes,
            domain=domain,
            num_outputs=outputs,
            name=name or None,
        )
        self.graph.append(node)
        return node.outputs

    def constant(self, name: str, values: npt.ArrayLike) -> ir.Value:
        """A small constant; the same name gives the same one."""
        return initializer(self.graph, name, lambda: np.asarray(values))

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        make: Callable[[], Floats],
        roles: Sequence[str] = (),
    ) -> ir.Value:
        """A float32 initializer; a large one is made when it is read, and not kept.

        Args:
            name: the same name gives the same initializer.
            shape: of what ``make`` gives.
            make: gives the numbers.
            roles: under which the native engine's layout knows it; by default ``name``.
        """
        for role in roles or (name,):
            self._roles[role] = name
        if name in self.graph.initializers:
            return self.graph.initializers[name]

        def tensor() -> ir.TensorProtocol:
            return ir.Tensor(np.ascontiguousarray(make(), np.float32), name=name)

        large = int(np.prod(shape)) > _LARGE
        value = ir.Value(
            name=name,
            shape=ir.Shape(shape),
            type=ir.TensorType(ir.DataType.FLOAT),
            const_value=(
                ir.LazyTensor(tensor, ir.DataType.FLOAT, ir.Shape(shape), name=name)
                if large
                else tensor()
            ),
        )
        self.graph.initializers[name] = value
        return value

    def matmul(
        self,
        source: ir.Value,
        name: str,
        base: str,
        weight: Sequence[Floats],
        bias: Floats | None = None,
        *,
        role: str = "",
        first_token: bool = False,
        rank: int = 3,
    ) -> ir.Value:
        """A matmul that may become int8, and the sum with its bias.

        Args:
            source: the input.
            name: of the matmul.
            base: under which its tensors are called; layers that share them give the same one.
            weight: matrices side by side, each *shape* ``(inputs, some outputs)``.
            bias: is added to the output; ``None`` for none.
            role: its name in the native engine's layout, if not ``name``.
            first_token: whether the input has one row per text.
            rank: of the input.
        """
        role = role or name
        rows, columns = weight[0].shape[0], sum(part.shape[1] for part in weight)
        matrix = self.tensor(
            f"{base}.weight",
            (rows, columns),
            lambda: weight[0] if len(weight) == 1 else np.concatenate(weight, axis=1),
            (f"{role}.weight",),
        )
        output = self.node("MatMul", [source, matrix], f"{name}/MatMul")
        made = source.producer()
        node = output.producer()
        if node is None:
            raise AssertionError(name)
        add = None
        if bias is not None:
            output = self.add_bias(output, role, base, bias, f"{name}/Add")
            add = output.producer()
        if columns > MOST_LABELS or role != "head.classifier":
            maker = made.op_type if made is not None else ""
            self._matmuls.append(
                Matmul(
                    name=name,
                    node=node,
                    input=source,
                    shape=(rows, columns),
                    add=add,
                    after_gelu=maker in _GELU,
                    after_norm=maker == NORMALIZATION,
                    first_token=first_token,
                    rank=rank,
                    role=role,
                )
            )
        return output

    def add_bias(self, value: ir.Value, role: str, base: str, bias: Floats, name: str) -> ir.Value:
        """The sum with a vector, which is called ``base.bias``."""
        vector = self.tensor(f"{base}.bias", bias.shape, lambda: bias, (f"{role}.bias",))
        return self.node("Add", [value, vector], name)

    def norm(self, value: ir.Value, role: str, base: str, norm: Norm) -> ir.Value:
        """A layer normalization, with a bias or without."""
        gamma, beta = norm.gamma, norm.beta
        scale = self.tensor(f"{base}.gamma", gamma.shape, lambda: gamma, (f"{role}.gamma",))
        inputs = [value, scale]
        if beta is not None:
            inputs.append(self.tensor(f"{base}.beta", beta.shape, lambda: beta, (f"{role}.beta",)))
        return self.node(
            NORMALIZATION, inputs, f"{role}/{NORMALIZATION}", axis=-1, epsilon=norm.eps
        )

    def table(self, role: str, rows: Floats, ids: ir.Value) -> ir.Value:
        """The rows of an embedding table for some ids."""
        name = f"embeddings.{role}"
        value = self.tensor(name, rows.shape, lambda: rows)
        output = self.node("Gather", [value, ids], f"{name}/Gather")
        node = output.producer()
        if node is None:
            raise AssertionError(name)
        self._tables.append((name, node))
        return output

    def activate(self, value: ir.Value, activation: Activation, name: str) -> ir.Value:
        """The activation of every number."""
        if activation == "identity":
            return value
        if activation == "silu":
            (output,) = self.nodes(
                "QuickGelu", [value], 1, f"{name}/QuickGelu", domain=MICROSOFT, alpha=1.0
            )
            return output
        operator = _ACTIVATIONS[activation]
        domain = MICROSOFT if operator in _GELU else ""
        (output,) = self.nodes(operator, [value], 1, f"{name}/{operator}", domain=domain)
        return output
