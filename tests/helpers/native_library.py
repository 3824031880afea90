"""The native library through ctypes.

The library is the one named by `LEANBERT_NATIVE_LIBRARY`, or the one that CMake installs beside the
engines; tests that need it are skipped when there is none.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from tests.helpers.native_models import F32, I32, Matmul, Model, Norm

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


def load_library_with(function: str) -> ctypes.CDLL:
    """The same; skips where the library was built before it had ``function``."""
    found = load_library()
    if not hasattr(found, function):
        pytest.skip(f"the native library is older than {function}: build it again")
    return found


def load_probe() -> ctypes.CDLL:
    """The probe library, which CMake builds beside the shipped one; skips where it is not built."""
    path = library_path().with_name("libleanbert_native_probe.so")
    if not path.is_file():
        pytest.skip(f"the probe library is not built: no {path}")
    return ctypes.CDLL(str(path))


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
    buckets: Any = None


def describe(model: Model, *, threads: int = 1, path: Path | None = None) -> Description:
    """A model as lb_open wants it: in memory, or written to `path`."""
    blob = Blob()
    tables = [*model.rotary, (None, None), (None, None)][:2]
    record = ModelRecord(
        struct_size=ctypes.sizeof(ModelRecord),
        layer_size=ctypes.sizeof(LayerRecord),
        threads=threads,
        hidden_size=model.hidden,
        num_attention_heads=model.heads,
        intermediate_size=model.intermediate,
        embedding_size=model.word.shape[1],
        vocab_size=model.word.shape[0],
        max_positions=model.positions,
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
        pre_norm=model.final_norm is not None,
        gated=model.gated,
        final_norm=blob.norm(model.final_norm),
        rotary_cos=(TensorRecord * 2)(*(blob.tensor(cosines) for cosines, _ in tables)),
        rotary_sin=(TensorRecord * 2)(*(blob.tensor(sines) for _, sines in tables)),
        relative_bias=blob.tensor(model.relative_bias),
        num_layers=len(model.layers),
        num_relative_buckets=len(model.buckets),
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
                blob.tensor(layer.position_key),
                blob.tensor(layer.position_query),
                layer.window,
                layer.rotary,
            )
            for layer in model.layers
        )
    )
    buckets = (ctypes.c_uint32 * len(model.buckets))(*model.buckets)
    record.relative_buckets = ctypes.cast(buckets, ctypes.POINTER(ctypes.c_uint32))
    record.layers = ctypes.cast(layers, ctypes.POINTER(LayerRecord))
    content = None
    if path is None:
        content = (ctypes.c_char * len(blob.content)).from_buffer(blob.content)
        record.data = ctypes.addressof(content)
        record.data_bytes = len(blob.content)
    else:
        path.write_bytes(blob.content)
        record.path = os.fsencode(path)
    return Description(record, content, layers, buckets)


@contextmanager
def _forced(isa: str | None) -> Iterator[None]:
    """Names the path that the library takes; None leaves it what it is."""
    before = os.environ.get("LEANBERT_ISA")
    if isa is not None:
        os.environ["LEANBERT_ISA"] = isa
    try:
        yield
    finally:
        if before is not None:
            os.environ["LEANBERT_ISA"] = before
        elif isa is not None:
            del os.environ["LEANBERT_ISA"]


class Encoder:
    """A handle of the library."""

    def __init__(self, description: Description, isa: str | None = None) -> None:
        self.library = load_library()
        self.description = description
        self.handle = ctypes.c_void_p()
        message = ctypes.create_string_buffer(256)
        with _forced(isa):
            status = self.library.lb_open(
                ctypes.byref(description.record), ctypes.byref(self.handle), message, 256
            )
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
        if head in (HEADS["first_token"], HEADS["mean"]):
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
    with _forced(isa):
        chosen = load_library().lb_isa().decode()
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
