"""What attention knows of positions: rotary tables, windows, and biases by relative position.

Everything that depends on a distance alone is made once per run, or once per export where it does
not depend on the text at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from leanbert_export.architectures.description import (
    Attention,
    Disentangled,
    Encoder,
    Floats,
    Linear,
    RelativeBias,
    Rotary,
)
from leanbert_export.architectures.distances import disentangled_rows, relative_buckets
from leanbert_export.graph.building import Builder
from leanbert_export.graph.embeddings import sequence_length
from leanbert_export.graph.operators import MICROSOFT

__all__ = ["Positions"]

FAR = np.float32(-1e9)
"""The score of a token outside the window. It is far above that of padding, so that a row of
padding that sees only padding in its window still has a finite sum."""


class Positions:
    """Adds to a graph what attention reads of positions; what layers share is made once.

    Args:
        builder: of the graph.
        encoder: whose layers read it.
    """

    def __init__(self, builder: Builder, encoder: Encoder) -> None:
        self._builder, self._encoder = builder, encoder
        self._made: dict[object, ir.Value] = {}

    def turn(self, attention: Attention, value: ir.Value, name: str) -> ir.Value:
        """Queries or keys, turned by their positions."""
        rotary, builder = attention.rotary, self._builder
        if rotary is None:
            raise AssertionError(name)
        number = 1 + self._encoder.rotaries.index(rotary)
        half, most = len(rotary.frequencies), self._encoder.max_tokens
        tables = [
            builder.tensor(
                f"rotary.{number}.{kind}",
                (most, half),
                lambda function=function: _table(rotary, most, function),  # type: ignore[misc]
            )
            for kind, function in (("cos", np.cos), ("sin", np.sin))
        ]
        start = builder.constant("rotary_start", np.zeros(1, np.int64))
        (output,) = builder.nodes(
            "RotaryEmbedding",
            [value, start, *tables],
            1,
            f"{name}/RotaryEmbedding",
            domain=MICROSOFT,
            num_heads=attention.num_heads,
        )
        return output

    def bias(
        self, i: int, attention: Attention, query: ir.Value, key: ir.Value, *, first: bool
    ) -> ir.Value | None:
        """What is added to the scores of layer ``i``; ``None`` for nothing.

        *Shape:* broadcasts to ``(batch, heads, queries, length)``.

        Args:
            i: of the layer.
            attention: of the layer.
            query: *shape* ``(batch, length, hidden)``.
            key: the same shape.
            first: whether there is one query per text, that of the first token.
        """
        relative = self._encoder.relative
        if isinstance(relative, Disentangled):
            return self._disentangled(i, attention, relative, query, key)
        made = None
        if isinstance(relative, RelativeBias):
            made = self._relative(relative)
        elif attention.window is not None:
            made = self._window(attention.window)
        if made is None or not first:
            return made
        zero = self._builder.constant("first_token", np.zeros(1, np.int64))
        return self._once(
            ("first", made.name),
            lambda: self._builder.node("Gather", [made, zero], "positions/first_token", axis=2),
        )

    def _once(self, key: object, make: Callable[[], ir.Value]) -> ir.Value:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _distances(self) -> ir.Value:
        """Key's position minus query's, int64, *shape* ``(length, length)``."""
        builder, most = self._builder, self._encoder.max_tokens

        def make() -> ir.Value:
            every = builder.constant("position_of", np.arange(most, dtype=np.int64))
            zero = builder.constant("axis_0", np.array([0], np.int64))
            length = self._length()
            keys = builder.node("Slice", [every, zero, length], "positions/Slice")
            one = builder.constant("axis_1", np.array([1], np.int64))
            queries = builder.node("Unsqueeze", [keys, one], "positions/Unsqueeze")
            return builder.node("Sub", [keys, queries], "positions/Sub")

        return self._once("distances", make)

    def _window(self, window: int) -> ir.Value:
        builder = self._builder

        def make() -> ir.Value:
            far = builder.node("Abs", [self._distances()], f"window.{window}/Abs")
            most = builder.constant(f"window_{window}", np.array(window, np.int64))
            out = builder.node("Greater", [far, most], f"window.{window}/Greater")
            scores = [builder.constant(n, v) for n, v in (("far", FAR), ("near", np.float32(0)))]
            bias = builder.node("Where", [out, *scores], f"window.{window}/Where")
            axes = builder.constant("axes_0_1", np.array([0, 1], np.int64))
            return builder.node("Unsqueeze", [bias, axes], f"window.{window}/Unsqueeze")

        return self._once(("window", window), make)

    def _relative(self, relative: RelativeBias) -> ir.Value:
        builder, most = self._builder, self._encoder.max_tokens

        def make() -> ir.Value:
            distances = np.arange(1 - most, most)
            rows = relative_buckets(distances, relative.buckets, relative.max_distance)
            buckets = builder.constant("relative_buckets", rows)
            start = builder.constant("relative_start", np.array(most - 1, np.int64))
            index = builder.node("Add", [self._distances(), start], "relative/Add")
            bucket = builder.node("Gather", [buckets, index], "relative/Gather_bucket")
            table = builder.tensor("relative.bias", relative.table.shape, lambda: relative.table)
            bias = builder.node("Gather", [table, bucket], "relative/Gather")
            bias = builder.node("Transpose", [bias], "relative/Transpose", perm=[2, 0, 1])
            axis = builder.constant("axis_0", np.array([0], np.int64))
            return builder.node("Unsqueeze", [bias, axis], "relative/Unsqueeze")

        return self._once("relative", make)

    # DeBERTa. With ``d`` a query's position minus a key's, column ``c`` of a matmul with the table
    # is that of ``d = length - 1 - c``. Read with a row's length of one less, each row starts one
    # column earlier than the row above, so that the column of key ``j`` and query ``i`` is ``j``.

    def _disentangled(
        self, i: int, attention: Attention, relative: Disentangled, query: ir.Value, key: ir.Value
    ) -> ir.Value:
        builder, name = self._builder, f"layer.{i}"
        terms = []
        if relative.c2p and attention.position_key is not None:
            table = self._compared(i, "position_key", attention.position_key, relative, attention)
            terms.append(self._by_distance(query, table, attention, f"{name}.position_key"))
        if relative.p2c and attention.position_query is not None:
            table = self._compared(
                i, "position_query", attention.position_query, relative, attention
            )
            turned = self._by_distance(key, table, attention, f"{name}.position_query")
            terms.append(
                builder.node("Transpose", [turned], f"{name}.p2c/Transpose", perm=[0, 1, 3, 2])
            )
        return terms[0] if len(terms) == 1 else builder.node("Add", terms, f"{name}.positions/Add")

    def _compared(
        self, i: int, kind: str, linear: Linear, relative: Disentangled, attention: Attention
    ) -> ir.Value:
        """The rows of positions that queries or keys are multiplied by, one per distance.

        *Shape:* ``(1, heads, head_size, 2 * length)``.
        """
        builder, name = self._builder, f"layer.{i}.{kind}"
        table = builder.tensor(
            f"{name}.weight",
            (len(relative.table), linear.weight.shape[1]),
            lambda: _projected(relative.table, linear, attention.scale),
        )
        rows = self._rows(relative, of_keys=kind == "position_query")
        rows = builder.node("Gather", [table, rows], f"{name}/Gather")
        cut = builder.node("Reshape", [rows, self._heads(attention, rows=True)], f"{name}/Reshape")
        return builder.node("Transpose", [cut], f"{name}/Transpose", perm=[0, 2, 3, 1])

    def _rows(self, relative: Disentangled, *, of_keys: bool) -> ir.Value:
        """The row of each column's distance; seen from keys, distances have the other sign."""
        builder, most = self._builder, self._encoder.max_tokens
        kind = "keys" if of_keys else "queries"

        def make() -> ir.Value:
            distances = most - 1 - np.arange(2 * most)
            rows = disentangled_rows(
                -distances if of_keys else distances,
                relative.span,
                relative.buckets,
                relative.max_distance,
            )
            every = builder.constant(f"rows_of_{kind}", rows)
            return builder.node("Slice", [every, *self._middle()], f"rows_of_{kind}/Slice")

        return self._once(kind, make)

    def _middle(self) -> tuple[ir.Value, ir.Value]:
        """Where the distances of the batch's length start and end among those of the longest."""
        builder = self._builder
        middle = builder.constant("middle", np.array([self._encoder.max_tokens], np.int64))
        length = self._length()
        return (
            self._once("from", lambda: builder.node("Sub", [middle, length], "middle/Sub")),
            self._once("to", lambda: builder.node("Add", [middle, length], "middle/Add")),
        )

    def _length(self) -> ir.Value:
        return self._once("length", lambda: sequence_length(self._builder))

    def _heads(self, attention: Attention, *, rows: bool = False) -> ir.Value:
        size = attention.query.weight.shape[1] // attention.num_heads
        start: Sequence[int] = [1, -1] if rows else [0, 0]
        name = "heads_of_rows" if rows else "heads"
        shape = np.array([*start, attention.num_heads, size], np.int64)
        return self._builder.constant(name, shape)

    def _by_distance(
        self, value: ir.Value, table: ir.Value, attention: Attention, name: str
    ) -> ir.Value:
        """Queries or keys times the rows of positions, *shape* ``(batch, heads, length, length)``.

        The last axis has the other position.
        """
        builder = self._builder
        cut = builder.node("Reshape", [value, self._heads(attention)], f"{name}/Reshape_heads")
        heads = builder.node("Transpose", [cut], f"{name}/Transpose_heads", perm=[0, 2, 1, 3])
        every = builder.node("MatMul", [heads, table], f"{name}/MatMul")
        flat = builder.constant("flat", np.array([0, 0, -1], np.int64))
        value = builder.node("Reshape", [every, flat], f"{name}/Reshape_flat")
        start, end, shape, length = self._skew()
        two, three, zero = (
            builder.constant(f"axis_{n}", np.array([n], np.int64)) for n in (2, 3, 0)
        )
        value = builder.node("Slice", [value, start, end, two], f"{name}/Slice_flat")
        value = builder.node("Reshape", [value, shape], f"{name}/Reshape_skewed")
        return builder.node("Slice", [value, zero, length, three], f"{name}/Slice")

    def _skew(self) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
        """Start and end of what is read of the flat matmul, its new shape, and the length."""
        builder = self._builder
        one = builder.constant("axis_1", np.array([1], np.int64))
        length = self._length()
        start = self._once("start", lambda: builder.node("Sub", [length, one], "skew/Sub"))

        def make_end() -> ir.Value:
            width = builder.node("Add", [length, start], "skew/Add")
            size = builder.node("Mul", [length, width], "skew/Mul")
            return builder.node("Add", [start, size], "skew/Add_start")

        def make_shape() -> ir.Value:
            kept = builder.constant("kept", np.array([0, 0], np.int64))
            rest = builder.constant("rest", np.array([-1], np.int64))
            return builder.node("Concat", [kept, length, rest], "skew/Concat", axis=0)

        return start, self._once("end", make_end), self._once("shape", make_shape), length


def _table(rotary: Rotary, most: int, function: np.ufunc) -> Floats:
    angles = np.arange(most, dtype=np.float32)[:, None] * rotary.frequencies
    found: Floats = function(angles.astype(np.float64)).astype(np.float32)
    return found


def _projected(table: Floats, linear: Linear, scale: float) -> Floats:
    """The table of distances, multiplied, with the scale of the scores in it already."""
    bias = np.float32(0) if linear.bias is None else linear.bias
    found: Floats = (table @ linear.weight + bias) * np.float32(scale)
    return found
