"""The manifest's table of tensors, as the native library wants it.

The export writes it under the key ``native`` (docs/bundles.md says how it looks). Nothing here
reads a weight; the library checks every record against the file once more.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from typing import Any

from leanbert.engines.native.binding import (
    LayerRecord,
    ModelRecord,
    NormRecord,
    ProductRecord,
    TensorRecord,
)

__all__ = ["ACTIVATIONS", "HEADS", "TABLE_FORMAT", "Table", "describe"]

TABLE_FORMAT = 1
ACTIVATIONS: Mapping[str, int] = {"identity": 0, "gelu": 1, "gelu_tanh": 2, "relu": 3, "tanh": 4}
HEADS: Mapping[str, int] = {"none": 0, "first_token": 1, "every_token": 2}

_DTYPES: Mapping[str, tuple[int, int]] = {"int8": (1, 1), "float32": (2, 4)}  # code, bytes
_LARGEST = 1 << 31
_SIZES: Mapping[str, tuple[int, int]] = {
    "hidden_size": (1, 4096),
    "num_attention_heads": (1, 4096),
    "intermediate_size": (1, 16_384),
    "embedding_size": (1, 4096),
    "vocab_size": (1, _LARGEST),
    "max_positions": (1, _LARGEST),
    "position_offset": (0, _LARGEST),
    "type_vocab_size": (0, _LARGEST),
}


class Table:
    """A checked table.

    Args:
        content: the manifest's value of ``native``.
        file_sizes: bytes of each file of the bundle.

    Raises:
        ValueError, TypeError: a part is missing, unknown, of the wrong type or out of range.
    """

    def __init__(self, content: Mapping[str, Any], file_sizes: Mapping[str, int]) -> None:
        if content.get("format") != TABLE_FORMAT:
            raise ValueError(
                f"format {content.get('format')!r} is unknown here, this LeanBERT reads "
                f"{TABLE_FORMAT}"
            )
        _exactly("the table", content, {"format", "file", "architecture", "tensors"})
        self.file = content["file"]
        if not isinstance(self.file, str) or self.file not in file_sizes:
            raise ValueError(f"file {self.file!r} is not one of the bundle's")
        self._bytes = file_sizes[self.file]
        self._tensors = _mapping("tensors", content["tensors"])
        self._used: set[str] = set()
        architecture = _mapping("architecture", content["architecture"])
        others = {"num_layers", "activation", "layer_norm_eps", "head", "head_activation"}
        _exactly("architecture", architecture, others | set(_SIZES) | {"token_type_ids"})
        sizes = {name: _whole(architecture, name, *ends) for name, ends in _SIZES.items()}
        self.hidden_size = sizes["hidden_size"]
        self.vocab_size = sizes["vocab_size"]
        self.longest = sizes["max_positions"] - sizes["position_offset"]
        """Tokens of the longest text."""
        self.head = _one_of(architecture, "head", HEADS)
        self.token_type_ids = architecture["token_type_ids"]
        """Whether the graph takes them as an input."""
        if not isinstance(self.token_type_ids, bool):
            raise TypeError("architecture.token_type_ids is neither true nor false")
        eps = architecture["layer_norm_eps"]
        if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 <= eps <= 1:
            raise ValueError(f"architecture.layer_norm_eps is {eps!r}")
        number = _whole(architecture, "num_layers", 1, 256)
        self.layers = (LayerRecord * number)(*map(self._layer, range(number)))
        self.model = ModelRecord(
            struct_size=ctypes.sizeof(ModelRecord),
            layer_size=ctypes.sizeof(LayerRecord),
            **sizes,
            activation=ACTIVATIONS[_one_of(architecture, "activation", ACTIVATIONS)],
            layer_norm_eps=eps,
            word=self._tensor("embeddings.word"),
            word_scale=self._tensor("embeddings.word_scale", required=False),
            position=self._tensor("embeddings.position"),
            position_scale=self._tensor("embeddings.position_scale", required=False),
            token_type=self._tensor("embeddings.token_type", required=False),
            embedding_norm=self._norm("embeddings.norm"),
            projection=self._product("embeddings.projection", required=False),
            head=HEADS[self.head],
            head_activation=ACTIVATIONS[_one_of(architecture, "head_activation", ACTIVATIONS)],
            head_dense=self._product("head.dense", required=False),
            head_norm=self._norm("head.norm", required=False),
            classifier=self._product("head.classifier", required=self.head != "none"),
            num_layers=number,
            layers=ctypes.cast(self.layers, ctypes.POINTER(LayerRecord)),
        )
        self.num_labels = int(self.model.classifier.weight.cols)
        """Width of the logits; 0 without a classifier."""
        unknown = sorted(map(str, set(self._tensors) - self._used))
        if unknown:
            raise ValueError(f"unknown tensor {unknown[0]}")

    def _layer(self, i: int) -> LayerRecord:
        name = f"layer.{i}"
        return LayerRecord(
            self._product(f"{name}.query", required=False),
            self._product(f"{name}.qkv"),
            self._product(f"{name}.attention_output"),
            self._norm(f"{name}.attention_norm"),
            self._product(f"{name}.ffn_up"),
            self._product(f"{name}.ffn_down"),
            self._norm(f"{name}.ffn_norm"),
        )

    def _product(self, name: str, *, required: bool = True) -> ProductRecord:
        return ProductRecord(
            self._tensor(f"{name}.weight", required=required),
            self._tensor(f"{name}.scale", required=False),
            self._tensor(f"{name}.bias", required=False),
            self._tensor(f"{name}.smoothing", required=False),
        )

    def _norm(self, name: str, *, required: bool = True) -> NormRecord:
        return NormRecord(
            self._tensor(f"{name}.gamma", required=required),
            self._tensor(f"{name}.beta", required=required),
        )

    def _tensor(self, name: str, *, required: bool = True) -> TensorRecord:
        if name not in self._tensors:
            if required:
                raise ValueError(f"no tensor {name}")
            return TensorRecord()
        self._used.add(name)
        entry = _mapping(name, self._tensors[name])
        _exactly(name, entry, {"dtype", "shape", "offset", "bytes"})
        code, width = _DTYPES[_one_of(entry, "dtype", _DTYPES, name)]
        shape = entry["shape"]
        if not isinstance(shape, list) or len(shape) not in (1, 2):
            raise ValueError(f"{name}.shape is {shape!r}; expected one or two sizes")
        if not all(type(size) is int and 1 <= size < _LARGEST for size in shape):
            raise ValueError(f"{name}.shape is {shape!r}")
        rows, cols = shape if len(shape) == 2 else (1, shape[0])
        size = _whole(entry, "bytes", 1, self._bytes, name)
        if size != math.prod(shape) * width:
            raise ValueError(f"{name} has {size} bytes, its shape needs {math.prod(shape) * width}")
        offset = _whole(entry, "offset", 0, self._bytes - size, name)
        if offset % width:
            raise ValueError(f"{name} starts at byte {offset}, not a multiple of {width}")
        return TensorRecord(offset, size, code, rows, cols, 0)


def describe(table: Table, path: bytes, threads: int) -> ModelRecord:
    """The record that ``lb_open`` takes; ``table`` and ``path`` must outlive the call."""
    model = ModelRecord.from_buffer_copy(table.model)
    model.path = path
    model.threads = threads
    return model


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {type(value).__name__}, not an object")
    return value


def _exactly(name: str, value: Mapping[str, Any], keys: set[str]) -> None:
    different = sorted(map(str, keys ^ set(value)))
    if different:
        what = "lacks" if different[0] in keys else "has an unknown key"
        raise ValueError(f"{name} {what} {different[0]}")


def _whole(
    value: Mapping[str, Any], key: str, least: int, most: int, where: str = "architecture"
) -> int:
    number = value[key]
    if type(number) is not int or not least <= number <= most:
        raise ValueError(f"{where}.{key} is {number!r}; expected a whole number, {least} to {most}")
    return number


def _one_of(
    value: Mapping[str, Any], key: str, known: Mapping[str, Any], where: str = "architecture"
) -> str:
    name = value[key]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{where}.{key} is {name!r}; expected one of {', '.join(known)}")
    return name
