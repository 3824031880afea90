"""Models and calls whose answers are committed bit by bit (``tests/native/golden_bits.json``).

Weights come from ``RandomState``, whose stream numpy has frozen, by operations that IEEE 754 rounds
in one way only, so that every machine makes the same models. A case can also be written to a file
for ``native_replay``, which runs it where there is no Python: on another CPU, or an emulated one.
"""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from leanbert.bundle import Bundle
from leanbert.engines.native.layout import Layout
from leanbert.pipelines import embedded_bundle
from tests.helpers.native_families import deberta, deberta_keys_alone, modernbert, mpnet, nomic
from tests.helpers.native_library import Description, describe
from tests.helpers.native_models import F32, I32, random_model

GOLDEN = Path(__file__).parents[1] / "native" / "golden_bits.json"
LENGTHS = (1, 2, 5, 13, 14, 15, 28, 31, 33, 64, 129, 300)
SHORT_LENGTHS = (1, 2, 6, 7, 13, 18)
MAGIC = b"LBCASE02"
POINT = 0x9E3779B97F4A7C15

SENTENCES = (
    "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the corresponding period in 2007.",
    "Sales fell.",
    "The company expects its net sales for 2009 to remain at the previous year's level.",
    "Shares of the bank lost 4.5 % on Tuesday after it had warned of bad loans " * 8,
    "Dividends: 0.25 per share (0.20).",
    "\u00c5land's ferry line cut 120 jobs; unions protested.",
)

FIRST: dict[str, Any] = {"head": "first_token", "head_dense": True}
EVERY: dict[str, Any] = {"head": "every_token"}
WORDS: dict[str, Any] = {**EVERY, "head_dense": True, "head_norm": True, "vocabulary_head": True}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert, classes": {**FIRST, "head_activation": "tanh", "smoothing": True, "query": True},
    "bert, labels of tokens": {**EVERY, "labels": 9, "smoothing": True},
    "bert, spans": {**EVERY, "labels": 2},
    "bert, hidden states": {"smoothing": True, "int8_position": True},
    "bert, masked words": {**WORDS, "head_activation": "gelu", "labels": 77, "smoothing": True},
    "roberta, classes": {
        **FIRST,
        "head_activation": "tanh",
        "position_offset": 2,
        "types": 1,
        "query_bias": True,
        "query": True,
    },
    "roberta, masked words": {
        **WORDS,
        "head_activation": "gelu",
        "position_offset": 2,
        "types": 1,
        "labels": 50,
    },
    "distilbert, classes": {**FIRST, "types": 0, "head_activation": "relu"},
    "distilbert, labels of tokens": {**EVERY, "types": 0, "labels": 5},
    "albert, classes": {
        **FIRST,
        "shared": True,
        "embedding": 32,
        "activation": "gelu_tanh",
        "layers": 3,
        "head_activation": "tanh",
    },
    "electra, classes": {**FIRST, "embedding": 32, "head_activation": "gelu"},
    "electra, labels of tokens": {**EVERY, "embedding": 32, "labels": 9},
    "relu, one layer": {"activation": "relu", "bias": False, "layers": 1, **FIRST},
    "f32 weights": {"int8": False, **FIRST, "head_activation": "tanh"},
    "heads of 24": {"hidden": 96, "heads": 4, "intermediate": 160},
    "heads of 32, MiniLM's width": {
        **FIRST,
        "hidden": 384,
        "heads": 12,
        "intermediate": 1536,
        "smoothing": True,
        "query": True,
        "head_activation": "tanh",
    },
    "heads of 64": {"hidden": 128, "heads": 2, "intermediate": 512, **EVERY},
    "heads of 128": {"hidden": 128, "heads": 1, "smoothing": True},
}
NO_TYPES: dict[str, Any] = {"types": 0, "smoothing": True}
MODERN: dict[str, Any] = {**NO_TYPES, "extend": modernbert, "bias": False}
GELU_NORM: dict[str, Any] = {"head_dense": True, "head_activation": "gelu", "head_norm": True}
DEBERTA: dict[str, Any] = {**NO_TYPES, "extend": deberta}
DISTANT: dict[str, dict[str, Any]] = {  # attention knows distances
    "mpnet, classes": {
        **FIRST,
        **NO_TYPES,
        "extend": mpnet,
        "head_activation": "tanh",
        "position_offset": 2,
        "query_bias": True,
        "query": True,
        "hidden": 128,
        "heads": 2,
    },
    "mpnet, hidden states": {**NO_TYPES, "extend": mpnet, "position_offset": 2},
    "modernbert, classes": {**FIRST, **MODERN, **GELU_NORM, "query": True, "layers": 4},
    "modernbert, masked words": {**EVERY, **MODERN, **GELU_NORM, "vocabulary_head": True},
    "modernbert, hidden states, heads of 64": {
        **MODERN,
        "hidden": 128,
        "heads": 2,
        "intermediate": 192,
        "extend": partial(modernbert, window=64),
    },
    "deberta, classes": {**FIRST, **DEBERTA, "head_activation": "gelu", "query": True},
    "deberta, labels of tokens, heads of 64": {
        **EVERY,
        **DEBERTA,
        "labels": 9,
        "hidden": 128,
        "heads": 2,
        "extend": partial(deberta, far=128),
    },
    "deberta, keys alone": {**DEBERTA, "extend": deberta_keys_alone},
    "short texts, modernbert": {**MODERN, "layers": 2},
    "short texts, deberta": {**DEBERTA, "layers": 1},
    "nomic, hidden states": {"extend": nomic, "activation": "silu", "smoothing": True},
    "modernbert, classes by the mean": {**FIRST, **MODERN, **GELU_NORM, "head": "mean"},
}
SHORT: dict[str, dict[str, Any]] = {  # for what computes a thousand times slower
    "short texts, labels of tokens": {**EVERY, "labels": 9, "layers": 1, "smoothing": True},
    "short texts, heads of 24": {"hidden": 96, "heads": 4, "intermediate": 96, "layers": 1},
}


