"""The table by which the native engine finds each weight, made from the final graph.

The graph is walked back from its output and must have exactly the structure that the native
encoder computes (``runtime/native/include/leanbert_native.h``): a post-LN encoder as BERT's. Every
role gets the name of an initializer; the saved file says where its bytes are. A graph that has
anything else gets no table, and runs on ONNX Runtime alone.

Not read from the graph, but proved by the golden texts: how positions are numbered, and that the
mask is one of padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from leanbert.bundle import ModelConfig
from leanbert.engines.table import TABLE_FORMAT
from leanbert_export.fusion import ATTENTION, NORMALIZATION
from leanbert_export.graph import constant

_ACTIVATIONS = {"Gelu": "gelu", "FastGelu": "gelu_tanh", "Relu": "relu", "Tanh": "tanh"}
_DTYPES = {onnx.TensorProto.INT8: ("int8", 1), onnx.TensorProto.FLOAT: ("float32", 4)}


class NoTableError(Exception):
    """The graph is not one that the native engine computes; says why in a clause."""


@dataclass
class Roles:
    """What the walk found."""

    architecture: dict[str, Any]
    tensors: dict[str, str]
    """Role -> name of the initializer."""
    vectors: set[str] = field(default_factory=set)
    """Roles whose column of one number a row is told as a vector."""


@dataclass(frozen=True)
class _Product:
    """A product's input and its initializers."""

    source: ir.Value
    parts: dict[str, ir.Value]
    """Of ``weight``, ``scale``, ``bias``, ``smoothing`` those that it has."""
    size: tuple[int, int]


def find_roles(graph: ir.Graph, config: ModelConfig) -> Roles:
    """Walk the final graph.

    Raises:
        NoTableError: it has a structure that the native encoder does not compute.
    """
    return _Walk(graph, config).roles()


