"""The native library through ctypes, random models for it, and the same encoder in numpy.

The library is the one named by `LEANBERT_NATIVE_LIBRARY`, or the one that CMake installs beside the
engines; tests that need it are skipped when there is none.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanbert.engines.native.binding import (
    LIBRARY,
    LayerRecord,
    MatmulRecord,
    ModelRecord,
    NormRecord,
    TensorRecord,
    declare,
)
from leanbert.engines.native.layout import ACTIVATIONS, HEADS

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int8]

OK, INVALID_ARGUMENT, INVALID_MODEL, UNSUPPORTED, NO_ISA, NO_MEMORY, IO = range(7)
ABSENT, INT8, FLOAT32 = range(3)
ISAS = (
    ["neon_i8mm", "neon_dotprod", "neon"]
    if platform.machine() in ("aarch64", "arm64")
    else ["avx512_vnni", "avx_vnni_evex", "avx_vnni", "avx2"]
)
"""Every path of the library; ``avx_vnni_evex`` is ``avx_vnni`` in another encoding, for tests."""


class NativeError(Exception):
    """A status other than LB_OK, with the library's line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


def library_path() -> Path:
    """Where the library is; skips the test when it is not built."""
    given = os.environ.get("LEANBERT_NATIVE_LIBRARY")
    path = Path(given) if given else LIBRARY
    if not path.is_file():
        pytest.skip(
            f"the native library is not built: no {path} (LEANBERT_NATIVE_LIBRARY names another)"
        )
    return path


def load_library() -> ctypes.CDLL:
    """The library with its functions declared."""
    library = ctypes.CDLL(str(library_path()))
    declare(library)
    return library


def load_probe() -> ctypes.CDLL:
    """The probe library, which CMake builds beside the shipped one; skips where it is not built."""
    path = library_path().with_name("libleanbert_native_probe.so")
    if not path.is_file():
        pytest.skip(f"the probe library is not built: no {path}")
    return ctypes.CDLL(str(path))


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
    """Layer normalization's weights."""

    gamma: F32
    beta: F32


@dataclass
class Layer:
    """One encoder layer; beside a `query` of its own `qkv` is K | V."""

    qkv: Matmul
    attention_output: Matmul
    attention_norm: Norm
    ffn_up: Matmul
    ffn_down: Matmul
    ffn_norm: Norm
    query: Matmul | None = None