class FrozenRandom:
    """The numbers of ``RandomState`` under a generator's names."""

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)

    def uniform(self, low: float, high: float, size: Any) -> npt.NDArray[np.float64]:
        """As ``Generator.uniform``."""
        values: npt.NDArray[np.float64] = low + (high - low) * self._state.random_sample(size)
        return values

    def normal(self, mean: float, deviation: float, size: Any) -> npt.NDArray[np.float64]:
        """Uniform with this mean and standard deviation: no logarithm is involved."""
        half = deviation * float(np.sqrt(3.0))
        return self.uniform(mean - half, mean + half, size)

    def integers(self, low: int, high: int, size: int) -> npt.NDArray[np.int64]:
        """As ``Generator.integers``."""
        return np.floor(self.uniform(low, high, size)).astype(np.int64)


@dataclass(frozen=True)
class Case:
    """One model and one call; `weights` is what the description's records point into."""

    name: str
    description: Description
    texts: Sequence[I32]
    types: Sequence[I32] | None
    weights: bytes


def cases(threads: int = 1) -> Iterator[Case]:
    """Every family and head with random weights, and the embedded model."""
    for seed, (name, options) in enumerate({**FAMILIES, **SHORT, **DISTANT}.items(), start=100):
        lengths = SHORT_LENGTHS if is_short(name) else LENGTHS
        rng = FrozenRandom(seed)
        model = random_model(**options, rng=rng)
        texts = [rng.integers(0, len(model.word), n).astype(np.int32) for n in lengths]
        types = None
        if model.token_type is not None:
            kinds = len(model.token_type)
            types = [rng.integers(0, kinds, n).astype(np.int32) for n in lengths]
        description = describe(model, threads=threads)
        yield Case(name, description, texts, types, bytes(description.content))
    yield embedded(threads)


def is_short(name: str) -> bool:
    """Whether a case is meant for what computes a thousand times slower."""
    return name.startswith("short texts")


def embedded(threads: int) -> Case:
    """The model that ships with LeanBERT, with sentences as it reads them."""
    bundle = Bundle.open(embedded_bundle())
    assert bundle.manifest is not None
    assert bundle.manifest.native is not None
    layout = Layout(bundle.manifest.native, bundle.manifest.files)
    path = bundle.path / layout.file
    record = layout.describe(str(path).encode(), threads)
    tokenizer = Tokenizer.from_file(str(bundle.path / "tokenizer.json"))
    tokenizer.no_padding()
    encodings = [tokenizer.encode(text) for text in SENTENCES]
    texts = [np.array(encoding.ids, np.int32) for encoding in encodings]
    return Case("embedded", Description(record, None, layout), texts, None, path.read_bytes())


def bits(answers: Sequence[F32]) -> str:
    """A hash of the answers' bits, as ``native_replay`` prints it.

    The 32-bit words are the coefficients of a polynomial, the last one the constant, which is
    evaluated at ``POINT`` modulo 2^64.
    """
    words = np.concatenate([answer.ravel() for answer in answers]).astype("<f4").view("<u4")
    points = np.full(len(words), POINT, np.uint64)
    points[0] = 1
    powers = np.multiply.accumulate(points)
    return f"{int((words[::-1].astype(np.uint64) * powers).sum(dtype=np.uint64)):016x}"


def golden() -> dict[str, str]:
    """The committed file: the bits' hash by the name of the case."""
    content: dict[str, str] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return content


def write_case(case: Case, path: Path) -> None:
    """A case for ``native_replay``, laid out as ``runtime/native/tests/replay.cpp`` says."""
    record = case.description.record
    layers = bytes(ctypes.string_at(record.layers, record.num_layers * record.layer_size))
    lengths = np.array([len(text) for text in case.texts], "<i4")
    types = None if case.types is None else np.concatenate(case.types).astype("<i4")
    buckets = record.relative_buckets[: record.num_relative_buckets]
    sizes = (record.struct_size, len(layers), len(case.weights), len(lengths), int(lengths.sum()))
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<7Q", *sizes, types is not None, len(buckets)))
        file.write(ctypes.string_at(ctypes.addressof(record), record.struct_size))
        file.write(layers + case.weights + np.array(buckets, "<u4").tobytes())
        file.write(lengths.tobytes() + np.concatenate(case.texts).astype("<i4").tobytes())
        file.write(b"" if types is None else types.tobytes())
