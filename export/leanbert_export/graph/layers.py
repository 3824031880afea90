"""The layers of the graph: attention, feed-forward network, residual sums and norms."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from leanbert_export.architectures.description import (
    Attention,
    Disentangled,
    Encoder,
    FeedForward,
    Floats,
    Layer,
)
from leanbert_export.graph.building import Builder
from leanbert_export.graph.embeddings import build_lengths
from leanbert_export.graph.operators import ATTENTION, MICROSOFT
from leanbert_export.graph.positions import Positions

__all__ = ["Layers"]

_HIDDEN = float(np.finfo(np.float32).min)  # the score of padding


class Layers:
    """Adds layers to a graph.

    Args:
        builder: of the graph.
        encoder: with its biases folded already (:func:`leanbert_export.graph.folding.fold`).
    """

    def __init__(self, builder: Builder, encoder: Encoder) -> None:
        self._builder, self._encoder = builder, encoder
        self._lengths = build_lengths(builder)
        self._positions = Positions(builder, encoder)
        self._firsts: dict[ir.Value, ir.Value] = {}
        same: dict[int, int] = {}
        self._bases = [same.setdefault(id(layer), i) for i, layer in enumerate(encoder.layers)]

    def add(self, value: ir.Value) -> ir.Value:
        """All layers.

        If the head reads only the first token, the last layer computes all keys and values, but
        only one query, and after attention it computes only the first token.

        Args:
            value: the input, *shape* ``(batch, length, hidden)``.

        Returns:
            The output, *shape* ``(batch, length, hidden)``, or ``(batch, 1, hidden)`` if the head
            reads the first token only.
        """
        encoder = self._encoder
        for i, layer in enumerate(encoder.layers):
            first = i == len(encoder.layers) - 1 and encoder.head.pooling == "first_token"
            value = self._layer(i, layer, value, first=first)
        if encoder.final_norm is not None:
            value = self._builder.norm(value, "final_norm", "final_norm", encoder.final_norm)
        return value

    def _layer(self, i: int, layer: Layer, value: ir.Value, *, first: bool) -> ir.Value:
        builder, post = self._builder, not self._encoder.pre_norm
        own, base = f"layer.{i}", f"layer.{self._bases[i]}"
        source, norm = value, layer.attention_norm
        if not post and norm is not None:
            source = builder.norm(value, f"{own}.attention_norm", f"{base}.attention_norm", norm)
        attended = self._attention(i, layer.attention, source, first=first)
        if first:
            value = self._first(value, f"{own}.residual")
        output = layer.attention.output
        value = self._sum(
            builder.matmul(
                attended,
                f"{own}.attention_output",
                f"{base}.attention_output",
                [output.weight],
                output.bias,
                first_token=first,
            ),
            value,
            f"{own}.attention_output",
        )
        if post and norm is not None:
            value = builder.norm(value, f"{own}.attention_norm", f"{base}.attention_norm", norm)
        names = f"{own}.ffn_norm", f"{base}.ffn_norm"
        source = value if post else builder.norm(value, *names, layer.ffn_norm)
        down = self._feed_forward(own, base, layer.feed_forward, source, first=first)
        value = self._sum(down, value, f"{own}.ffn_down")
        return builder.norm(value, *names, layer.ffn_norm) if post else value

    def _sum(self, value: ir.Value, residual: ir.Value, name: str) -> ir.Value:
        return self._builder.node("Add", [value, residual], f"{name}/Add_residual")

    def _first(self, value: ir.Value, name: str) -> ir.Value:
        """The first token of each text, *shape* ``(batch, 1, width)``; taken once per value."""
        if value not in self._firsts:
            zero = self._builder.constant("first_token", np.zeros(1, np.int64))
            node = f"{name}/Gather_first"
            self._firsts[value] = self._builder.node("Gather", [value, zero], node, axis=1)
        return self._firsts[value]

    def _feed_forward(
        self, own: str, base: str, forward: FeedForward, source: ir.Value, *, first: bool
    ) -> ir.Value:
        builder, up, more, down = self._builder, forward.up, forward.multiplier, forward.down
        weights, bias = [up.weight], up.bias
        if more is not None:
            weights.append(more.weight)
            if bias is not None or more.bias is not None:
                parts = [p.bias if p.bias is not None else _zeros(p.weight) for p in (up, more)]
                bias = np.concatenate(parts)
        names = f"{own}.ffn_up", f"{base}.ffn_up"
        value = builder.matmul(source, *names, weights, bias, first_token=first)
        if more is None:
            value = builder.activate(value, forward.activation, f"{own}.ffn_up")
        else:
            one, other = builder.nodes(
                "Split", [value], 2, f"{own}.ffn_up/Split", axis=-1, num_outputs=2
            )
            active = builder.activate(one, forward.activation, f"{own}.ffn_up")
            value = builder.node("Mul", [active, other], f"{own}.ffn_up/Mul")
        names = f"{own}.ffn_down", f"{base}.ffn_down"
        return builder.matmul(value, *names, [down.weight], down.bias, first_token=first)

    def _attention(
        self, i: int, attention: Attention, source: ir.Value, *, first: bool
    ) -> ir.Value:
        """The output of attention before its own matmul.

        *Shape:* ``(batch, length, hidden)``, or ``(batch, 1, hidden)`` for the first token.
        """
        builder, own = self._builder, f"layer.{i}"
        disentangled = isinstance(self._encoder.relative, Disentangled)
        alone = first and not disentangled  # else positions are compared with every query
        if alone:
            parts = self._separate(i, attention, source)
        else:
            parts = self._joined(i, attention, source)
        query, key, value = parts
        if attention.rotary is not None:
            if not alone:  # the first token is turned by nothing
                query = self._positions.turn(attention, query, f"{own}.query")
            key = self._positions.turn(attention, key, f"{own}.key")
        bias = self._positions.bias(i, attention, query, key, first=alone)
        head_size = attention.query.weight.shape[1] // attention.num_heads
        scale = {}
        if not np.isclose(attention.scale, head_size**-0.5, rtol=1e-6):
            scale["scale"] = attention.scale
        (output,) = builder.nodes(
            ATTENTION,
            [query, key, value, None, self._lengths, *([] if bias is None else [bias])],
            1,
            f"{own}.attention/{ATTENTION}",
            domain=MICROSOFT,
            num_heads=attention.num_heads,
            mask_filter_value=_HIDDEN,
            **scale,
        )
        return self._first(output, f"{own}.attention") if first and not alone else output

    def _joined(self, i: int, attention: Attention, source: ir.Value) -> list[ir.Value]:
        """Query, key and value from one matmul.

        Where keys have a bias, one vector is added to both queries and keys.
        """
        builder, own, base = self._builder, f"layer.{i}", f"layer.{self._bases[i]}"
        query, key, value = attention.query, attention.key, attention.value
        name, weights = f"{own}.qkv", [query.weight, key.weight, value.weight]
        joined = builder.matmul(source, name, f"{base}.qkv", weights)
        if key.bias is None:
            parts = [*builder.nodes("Split", [joined], 3, f"{name}/Split", axis=-1, num_outputs=3)]
            if query.bias is not None:
                parts[0] = builder.add_bias(
                    parts[0], name, f"{base}.qkv", query.bias, f"{name}/Add"
                )
            return parts
        width = key.weight.shape[1]
        sizes = builder.constant("qk_and_v", np.array([2 * width, width], np.int64))
        both, third = builder.nodes("Split", [joined, sizes], 2, f"{name}/Split", axis=-1)
        first = query.bias if query.bias is not None else _zeros(query.weight)
        vector = np.concatenate([first, key.bias])
        both = builder.add_bias(both, name, f"{base}.qkv", vector, f"{name}/Add")
        turned = builder.nodes("Split", [both], 2, f"{name}/Split_qk", axis=-1, num_outputs=2)
        return [*turned, third]

    def _separate(self, i: int, attention: Attention, source: ir.Value) -> list[ir.Value]:
        """The query of the first token alone, and key and value of every token."""
        builder, own = self._builder, f"layer.{i}"
        token = self._first(source, f"{own}.query")
        query = builder.matmul(
            token,
            f"{own}.query",
            f"{own}.query",
            [attention.query.weight],
            attention.query.bias,
            first_token=True,
        )
        name, base = f"{own}.key_value", f"{own}.key_value"
        joined = builder.matmul(
            source,
            name,
            base,
            [attention.key.weight, attention.value.weight],
            role=f"{own}.qkv",
        )
        key, value = builder.nodes("Split", [joined], 2, f"{name}/Split", axis=-1, num_outputs=2)
        if attention.key.bias is not None:
            key = builder.add_bias(key, f"{own}.qkv", base, attention.key.bias, f"{name}/Add")
        return [query, key, value]


def _zeros(weight: Floats) -> Floats:
    return np.zeros(weight.shape[1], np.float32)