@dataclass
class Model:
    """Everything lb_open wants, as numpy arrays."""

    heads: int
    activation: str
    eps: float
    position_offset: int
    word: I8 | F32
    word_scale: F32 | None
    position: I8 | F32
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

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.layers[0].attention_output.weight.shape[0])

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return int(self.position.shape[0]) - self.position_offset


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
    rng: Any = None,
) -> Model:
    """A model of the given shape with random weights; `int8=False` makes every matmul f32.

    `smoothing` smooths every matmul that takes one, `query` splits the last layer's query off,
    `query_bias` leaves out the biases of keys and values, `vocabulary_head` makes the classifier
    one of words: int8, and as wide as the embeddings. `rng` gives the numbers in the seed's place.
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
    return Model(
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


@dataclass
class Blob:
    """A weights file in memory: tensors one after another, repeated arrays stored once."""

    content: bytearray = field(default_factory=bytearray)
    seen: dict[int, TensorRecord] = field(default_factory=dict)
    kept: list[npt.NDArray[Any]] = field(default_factory=list)

    def tensor(self, array: npt.NDArray[Any] | None) -> TensorRecord:
        """Appends an array and gives its record."""
        if array is None:
            return TensorRecord()
        if id(array) not in self.seen:
            self.content += b"\0" * (-len(self.content) % 64)
            rows, cols = array.shape if array.ndim == 2 else (1, array.shape[0])
            dtype = INT8 if array.dtype == np.int8 else FLOAT32
            self.seen[id(array)] = TensorRecord(
                len(self.content), array.nbytes, dtype, rows, cols, 0
            )
            self.kept.append(array)  # so that no other array gets its id
            self.content += array.tobytes()
        return self.seen[id(array)]

    def matmul(self, matmul: Matmul | None) -> MatmulRecord:
        """The records of a matmul."""
        if matmul is None:
            return MatmulRecord()
        return MatmulRecord(
            self.tensor(matmul.weight),
            self.tensor(matmul.scale),
            self.tensor(matmul.bias),
            self.tensor(matmul.smoothing),
        )

    def norm(self, norm: Norm | None) -> NormRecord:
        """The two records of a norm."""
        return NormRecord(self.tensor(norm.gamma), self.tensor(norm.beta)) if norm else NormRecord()


@dataclass
class Description:
    """A description with the memory it points to."""

    record: ModelRecord
    content: Any
    layers: Any


def describe(model: Model, *, threads: int = 1, path: Path | None = None) -> Description:
    """A model as lb_open wants it: in memory, or written to `path`."""
    blob = Blob()
    first = model.layers[0]
    record = ModelRecord(
        struct_size=ctypes.sizeof(ModelRecord),
        layer_size=ctypes.sizeof(LayerRecord),
        threads=threads,
        hidden_size=model.hidden,
        num_attention_heads=model.heads,
        intermediate_size=first.ffn_up.weight.shape[1],
        embedding_size=model.word.shape[1],
        vocab_size=model.word.shape[0],
        max_positions=model.position.shape[0],
        position_offset=model.position_offset,
        type_vocab_size=0 if model.token_type is None else model.token_type.shape[0],
        activation=ACTIVATIONS[model.activation],
        layer_norm_eps=model.eps,
        word=blob.tensor(model.word),
        word_scale=blob.tensor(model.word_scale),
        position=blob.tensor(model.position),
        position_scale=blob.tensor(model.position_scale),
        token_type=blob.tensor(model.token_type),
        embedding_norm=blob.norm(model.embedding_norm),
        projection=blob.matmul(model.projection),
        head=HEADS[model.head],
        head_activation=ACTIVATIONS[model.head_activation],
        head_dense=blob.matmul(model.head_dense),
        head_norm=blob.norm(model.head_norm),
        classifier=blob.matmul(model.classifier),
        num_layers=len(model.layers),
    )
    layers = (LayerRecord * len(model.layers))(
        *(
            LayerRecord(
                blob.matmul(layer.query),
                blob.matmul(layer.qkv),
                blob.matmul(layer.attention_output),
                blob.norm(layer.attention_norm),
                blob.matmul(layer.ffn_up),
                blob.matmul(layer.ffn_down),
                blob.norm(layer.ffn_norm),
            )
            for layer in model.layers
        )
    )
    record.layers = ctypes.cast(layers, ctypes.POINTER(LayerRecord))
    content = None
    if path is None:
        content = (ctypes.c_char * len(blob.content)).from_buffer(blob.content)
        record.data = ctypes.addressof(content)
        record.data_bytes = len(blob.content)
    else:
        path.write_bytes(blob.content)
        record.path = os.fsencode(path)
    return Description(record, content, layers)


class Encoder:
    """A handle of the library."""

    def __init__(self, description: Description, isa: str | None = None) -> None:
        self.library = load_library()
        self.description = description
        self.handle = ctypes.c_void_p()
        message = ctypes.create_string_buffer(256)
        before = os.environ.get("LEANBERT_ISA")
        if isa is not None:
            os.environ["LEANBERT_ISA"] = isa
        try:
            status = self.library.lb_open(
                ctypes.byref(description.record), ctypes.byref(self.handle), message, 256
            )
        finally:
            if isa is not None:
                if before is None:
                    del os.environ["LEANBERT_ISA"]
                else:
                    os.environ["LEANBERT_ISA"] = before
        if status:
            raise NativeError(status, message.value.decode())
        self.isa = self.library.lb_encoder_isa(self.handle).decode()

    def run(
        self,
        texts: Sequence[I32],
        types: Sequence[I32] | None = None,
        *,
        out_floats: int | None = None,
        n_tokens: int | None = None,
    ) -> list[F32]:
        """Each text's answer: [labels], [tokens, H] or [tokens, labels]."""
        lengths = np.array([len(t) for t in texts], np.int32)
        ids = np.concatenate([*texts, np.zeros(0, np.int32)]).astype(np.int32)
        kinds = None if types is None else np.concatenate(types).astype(np.int32)
        tokens = len(ids) if n_tokens is None else n_tokens
        size = self.library.lb_output_size(self.handle, len(texts), len(ids))
        out = np.full(size, np.nan, np.float32)
        message = ctypes.create_string_buffer(256)
        status = self.library.lb_run(
            self.handle,
            len(texts),
            lengths.ctypes.data,
            tokens,
            ids.ctypes.data,
            None if kinds is None else kinds.ctypes.data,
            out.ctypes.data,
            size if out_floats is None else out_floats,
            message,
            256,
        )
        if status:
            raise NativeError(status, message.value.decode())
        head = self.description.record.head
        if head == HEADS["first_token"]:
            return list(out.reshape(len(texts), -1))
        return np.split(out.reshape(len(ids), -1), np.cumsum(lengths)[:-1]) if len(texts) else []

    def close(self) -> None:
        """Frees the handle."""
        self.library.lb_close(self.handle)
        self.handle = ctypes.c_void_p()

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.close()


def runs_here(isa: str) -> bool:
    """Whether this CPU has a path, and the library; a forced name is capped, so asking tells."""
    before = os.environ.get("LEANBERT_ISA")
    os.environ["LEANBERT_ISA"] = isa
    try:
        chosen = load_library().lb_isa().decode()
    finally:
        if before is None:
            del os.environ["LEANBERT_ISA"]
        else:
            os.environ["LEANBERT_ISA"] = before
    return bool(chosen == isa)