def make_table(roles: Roles, path: Path) -> dict[str, Any]:
    """The manifest's value of ``native``, for the saved graph at ``path``.

    Raises:
        NoTableError: a tensor does not lie in the weights file, or not at a multiple of its width.
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
            raise NoTableError(f"{role} is not in the weights file")
        if tensor.data_type not in _DTYPES:
            raise NoTableError(f"{role} is neither int8 nor float32")
        dtype, width = _DTYPES[tensor.data_type]
        place = {entry.key: entry.value for entry in tensor.external_data}
        files.add(place["location"])
        offset = int(place.get("offset", 0))
        if offset % width:
            raise NoTableError(f"{role} starts at byte {offset}")
        shape = list(tensor.dims)
        size = width * int(np.prod(shape))
        if role in roles.vectors:
            shape = shape[:1]
        tensors[role] = {"dtype": dtype, "shape": shape, "offset": offset, "bytes": size}
    if len(files) != 1:
        raise NoTableError("the weights lie in several files")
    return {
        "format": TABLE_FORMAT,
        "file": files.pop(),
        "architecture": roles.architecture,
        "tensors": tensors,
    }


class _Walk:
    """Goes from the output to the inputs, and expects one structure on the way."""

    def __init__(self, graph: ir.Graph, config: ModelConfig) -> None:
        self._graph, self._config = graph, config
        self._inputs = {str(value.name) for value in graph.inputs}
        self._tensors: dict[str, str] = {}
        self._vectors: set[str] = set()
        self._eps: set[float] = set()
        self._heads: set[int] = set()
        self._sizes: set[tuple[int, int]] = set()
        self._activations: set[str] = set()

    def roles(self) -> Roles:
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or "attention_mask" not in self._inputs or len(self._graph.outputs) != 1:
            raise NoTableError("the graph has other inputs or outputs")
        value, head = self._head(self._graph.outputs[0])
        layers: list[dict[str, ir.Value]] = []
        while (layer := self._layer(value)) is not None:
            value, found = layer
            layers.append(found)
        if not layers:
            raise NoTableError("no encoder layer was found before the output")
        embeddings = self._embeddings(value)
        for role, found_value in embeddings.items():
            self._tensors[f"embeddings.{role}"] = str(found_value.name)
        for i, found in enumerate(reversed(layers)):
            self._tensors |= {f"layer.{i}.{role}": str(v.name) for role, v in found.items()}
        self._tensors |= {f"head.{role}": str(v.name) for role, v in head.pop("tensors").items()}
        return Roles(
            self._architecture(embeddings, len(layers), head), self._tensors, self._vectors
        )

    def _architecture(
        self, embeddings: dict[str, ir.Value], layers: int, head: dict[str, Any]
    ) -> dict[str, Any]:
        def only(found: set[Any], what: str) -> Any:
            if len(found) != 1:
                raise NoTableError(f"the layers differ in their {what}")
            return next(iter(found))

        hidden, intermediate = only(self._sizes, "sizes")
        words, width = _shape(embeddings["word"])
        positions = _shape(embeddings["position"])[0]
        types = _shape(embeddings["token_type"])[0] if "token_type" in embeddings else 0
        longest = self._config.max_tokens
        if longest is None or not 0 < longest <= positions:
            raise NoTableError("the config does not say how positions are numbered")
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
            **head,
        }

    def _head(self, output: ir.Value) -> tuple[ir.Value, dict[str, Any]]:
        """The encoder's last value, and the head's part of the architecture."""
        none = {"head": "none", "head_activation": "identity", "tensors": {}}
        if output.name == "last_hidden_state":
            return output, none
        if output.name != "logits":
            raise NoTableError(f"the output {output.name} is not known")
        classifier = _product(output)
        if classifier is None or "scale" in classifier.parts or "smoothing" in classifier.parts:
            raise NoTableError("the logits are not a plain product")
        tensors = {f"classifier.{part}": value for part, value in classifier.parts.items()}
        value, activation = classifier.source, "identity"
        node = value.producer()
        if node is not None and node.op_type in _ACTIVATIONS:
            activation = _activation(node)
            inner = _input(node, 0)
            dense = _product(inner)
            if dense is None:
                raise NoTableError("the head has a layer that is not a dense one")
            tensors |= {f"dense.{part}": found for part, found in dense.parts.items()}
            value = dense.source
        node = value.producer()
        index = constant(_input(node, 1)) if node is not None and node.op_type == "Gather" else None
        if node is None or index is None or index.ndim or int(index) or _axis(node) != 1:
            raise NoTableError("the head does not read the first token alone")
        head = {"head": "first_token", "head_activation": activation, "tensors": tensors}
        return _input(node, 0), head

    def _layer(self, value: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]] | None:
        """The layer that ends in ``value``: its input and tensors; ``None`` at the embeddings."""
        ended = self._norm(value)
        summed = None if ended is None else _sum(ended[0])
        if ended is None or summed is None:
            return None
        pick = _pick(summed, set(_ACTIVATIONS))
        if pick is None:
            return None
        down, middle = pick
        self._tell_width(down)
        active = down.source.producer()
        up = _product(_input(active, 0)) if active is not None else None
        if active is None or up is None or up.source is not middle:
            raise NoTableError("a feed-forward block is not two products around an activation")
        self._activations.add(_activation(active))
        found = {f"ffn_norm.{part}": tensor for part, tensor in ended[1].items()}
        found |= {f"ffn_down.{part}": tensor for part, tensor in down.parts.items()}
        found |= {f"ffn_up.{part}": tensor for part, tensor in up.parts.items()}
        normed = self._norm(middle)
        summed = None if normed is None else _sum(normed[0])
        picked = None if summed is None else _pick(summed, {ATTENTION})
        if normed is None or picked is None:
            raise NoTableError("an attention block does not end in a residual sum and a norm")
        out, skip = picked
        found |= {f"attention_norm.{part}": tensor for part, tensor in normed[1].items()}
        found |= {f"attention_output.{part}": tensor for part, tensor in out.parts.items()}
        attention = out.source.producer()
        if attention is None:
            raise AssertionError(out.source)  # `_pick` looked
        source, projections = self._attention(attention, skip)
        return source, found | projections

    def _tell_width(self, down: _Product) -> None:
        self._sizes.add((down.size[1], down.size[0]))

    def _attention(self, node: ir.Node, skip: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]]:
        if any(value is not None for i, value in enumerate(node.inputs) if i in (3, *range(5, 12))):
            raise NoTableError("attention has a bias, a relative position or a cache")
        if node.attributes.get_int("unidirectional", 0):
            raise NoTableError("attention looks backwards only")
        heads = node.attributes.get_int("num_heads", 0) or 0
        self._heads.add(heads)
        query, key, value = (_input(node, i) for i in range(3))
        split = key.producer()
        if split is None or split.op_type != "Split" or value.producer() is not split:
            raise NoTableError("attention's products are not joined")
        joined = _product(_input(split, 0))
        outputs = list(split.outputs)
        if joined is None or outputs[-2:] != [key, value] or "bias" in joined.parts:
            raise NoTableError("attention's key and value are not halves of one product")
        hidden = joined.size[0]
        scale = node.attributes.get_float("scale", 0.0) or 0.0
        if heads and scale and not np.isclose(scale, (hidden // heads) ** -0.5):
            raise NoTableError("attention is scaled otherwise than by its width")
        parts = {f"qkv.{part}": tensor for part, tensor in joined.parts.items()}
        if len(outputs) == 3:
            bias, first = _biased(query)
            if first is not outputs[0] or skip is not joined.source:
                raise NoTableError("attention's query is not a third of its product")
            return joined.source, parts | ({} if bias is None else {"qkv.bias": bias})
        own = _product(query)
        if own is None or own.source is not skip or not _is_first_of(skip, joined.source):
            raise NoTableError("attention's query reads something else than the first token")
        return joined.source, parts | {f"query.{p}": tensor for p, tensor in own.parts.items()}

    def _norm(self, value: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]] | None:
        node = value.producer()
        if node is None or node.op_type != NORMALIZATION or len(node.inputs) < 3:
            return None
        gamma, beta = _input(node, 1), _input(node, 2)
        if _axis(node, -1) not in (-1, 2) or constant(gamma) is None or constant(beta) is None:
            return None
        self._eps.add(round(float(node.attributes.get_float("epsilon", 1e-5) or 0.0), 20))
        return _input(node, 0), {"gamma": gamma, "beta": beta}

    def _embeddings(self, value: ir.Value) -> dict[str, ir.Value]:
        found: dict[str, ir.Value] = {}
        projection = _product(value)
        if projection is not None:
            found |= {f"projection.{part}": tensor for part, tensor in projection.parts.items()}
            value = projection.source
        normed = self._norm(value)
        if normed is None:
            raise NoTableError("before the first layer stands no norm of embeddings")
        found |= {f"norm.{part}": tensor for part, tensor in normed[1].items()}
        config = self._config.raw
        for leaf in _leaves(normed[0]):
            table, scale, ids = _looked_up(leaf)
            rows = _shape(table)[0]
            if ids.name == "input_ids":
                kind = "word"
            elif ids.name == "token_type_ids" or rows == config.get("type_vocab_size"):
                kind = "token_type"
            elif rows == config.get("max_position_embeddings"):
                kind = "position"
            else:
                raise NoTableError("an embedding is neither of words, positions nor types")
            if kind in found:
                raise NoTableError(f"there are two embeddings of {kind}")
            found[kind] = table
            if scale is not None:
                found[f"{kind}_scale"] = scale
                self._vectors.add(f"embeddings.{kind}_scale")
        if not {"word", "position"} <= set(found) or "token_type_scale" in found:
            raise NoTableError("the embeddings are not words, positions and types")
        return found


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise NoTableError(f"a {node.op_type} lacks an input")
    return value


def _axis(node: ir.Node, default: int = 0) -> int:
    return int(node.attributes.get_int("axis", default) or 0)


def _shape(value: ir.Value) -> tuple[int, ...]:
    array = constant(value)
    return () if array is None else tuple(array.shape)


def _activation(node: ir.Node) -> str:
    computed = [value for value in node.inputs if value is not None]
    if len(computed) != 1 or node.attributes.get_string("approximate", "none") != "none":
        raise NoTableError(f"a {node.op_type} with a bias or an approximation")
    return _ACTIVATIONS[node.op_type]


def _biased(value: ir.Value) -> tuple[ir.Value | None, ir.Value]:
    """The constant vector that was added last, and what it was added to."""
    node = value.producer()
    if node is None or node.op_type != "Add":
        return None, value
    for i, other in ((0, 1), (1, 0)):
        if len(_shape(_input(node, i))) == 1:
            return _input(node, i), _input(node, other)
    return None, value


def _product(value: ir.Value) -> _Product | None:
    """The product, with its bias, that makes ``value``."""
    bias, made = _biased(value)
    node = made.producer()
    if node is None:
        return None
    parts = {} if bias is None else {"bias": bias}
    if node.op_type == "MatMulIntegerToFloat":
        return _int8_product(node, parts)
    if node.op_type == "Gemm" and bias is None:
        plain = not any(node.attributes.get_int(name, 0) for name in ("transA", "transB"))
        ones = all(node.attributes.get_float(name, 1.0) == 1.0 for name in ("alpha", "beta"))
        if not plain or not ones:
            return None
        if len(node.inputs) > 2:
            parts["bias"] = _input(node, 2)
    elif node.op_type != "MatMul":
        return None
    return _made(_input(node, 0), _input(node, 1), parts, np.float32)


def _int8_product(node: ir.Node, parts: dict[str, ir.Value]) -> _Product | None:
    rounding = _input(node, 0).producer()
    if rounding is None or rounding.op_type != "QuantizeLinear" or len(node.inputs) > 5:
        return None
    if _input(rounding, 1) is not _input(node, 2):
        return None  # a scale other than the rows'
    source, smoothing = _input(rounding, 0), None
    multiplied = source.producer()
    if multiplied is not None and multiplied.op_type == "Mul":
        source, smoothing = _input(multiplied, 0), _input(multiplied, 1)
    parts = {**parts, "scale": _input(node, 3)}
    if smoothing is not None:
        parts["smoothing"] = smoothing
    return _made(source, _input(node, 1), parts, np.int8)


def _made(
    source: ir.Value, weight: ir.Value, parts: dict[str, ir.Value], dtype: type
) -> _Product | None:
    matrix = constant(weight)
    vectors = all(len(_shape(part)) == 1 for part in parts.values())
    if matrix is None or matrix.ndim != 2 or matrix.dtype != dtype or not vectors:
        return None
    return _Product(source, {"weight": weight, **parts}, (matrix.shape[0], matrix.shape[1]))


def _sum(value: ir.Value) -> tuple[ir.Value, ir.Value] | None:
    node = value.producer()
    if node is None or node.op_type != "Add":
        return None
    return _input(node, 0), _input(node, 1)


def _pick(pair: tuple[ir.Value, ir.Value], before: set[str]) -> tuple[_Product, ir.Value] | None:
    """Of a residual sum the product whose input one of ``before`` makes, and the other side."""
    for value, other in (pair, pair[::-1]):
        product = _product(value)
        maker = product.source.producer() if product is not None else None
        if product is not None and maker is not None and maker.op_type in before:
            return product, other
    return None


def _is_first_of(value: ir.Value, whole: ir.Value) -> bool:
    node = value.producer()
    if node is None or node.op_type != "Gather" or _axis(node) != 1:
        return False
    index = constant(_input(node, 1))
    return index is not None and index.tolist() == [0] and _input(node, 0) is whole


def _leaves(value: ir.Value) -> Sequence[ir.Value]:
    node = value.producer()
    if node is None or node.op_type != "Add":
        return [value]
    return [leaf for i in (0, 1) for leaf in _leaves(_input(node, i))]


def _looked_up(value: ir.Value) -> tuple[ir.Value, ir.Value | None, ir.Value]:
    """The table, its rows' scales and the ids of an embedding."""
    node, scale = value.producer(), None
    if node is not None and node.op_type == "Mul":
        scales, cast = _input(node, 1).producer(), _input(node, 0).producer()
        if scales is not None and scales.op_type == "Gather" and cast is not None:
            scale, node = _input(scales, 0), _input(cast, 0).producer()
            if node is None or _input(scales, 1) is not _input(node, 1):
                raise NoTableError("an embedding is scaled otherwise than by rows")
    if node is None or node.op_type != "Gather" or _axis(node) or len(_shape(_input(node, 0))) != 2:
        raise NoTableError("the embeddings are not a sum of tables")
    return _input(node, 0), scale, _input(node, 1)
