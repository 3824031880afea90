"""What an encoder is, completely: the object that both engines' weights are made from.

A family's module reads a config and the model's tensors and gives an :class:`Encoder`. The ONNX
graph (:mod:`leanbert_export.graph`) and the native engine's layout
(:mod:`leanbert_export.layout`) are made from it and from nothing else.

Every array is float32 and may be a view of PyTorch's own memory: nothing here is ever changed in
place. Matrices have the shape ``(inputs, outputs)``. Objects that are the same object are shared
weights: the layers of ALBERT are one object many times, and a decoder that is tied to the word
embeddings says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Activation",
    "Attention",
    "Disentangled",
    "Embeddings",
    "Encoder",
    "FeedForward",
    "Floats",
    "Head",
    "Layer",
    "Linear",
    "Norm",
    "Pooling",
    "RelativeBias",
    "Rotary",
]

Floats: TypeAlias = npt.NDArray[np.float32]
Activation: TypeAlias = Literal["identity", "gelu", "gelu_tanh", "relu", "silu", "tanh"]
Pooling: TypeAlias = Literal["none", "first_token", "mean"]


@dataclass(frozen=True, eq=False)
class Linear:
    """A matmul and its bias: ``x @ weight + bias``."""

    weight: Floats
    """*Shape:* ``(inputs, outputs)``."""
    bias: Floats | None = None
    """*Shape:* ``(outputs,)``; ``None`` for none."""


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer normalization over the last axis."""

    gamma: Floats
    """*Shape:* ``(width,)``."""
    beta: Floats | None
    """*Shape:* ``(width,)``; ``None`` where the norm has no bias (ModernBERT)."""
    eps: float


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The sum of a token's rows, normalized; in some families also projected to another width."""

    word: Floats
    """*Shape:* ``(vocab_size, embedding_size)``."""
    norm: Norm
    position: Floats | None = None
    """Learned absolute positions, *shape* ``(rows, embedding_size)``; ``None`` for none."""
    padding_idx: int | None = None
    """``None``: the row of a token is its place in the text. Else, as in RoBERTa, tokens other than
    this id are counted: the first has the row ``padding_idx + 1``, and those of this id have the
    row ``padding_idx``."""
    token_type: Floats | None = None
    """*Shape:* ``(types, embedding_size)``; with a single row, every token has type 0."""
    projection: Linear | None = None
    """To the layers' width (ALBERT, ELECTRA, DeBERTa)."""
    projection_first: bool = False
    """Whether the projection comes before the norm (DeBERTa) instead of after it."""

    @property
    def position_offset(self) -> int:
        """The row of the first token's position."""
        return 0 if self.padding_idx is None else self.padding_idx + 1


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotary positions: halves of a head's width are turned by ``position * frequencies``.

    Layers that share them have the same object.
    """

    theta: float
    frequencies: Floats
    """*Shape:* ``(head_size / 2,)``: ``theta ** (-2 i / head_size)`` in float32."""


@dataclass(frozen=True, eq=False)
class RelativeBias:
    """A number per head and distance that is added to the scores of every layer (MPNet).

    The distance ``d = key's position - query's`` has the bucket ``b(|d|)``, plus half the buckets
    if ``d > 0``. With ``n`` half the buckets, ``b`` is ``|d|`` below ``n / 2``, and else ``n / 2 +
    log(|d| / (n / 2)) / log(max_distance / (n / 2)) * n / 2`` without its fraction, at most
    ``n - 1``.
    """

    table: Floats
    """*Shape:* ``(rows, heads)``, with a row for every bucket at least."""
    buckets: int = 32
    max_distance: int = 128


@dataclass(frozen=True, eq=False)
class Disentangled:
    """DeBERTa's attention: content with position, and position with content, of every layer.

    ``span`` is ``position_buckets``, or ``max_distance`` without buckets. Row ``d + span`` of the
    table, with the edges clipped, is that of the distance ``d = query's position - key's``; with
    buckets, distances of half the buckets and more are on a logarithmic scale up to
    ``max_distance``. To the scores ``q @ k`` are added ``q @ pos_key[d + span]`` (c2p) and
    ``k @ pos_query[d + span]`` (p2c, with ``-d`` as the key sees it, then transposed: the row of
    p2c is that of ``d`` too); all are divided by the root of ``head_size * (1 + c2p + p2c)``.
    """

    table: Floats
    """The embeddings of distances, normalized already where the config asks for it; *shape* ``(2 *
    span, hidden_size)``."""
    buckets: int
    """0: every distance has a row of its own."""
    max_distance: int
    c2p: bool
    p2c: bool

    @property
    def span(self) -> int:
        """Half the rows of the table."""
        return len(self.table) // 2


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention of a layer: the matmuls, and what each token may read."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    num_heads: int
    scale: float
    """By which the scores are multiplied."""
    window: int | None = None
    """A token reads those at most so many tokens before and after it; ``None``: all of them."""
    rotary: Rotary | None = None
    position_key: Linear | None = None
    """With :class:`Disentangled` c2p: what the table is multiplied by. It is ``key`` itself if the
    config has ``share_att_key``."""
    position_query: Linear | None = None
    """With p2c; ``query`` itself if the config has ``share_att_key``."""


@dataclass(frozen=True, eq=False)
class FeedForward:
    """``down(activation(up(x)))``; gated: ``down(activation(up(x)) * multiplier(x))``."""

    up: Linear
    down: Linear
    activation: Activation
    multiplier: Linear | None = None
    """Of the gated forms: GeGLU with ``gelu``, SwiGLU with ``silu``."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer.

    Post-norm: ``y = attention_norm(x + attention(x))``, then ``ffn_norm(y + feed_forward(y))``.
    Pre-norm: ``y = x + attention(attention_norm(x))``, then ``y + feed_forward(ffn_norm(y))``.
    """

    attention: Attention
    attention_norm: Norm | None
    """``None`` in the first layer of ModernBERT, which reads the embeddings' norm."""
    feed_forward: FeedForward
    ffn_norm: Norm