def isa_or_skip(isa: str) -> str:
    """The name, if this CPU and the library have this path."""
    if not runs_here(isa):
        pytest.skip(f"this CPU, or the library, has no {isa}")
    return isa


def isas_here() -> list[str]:
    """The paths that this CPU runs; skips a test that compares them when it runs one alone."""
    found = [isa for isa in ISAS if runs_here(isa)]
    if len(found) < 2:
        pytest.skip(f"this CPU runs {found} alone: nothing to compare")
    return found


# ---- the same encoder in numpy, in double precision but for the quantized numbers ----------------


def erf(x: F64) -> F64:
    """The error function, element by element."""
    result: F64 = np.vectorize(math.erf, otypes=[np.float64])(x)
    return result


def activate(x: F64, name: str) -> F64:
    """An activation by its name in the interface."""
    y: F64 = x
    if name == "gelu":
        y = x / 2 * (1 + erf(x / np.sqrt(2)))
    elif name == "gelu_tanh":
        y = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    elif name == "relu":
        y = np.maximum(x, 0)
    elif name == "tanh":
        y = np.tanh(x)
    return y


def layer_norm(x: F64, norm: Norm, eps: float) -> F64:
    """Over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    y: F64 = centred / np.sqrt(variance + eps) * norm.gamma + norm.beta
    return y


def quantize(x: F64) -> tuple[F64, F64, F64]:
    """Per row: u8 values, scale [rows, 1], zero point [rows, 1]."""
    low = np.minimum(x.min(1, keepdims=True), 0)
    high = np.maximum(x.max(1, keepdims=True), 0)
    scale = np.maximum((high - low) / 255, 1e-20)
    zero = np.rint(-low / scale)
    return np.rint(x / scale + zero).clip(0, 255), scale, zero


def apply(x: F64, matmul: Matmul, *, quantized: bool = True) -> F64:
    """A matmul as the bundle's recipe has it: int8 weights quantize their input per row.

    `quantized=False` multiplies the same weights by the input as it is.
    """
    smoothed = x if matmul.smoothing is None else x * matmul.smoothing
    if matmul.scale is None:
        y = x @ matmul.weight.astype(np.float64)
    elif not quantized:
        y = smoothed @ matmul.weight.astype(np.float64) * matmul.scale
    else:
        q, scale, zero = quantize(smoothed)
        y = (q - zero) @ matmul.weight.astype(np.float64) * scale * matmul.scale
    if matmul.bias is not None:
        y[:, : len(matmul.bias)] += matmul.bias
    return y


def project(x: F64, layer: Layer, *, quantized: bool) -> F64:
    """Q | K | V of a layer, [tokens, 3H]."""
    y = apply(x, layer.qkv, quantized=quantized)
    if layer.query is None:
        return y
    return np.concatenate([apply(x, layer.query, quantized=quantized), y], 1)


def reference(model: Model, ids: I32, types: I32 | None = None, *, quantized: bool = True) -> F64:
    """One text's answer; `quantized=False` leaves the matmuls' inputs as they are."""
    matmul = partial(apply, quantized=quantized)
    tokens = len(ids)
    word = model.word[ids].astype(np.float64)
    if model.word_scale is not None:
        word *= model.word_scale[ids][:, None]
    where = model.position_offset + np.arange(tokens)
    place = model.position[where].astype(np.float64)
    if model.position_scale is not None:
        place *= model.position_scale[where][:, None]
    x = word + place
    if model.token_type is not None:
        x = x + model.token_type[np.zeros(tokens, np.int32) if types is None else types]
    x = layer_norm(x, model.embedding_norm, model.eps)
    if model.projection is not None:
        x = matmul(x, model.projection)
    width = model.hidden // model.heads
    for layer in model.layers:
        q, k, v = (
            part.reshape(tokens, model.heads, width).transpose(1, 0, 2)
            for part in np.split(project(x, layer, quantized=quantized), 3, 1)
        )
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(width)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        context = (weights / weights.sum(-1, keepdims=True)) @ v
        context = context.transpose(1, 0, 2).reshape(tokens, model.hidden)
        x = layer_norm(x + matmul(context, layer.attention_output), layer.attention_norm, model.eps)
        h = activate(matmul(x, layer.ffn_up), model.activation)
        x = layer_norm(x + matmul(h, layer.ffn_down), layer.ffn_norm, model.eps)
    if model.head == "none":
        return x
    if model.head == "first_token":
        x = x[:1]
    if model.head_dense is not None:
        x = activate(matmul(x, model.head_dense), model.head_activation)
    if model.head_norm is not None:
        x = layer_norm(x, model.head_norm, model.eps)
    assert model.classifier is not None
    x = matmul(x, model.classifier)
    return x[0] if model.head == "first_token" else x


def random_texts(
    rng: np.random.Generator, lengths: Sequence[int], vocabulary: int = 50
) -> list[I32]:
    """Random ids of the given lengths."""
    return [rng.integers(0, vocabulary, n).astype(np.int32) for n in lengths]
