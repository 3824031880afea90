"""Make the layout by which the native engine finds each weight, from the final graph.

The graph is walked back from its outputs. It must have exactly the structure that the native
encoder computes (``runtime/native/include/leanbert_native.h``), that of BERT with normalization
after each residual sum. The walk finds the initializer of each role, and the saved graph says where
the bytes of the initializer are. A graph of any other structure gets no layout and runs on ONNX
Runtime only.

Two things cannot be read from the graph and are proved by the golden texts instead: how positions
are numbered, and that the mask hides padding only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from leanbert.bundle import ModelConfig
from leanbert.engines.native.layout import LAYOUT_FORMAT
from leanbert_export.graph.operators import ATTENTION
from leanbert_export.layout.embeddings import find_embeddings
from leanbert_export.layout.head import HeadRoles, find_head
from leanbert_export.layout.patterns import (
    ACTIVATIONS,
    NoLayoutError,
    Norm,
    activation_of,
    biased,
    input_of,
    is_first_of,
    matmul_of,
    norm_of,
    pick,
    shape_of,
    sum_of,
)

__all__ = ["NoLayoutError", "Roles", "find_roles", "make_layout"]

_DTYPES = {onnx.TensorProto.INT8: ("int8", 1), onnx.TensorProto.FLOAT: ("float32", 4)}


@dataclass
class Roles:
    """What the walk found in a graph."""

    architecture: dict[str, Any]
    tensors: dict[str, str]
    """The name of the initializer of each role."""
    vectors: set[str] = field(default_factory=set)
    """Roles of shape ``(rows, 1)`` that the layout gives as ``(rows,)``."""


def find_roles(graph: ir.Graph, config: ModelConfig) -> Roles:
    """Find the role of each initializer of the final graph.

    Raises:
        NoLayoutError: the graph has a structure that the native encoder does not compute.
    """
    return _Walk(graph, config).roles()


def make_layout(roles: Roles, path: Path) -> dict[str, Any]:
    """Make the manifest's value of ``native``, for the saved graph at ``path``.

    Raises:
        NoLayoutError: a tensor is not in the weights file, or not at a multiple of its width.
    """
    saved = {
        tensor.name: tensor
        for tensor in onnx.load(str(path), load_external_data=False).graph.initializer
    }
    tensors: dict[str, Any] = {}
    files = set()
    for role, name in roles.tensors.items():
        tensor = saved.get(name)
        if tensor is None or tensor.data_location != onnx.TensorProto.EXTERNAL:
            raise NoLayoutError(f"{role} is not in the weights file")
        if tensor.data_type not in _DTYPES:
            raise NoLayoutError(f"{role} is neither int8 nor float32")
        dtype, width = _DTYPES[tensor.data_type]
        place = {entry.key: entry.value for entry in tensor.external_data}
        files.add(place["location"])
        offset = int(place.get("offset", 0))
        if offset % width:
            raise NoLayoutError(f"{role} starts at byte {offset}")
        shape = list(tensor.dims)
        size = width * int(np.prod(shape))
        if role in roles.vectors:
            shape = shape[:1]
        tensors[role] = {"dtype": dtype, "shape": shape, "offset": offset, "bytes": size}
    if len(files) != 1:
        raise NoLayoutError("the weights are in several files")
    return {
        "format": LAYOUT_FORMAT,
        "file": files.pop(),
        "architecture": roles.architecture,
        "tensors": tensors,
    }


class _Walk:
    """Goes from the outputs to the inputs, and expects one structure on the way."""

    def __init__(self, graph: ir.Graph, config: ModelConfig) -> None:
        self._graph, self._config = graph, config
        self._inputs = {str(value.name) for value in graph.inputs}
        self._tensors: dict[str, str] = {}
        self._eps: set[float] = set()
        self._heads: set[int] = set()
        self._sizes: set[tuple[int, int]] = set()
        self._activations: set[str] = set()

    def roles(self) -> Roles:
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or "attention_mask" not in self._inputs:
            raise NoLayoutError("the graph does not have the inputs of BERT")
        head = find_head(self._graph.outputs)
        if head.norm is not None:
            self._eps.add(head.norm.eps)
        value = head.source
        layers: list[dict[str, ir.Value]] = []
        while (layer := self._layer(value)) is not None:
            value, found = layer
            layers.append(found)
        if not layers:
            raise NoLayoutError("no encoder layer was found before the outputs")
        embeddings, norm = find_embeddings(value, self._config.raw)
        self._eps.add(norm.eps)
        for role, found_value in embeddings.items():
            self._tensors[f"embeddings.{role}"] = str(found_value.name)
        for i, found in enumerate(reversed(layers)):
            self._tensors |= {f"layer.{i}.{role}": str(v.name) for role, v in found.items()}
        self._tensors |= {f"head.{role}": str(v.name) for role, v in head.tensors.items()}
        columns = {f"embeddings.{kind}_scale" for kind in ("word", "position", "token_type")}
        vectors = columns & set(self._tensors)
        return Roles(self._architecture(embeddings, len(layers), head), self._tensors, vectors)

    def _architecture(
        self, embeddings: dict[str, ir.Value], layers: int, head: HeadRoles
    ) -> dict[str, Any]:
        def only(found: set[Any], what: str) -> Any:
            if len(found) != 1:
                raise NoLayoutError(f"the layers differ in their {what}")
            return next(iter(found))

        hidden, intermediate = only(self._sizes, "sizes")
        words, width = shape_of(embeddings["word"])
        positions = shape_of(embeddings["position"])[0]
        types = shape_of(embeddings["token_type"])[0] if "token_type" in embeddings else 0
        longest = self._config.max_tokens
        if longest is None or not 0 < longest <= positions:
            raise NoLayoutError("the config does not say how positions are numbered")
        return {
            "hidden_size": hidden,
            "num_attention_heads": only(self._heads, "attention heads"),
            "intermediate_size": intermediate,
            "embedding_size": width,
            "vocab_size": words,
            "max_positions": positions,
            "position_offset": positions - longest,
            "type_vocab_size": types,
            "token_type_ids": "token_type_ids" in self._inputs,
            "num_layers": layers,
            "activation": only(self._activations, "activation"),
            "layer_norm_eps": only(self._eps, "layer_norm_eps"),
            **head.architecture,
        }

    def _layer(self, value: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]] | None:
        """The input and the tensors of the layer that ends in ``value``.

        ``None`` if ``value`` is the output of the embeddings.
        """
        ended = self._norm(value)
        summed = None if ended is None else sum_of(ended.source)
        if ended is None or summed is None:
            return None
        found_down = pick(summed, set(ACTIVATIONS))
        if found_down is None:
            return None
        down, middle = found_down
        self._sizes.add((down.size[1], down.size[0]))
        active = down.source.producer()
        up = matmul_of(input_of(active, 0)) if active is not None else None
        if active is None or up is None or up.source is not middle:
            raise NoLayoutError("a feed-forward network is not two matmuls around an activation")
        self._activations.add(activation_of(active))
        found = {f"ffn_norm.{part}": tensor for part, tensor in ended.parts.items()}
        found |= {f"ffn_down.{part}": tensor for part, tensor in down.parts.items()}
        found |= {f"ffn_up.{part}": tensor for part, tensor in up.parts.items()}
        normed = self._norm(middle)
        summed = None if normed is None else sum_of(normed.source)
        picked = None if summed is None else pick(summed, {ATTENTION})
        if normed is None or picked is None:
            raise NoLayoutError("an attention does not end in a residual sum and a normalization")
        out, skip = picked
        found |= {f"attention_norm.{part}": tensor for part, tensor in normed.parts.items()}
        found |= {f"attention_output.{part}": tensor for part, tensor in out.parts.items()}
        attention = out.source.producer()
        if attention is None:
            raise AssertionError(out.source)  # `pick` has checked it
        source, projections = self._attention(attention, skip)
        return source, found | projections

    def _attention(self, node: ir.Node, skip: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]]:
        if any(value is not None for i, value in enumerate(node.inputs) if i in (3, *range(5, 12))):
            raise NoLayoutError("attention has a bias, a relative position or a cache")
        if node.attributes.get_int("unidirectional", 0):
            raise NoLayoutError("attention reads earlier tokens only")
        heads = node.attributes.get_int("num_heads", 0) or 0
        self._heads.add(heads)
        query, key, value = (input_of(node, i) for i in range(3))
        split = key.producer()
        if split is None or split.op_type != "Split" or value.producer() is not split:
            raise NoLayoutError("query, key and value are not joined into one matmul")
        joined = matmul_of(input_of(split, 0))
        outputs = list(split.outputs)
        if joined is None or outputs[-2:] != [key, value] or "bias" in joined.parts:
            raise NoLayoutError("key and value are not parts of one matmul without a bias")
        hidden = joined.size[0]
        scale = node.attributes.get_float("scale", 0.0) or 0.0
        if heads and scale and not np.isclose(scale, (hidden // heads) ** -0.5):
            raise NoLayoutError("attention has another scale than the root of its heads' width")
        parts = {f"qkv.{part}": tensor for part, tensor in joined.parts.items()}
        if len(outputs) == 3:
            bias, first = biased(query)
            if first is not outputs[0] or skip is not joined.source:
                raise NoLayoutError("the query is not a third of the joined matmul")
            return joined.source, parts | ({} if bias is None else {"qkv.bias": bias})
        own = matmul_of(query)
        if own is None or own.source is not skip or not is_first_of(skip, joined.source):
            raise NoLayoutError("the query reads something else than the first token")
        return joined.source, parts | {f"query.{p}": tensor for p, tensor in own.parts.items()}

    def _norm(self, value: ir.Value) -> Norm | None:
        found = norm_of(value)
        if found is not None:
            self._eps.add(found.eps)
        return found