@dataclass(frozen=True, eq=False)
class Head:
    """What follows the encoder, in this order: pooling, dense, activation, norm, classifier."""

    outputs: tuple[str, ...]
    """Of the graph: ``("last_hidden_state",)`` without a head, ``("logits",)``, or
    ``("start_logits", "end_logits")``, which are the two columns of the classifier."""
    pooling: Pooling = "none"
    """``none``: every token."""
    dense: Linear | None = None
    activation: Activation = "identity"
    norm: Norm | None = None
    classifier: Linear | None = None
    """``None`` without a head; of a masked-language model the decoder, whose outputs are words."""
    tied: bool = False
    """Whether the classifier's weight is the word embeddings, transposed."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """A complete encoder with its head."""

    family: str
    """``model_type`` of the config."""
    embeddings: Embeddings
    layers: Sequence[Layer]
    head: Head
    max_tokens: int
    """The longest text, special tokens included."""
    pre_norm: bool = False
    final_norm: Norm | None = None
    """After the last layer, where norms come before the matmuls."""
    relative: RelativeBias | Disentangled | None = None

    @property
    def hidden_size(self) -> int:
        """The width of the layers."""
        return int(self.layers[0].attention.query.weight.shape[0])

    @property
    def rotaries(self) -> list[Rotary]:
        """The different rotary positions of the layers, in the order of the layers."""
        found = [layer.attention.rotary for layer in self.layers]
        return list(dict.fromkeys(rotary for rotary in found if rotary is not None))

    @property
    def reads_types(self) -> bool:
        """Whether ``token_type_ids`` is an input: whether there are two types or more."""
        types = self.embeddings.token_type
        return types is not None and len(types) > 1
