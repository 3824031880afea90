"""Random models for the native engine, as numpy arrays.

They are BERTs; native_families.py makes models of other families of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int8]


@dataclass
class Matmul:
    """y = x W + b; int8 `weight` [K, N] with `scale` [N], or f32 without.

    `bias` [n <= N] covers the first columns; `smoothing` [K] multiplies x before it is quantized.
    """

    weight: I8 | F32
    scale: F32 | None
    bias: F32 | None
    smoothing: F32 | None = None


@dataclass
class Norm:
    """Layer normalization's weights; no `beta` is zeros."""

    gamma: F32
    beta: F32 | None


@dataclass
class Layer:
    """One encoder layer; beside a `query` of its own `qkv` is K | V."""

    qkv: Matmul
    attention_output: Matmul
    attention_norm: Norm | None
    ffn_up: Matmul
    ffn_down: Matmul
    ffn_norm: Norm
    query: Matmul | None = None
    position_key: F32 | None = None
    position_query: F32 | None = None
    window: int = 0
    rotary: int = 0


@dataclass
class Model:
    """Everything lb_open wants, as numpy arrays."""

    heads: int
    activation: str
    eps: float
    position_offset: int
    word: I8 | F32
    word_scale: F32 | None
    position: I8 | F32 | None
    position_scale: F32 | None
    token_type: F32 | None
    embedding_norm: Norm
    projection: Matmul | None
    layers: list[Layer]
    head: str = "none"
    head_activation: str = "identity"
    head_dense: Matmul | None = None
    head_norm: Norm | None = None
    classifier: Matmul | None = None
    max_positions: int = 0
    """Of a model without a table of positions."""
    final_norm: Norm | None = None
    """Where norms stand before attention and network."""
    gated: bool = False
    rotary: list[tuple[F32, F32]] = field(default_factory=list)
    """Cosines and sines [positions, width / 2] of each table."""
    buckets: list[int] = field(default_factory=list)
    """The row for each distance key - query, the middle one of distance 0."""
    relative_bias: F32 | None = None
    """[rows, heads]."""

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.layers[0].attention_output.weight.shape[0])

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return self.positions - self.position_offset

    @property
    def positions(self) -> int:
        """Rows of the position embedding, or what stands for them."""
        return self.max_positions if self.position is None else int(self.position.shape[0])

    @property
    def intermediate(self) -> int:
        """F."""
        return int(self.layers[0].ffn_down.weight.shape[0])


def random_matmul(
    rng: np.random.Generator,
    k: int,
    n: int,
    *,
    int8: bool = True,
    bias: int | bool = True,
    smoothing: F32 | None = None,
) -> Matmul:
    """Weights whose outputs keep the size of their inputs; `bias` may be a number of columns."""
    weight = rng.normal(0, 1 / np.sqrt(k), (k, n)).astype(np.float32)
    count = n if bias is True else int(bias)
    offset = rng.normal(0, 0.1, count).astype(np.float32) if count else None
    if not int8:
        return Matmul(weight, None, offset)
    if smoothing is not None:
        weight /= smoothing[:, None]
    scale = (np.abs(weight).max(0) / 127).astype(np.float32)
    values = np.rint(weight / scale).clip(-127, 127).astype(np.int8)
    return Matmul(values, scale, offset, smoothing)


def random_norm(rng: np.random.Generator, n: int) -> Norm:
    """Near the identity."""
    return Norm(rng.normal(1, 0.1, n).astype(np.float32), rng.normal(0, 0.1, n).astype(np.float32))


def random_model(
    seed: int = 0,
    *,
    hidden: int = 64,
    heads: int = 4,
    intermediate: int = 96,
    layers: int = 2,
    embedding: int | None = None,
    vocabulary: int = 50,
    positions: int = 512,
    position_offset: int = 0,
    types: int = 2,
    activation: str = "gelu",
    int8: bool = True,
    int8_position: bool = False,
    shared: bool = False,
    bias: bool = True,
    smoothing: bool = False,
    query: bool = False,
    query_bias: bool = False,
    head: str = "none",
    head_activation: str = "identity",
    head_dense: bool = False,
    head_norm: bool = False,
    labels: int = 3,
    vocabulary_head: bool = False,
    extend: Callable[[Model, Any, bool], Model] | None = None,
    rng: Any = None,
) -> Model:
    """A model of the given shape with random weights; `int8=False` makes every matmul f32.

    `smoothing` smooths every matmul that takes one, `query` splits the last layer's query off,
    `query_bias` leaves out the biases of keys and values, `vocabulary_head` makes the classifier
    one of words: int8, and as wide as the embeddings. `extend` makes another family's model of
    BERT's (native_families.py). `rng` gives the numbers in the seed's place.
    """
    rng = rng or np.random.default_rng(seed)
    width = embedding or hidden
    size = width if vocabulary_head and head_dense else hidden

    def table(rows: int, quantized: bool) -> tuple[I8 | F32, F32 | None]:
        values = rng.normal(0, 1, (rows, width)).astype(np.float32)
        if not quantized:
            return values, None
        scale = (np.abs(values).max(1) / 127).astype(np.float32)
        return np.rint(values / scale[:, None]).astype(np.int8), scale

    def smooth(k: int) -> F32 | None:
        return rng.uniform(0.3, 3, k).astype(np.float32) if smoothing and int8 else None

    def layer(split: bool) -> Layer:
        shared_smoothing = smooth(hidden)
        columns = hidden if query_bias else bias
        qkv = random_matmul(
            rng,
            hidden,
            (2 if split else 3) * hidden,
            int8=int8,
            bias=0 if split and query_bias else columns,
            smoothing=shared_smoothing,
        )
        return Layer(
            qkv,
            random_matmul(rng, hidden, hidden, int8=int8, bias=bias, smoothing=smooth(hidden)),
            random_norm(rng, hidden),
            random_matmul(
                rng, hidden, intermediate, int8=int8, bias=bias, smoothing=smooth(hidden)
            ),
            random_matmul(rng, intermediate, hidden, int8=int8, bias=bias),
            random_norm(rng, hidden),
            random_matmul(rng, hidden, hidden, int8=int8, bias=bias, smoothing=shared_smoothing)
            if split
            else None,
        )

    word, word_scale = table(vocabulary, True)
    position, position_scale = table(positions, int8_position)
    stack = [layer(False)] * layers if shared else [layer(False) for _ in range(layers)]
    if query:
        stack[-1] = layer(True)
    made = Model(
        heads,
        activation,
        1e-12,
        position_offset,
        word,
        word_scale,
        position,
        position_scale,
        rng.normal(0, 1, (types, width)).astype(np.float32) if types else None,
        random_norm(rng, width),
        random_matmul(rng, width, hidden, int8=int8, smoothing=smooth(width))
        if embedding
        else None,
        stack,
        head,
        head_activation,
        random_matmul(rng, hidden, size, int8=int8, smoothing=smooth(hidden))
        if head_dense
        else None,
        random_norm(rng, size) if head_norm else None,
        random_matmul(
            rng,
            size,
            labels,
            int8=int8 and vocabulary_head,
            smoothing=smooth(size) if vocabulary_head else None,
        )
        if head != "none"
        else None,
    )
    return made if extend is None else extend(made, rng, int8)


def random_texts(
    rng: np.random.Generator, lengths: Sequence[int], vocabulary: int = 50
) -> list[I32]:
    """Random ids of the given lengths."""
    return [rng.integers(0, vocabulary, n).astype(np.int32) for n in lengths]
