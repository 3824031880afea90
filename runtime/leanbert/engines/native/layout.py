"""From the manifest's layout of tensors to the records that the native library takes.

The export writes the layout under the key ``native`` (docs/bundles.md says how it looks): which
bytes of which file are which tensor. Here JSON becomes numbers and nothing more; the library alone
decides whether they make sense, and says why where they do not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from leanbert.engines.native.binding import (
    LayerRecord,
    MatmulRecord,
    ModelRecord,
    NormRecord,
    TensorRecord,
)

__all__ = ["ACTIVATIONS", "HEADS", "LAYOUT_FORMATS", "Layout", "format_of"]

LAYOUT_FORMATS = (1, 2)
"""The first is that of an encoder like BERT's, which every LeanBERT reads. The second has keys for
other encoders, each of which may be absent: ``pre_norm``, ``gated``, ``windows``, ``rotary`` and
``relative_buckets``; and the head ``mean``."""
ACTIVATIONS: Mapping[str, int] = {
    "identity": 0,
    "gelu": 1,
    "gelu_tanh": 2,
    "relu": 3,
    "tanh": 4,
    "silu": 5,
}
HEADS: Mapping[str, int] = {"none": 0, "first_token": 1, "every_token": 2, "mean": 3}

_DTYPES: Mapping[str, int] = {"int8": 1, "float32": 2}
_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1
_SIZES = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "embedding_size"),
    *("vocab_size", "max_positions", "position_offset", "type_vocab_size"),
)
_OTHERS = (
    *("num_layers", "activation", "layer_norm_eps", "head", "head_activation"),
    "token_type_ids",
)
_FLAGS = ("pre_norm", "gated")
_OF_LAYERS = ("windows", "rotary")
_BUCKETS = "relative_buckets"
_NEW = {*_FLAGS, *_OF_LAYERS, _BUCKETS}
_TABLES = 2


def format_of(architecture: Mapping[str, object]) -> int:
    """The format of a layout with this value of ``architecture``: the oldest that has its keys."""
    new = architecture["head"] == "mean" or _NEW & set(architecture)
    return LAYOUT_FORMATS[-1] if new else LAYOUT_FORMATS[0]


class Layout:
    """The records of one bundle.

    Args:
        content: the manifest's value of ``native``.
        files: the names of the bundle's files.

    Raises:
        ValueError, TypeError: a part is missing, unknown, of the wrong type, or a number that its
            record cannot hold.
    """

    def __init__(self, content: Mapping[str, Any], files: Mapping[str, object]) -> None:
        if content.get("format") not in LAYOUT_FORMATS:
            raise ValueError(
                f"format {content.get('format')!r} is unknown here, this LeanBERT reads "
                f"{' and '.join(map(str, LAYOUT_FORMATS))}"
            )
        _exactly("the layout", content, {"format", "file", "architecture", "tensors"})
        self.file = content["file"]
        """The name of the file that holds the weights."""
        if not isinstance(self.file, str) or self.file not in files:
            raise ValueError(f"file {self.file!r} is not one of the bundle's")
        self._tensors = _mapping("tensors", content["tensors"])
        self._used: set[str] = set()
        architecture = _mapping("architecture", content["architecture"])
        new = set() if content["format"] == LAYOUT_FORMATS[0] else _NEW
        _exactly("architecture", architecture, {*_SIZES, *_OTHERS, *(new & set(architecture))})
        sizes = {name: _whole(architecture, name, _U32) for name in _SIZES}
        self.sizes: Mapping[str, int] = sizes
        """The sizes of the architecture by their names in the layout."""
        self.hidden_size = sizes["hidden_size"]
        self.head = _one_of(architecture, "head", HEADS)
        """``"none"``, ``"first_token"``, ``"every_token"`` or ``"mean"``: what has logits."""
        self.token_type_ids = architecture["token_type_ids"]
        """Whether the graph takes them as an input."""
        if not isinstance(self.token_type_ids, bool):
            raise TypeError("architecture.token_type_ids is neither true nor false")
        number = _whole(architecture, "num_layers", _U32)
        if number > len(self._tensors):  # so that no memory is taken for layers without tensors
            raise ValueError(
                f"architecture.num_layers is {number}, but there are {len(self._tensors)} tensors"
            )
        of_layers = {name: _wholes(architecture, name, number) for name in _OF_LAYERS}
        self._layers = (LayerRecord * number)(
            *(self._layer(i, *(of_layers[name][i] for name in _OF_LAYERS)) for i in range(number))
        )
        self.relative_rows = max((layer.position_key.rows for layer in self._layers), default=0)
        """Rows of the tables of relative positions; 0 without any."""
        buckets = _wholes(architecture, _BUCKETS)
        self._buckets = (ctypes.c_uint32 * len(buckets))(*buckets)
        self._model = ModelRecord(
            struct_size=ctypes.sizeof(ModelRecord),
            layer_size=ctypes.sizeof(LayerRecord),
            **sizes,
            activation=ACTIVATIONS[_one_of(architecture, "activation", ACTIVATIONS)],
            layer_norm_eps=_real(architecture, "layer_norm_eps"),
            word=self._tensor("embeddings.word"),
            word_scale=self._tensor("embeddings.word_scale"),
            position=self._tensor("embeddings.position"),
            position_scale=self._tensor("embeddings.position_scale"),
            token_type=self._tensor("embeddings.token_type"),
            embedding_norm=self._norm("embeddings.norm"),
            projection=self._matmul("embeddings.projection"),
            head=HEADS[self.head],
            head_activation=ACTIVATIONS[_one_of(architecture, "head_activation", ACTIVATIONS)],
            head_dense=self._matmul("head.dense"),
            head_norm=self._norm("head.norm"),
            classifier=self._matmul("head.classifier"),
            **{name: _flag(architecture, name) for name in _FLAGS},
            final_norm=self._norm("final_norm"),
            rotary_cos=self._tables("cos"),
            rotary_sin=self._tables("sin"),
            relative_bias=self._tensor("relative.bias"),
            num_layers=number,
            num_relative_buckets=len(buckets),
            layers=ctypes.cast(self._layers, ctypes.POINTER(LayerRecord)),
            relative_buckets=ctypes.cast(self._buckets, ctypes.POINTER(ctypes.c_uint32)),
        )
        self.num_labels = int(self._model.classifier.weight.cols)
        """Width of the logits; 0 without a classifier."""
        unknown = sorted(map(str, set(self._tensors) - self._used))
        if unknown:
            raise ValueError(f"unknown tensor {unknown[0]}")

    def describe(self, path: bytes, threads: int) -> ModelRecord:
        """The record that ``lb_open`` takes; the layout and ``path`` must outlive the call.

        Args:
            path: of the file that holds the weights.
            threads: workers of one call.
        """
        self._model.path = path
        self._model.threads = threads
        return self._model

    def _tables(self, name: str) -> ctypes.Array[TensorRecord]:
        """The cosines or the sines of each rotary table."""
        numbers = range(1, _TABLES + 1)
        return (TensorRecord * _TABLES)(*(self._tensor(f"rotary.{i}.{name}") for i in numbers))

    def _layer(self, i: int, window: int, rotary: int) -> LayerRecord:
        name = f"layer.{i}"
        return LayerRecord(
            self._matmul(f"{name}.query"),
            self._matmul(f"{name}.qkv"),
            self._matmul(f"{name}.attention_output"),
            self._norm(f"{name}.attention_norm"),
            self._matmul(f"{name}.ffn_up"),
            self._matmul(f"{name}.ffn_down"),
            self._norm(f"{name}.ffn_norm"),
            self._tensor(f"{name}.position_key.weight"),
            self._tensor(f"{name}.position_query.weight"),
            window,
            rotary,
        )

    def _matmul(self, name: str) -> MatmulRecord:
        return MatmulRecord(
            self._tensor(f"{name}.weight"),
            self._tensor(f"{name}.scale"),
            self._tensor(f"{name}.bias"),
            self._tensor(f"{name}.smoothing"),
        )

    def _norm(self, name: str) -> NormRecord:
        return NormRecord(self._tensor(f"{name}.gamma"), self._tensor(f"{name}.beta"))

    def _tensor(self, name: str) -> TensorRecord:
        """Where a tensor is; a record of zeros where the layout does not name it."""
        if name not in self._tensors:
            return TensorRecord()
        self._used.add(name)
        entry = _mapping(name, self._tensors[name])
        _exactly(name, entry, {"dtype", "shape", "offset", "bytes"})
        shape = entry["shape"]
        if not isinstance(shape, list) or len(shape) not in (1, 2):
            raise ValueError(f"{name}.shape is {shape!r}; expected one or two sizes")
        sizes = dict(zip(("shape[0]", "shape[1]"), shape, strict=False))
        rows, cols = [1, *(_whole(sizes, key, _U32, name) for key in sizes)][-2:]
        return TensorRecord(
            _whole(entry, "offset", _U64, name),
            _whole(entry, "bytes", _U64, name),
            _DTYPES[_one_of(entry, "dtype", _DTYPES, name)],
            rows,
            cols,
            0,
        )


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {type(value).__name__}, not an object")
    return value


def _exactly(name: str, value: Mapping[str, Any], keys: set[str]) -> None:
    different = sorted(map(str, keys ^ set(value)))
    if different:
        what = "lacks" if different[0] in keys else "has an unknown key"
        raise ValueError(f"{name} {what} {different[0]}")


def _whole(value: Mapping[str, Any], key: str, most: int, where: str = "architecture") -> int:
    """A number that a record can hold: ctypes would cut off what is too large without a word."""
    number = value[key]
    if type(number) is not int or not 0 <= number <= most:
        raise ValueError(f"{where}.{key} is {number!r}; expected a whole number, 0 to {most}")
    return number


def _wholes(value: Mapping[str, Any], key: str, length: int | None = None) -> list[int]:
    """A list of numbers, one per layer where there is a ``length``; without one it may be empty.

    Where the key is absent the numbers are 0, or there are none.
    """
    numbers = value.get(key, [0] * (length or 0))
    if not isinstance(numbers, list) or (length is not None and len(numbers) != length):
        expected = "a list" if length is None else f"a list of {length}, one per layer"
        raise ValueError(f"architecture.{key} is not {expected}")
    return [_whole({f"{key}[{i}]": n}, f"{key}[{i}]", _U32) for i, n in enumerate(numbers)]


def _flag(value: Mapping[str, Any], key: str) -> bool:
    flag = value.get(key, False)
    if not isinstance(flag, bool):
        raise TypeError(f"architecture.{key} is neither true nor false")
    return flag


def _real(value: Mapping[str, Any], key: str) -> float:
    number = value[key]
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"architecture.{key} is {number!r}; expected a number")
    try:
        return float(number)
    except OverflowError as error:
        raise ValueError(f"architecture.{key} is too large") from error


def _one_of(
    value: Mapping[str, Any], key: str, known: Mapping[str, Any], where: str = "architecture"
) -> str:
    name = value[key]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{where}.{key} is {name!r}; expected one of {', '.join(known)}")
    return name
