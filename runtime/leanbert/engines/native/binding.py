"""The native library by ctypes: its records, its functions, and whether this machine can use it.

What the records mean is said in ``runtime/native/include/leanbert_native.h``; the names are its.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from leanbert.errors import EngineError

__all__ = [
    "ABI_VERSION",
    "LIBRARY",
    "Handle",
    "LayerRecord",
    "MatmulRecord",
    "Messages",
    "ModelRecord",
    "NormRecord",
    "TensorRecord",
    "address_of",
    "declare",
    "library_with",
    "load_library",
    "native_isa",
    "native_roof",
    "why_no_library",
]

ABI_VERSION = 3
"""``LB_ABI_VERSION`` of the header that this module repeats."""

_SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
LIBRARY = Path(__file__).parent.parent / "_native" / "libleanbert_native.so"
if sys.platform in _SUFFIXES:
    LIBRARY = LIBRARY.with_suffix(_SUFFIXES[sys.platform])

_U32, _U64 = ctypes.c_uint32, ctypes.c_uint64
_NO_ISA = "none"
_Bytes = ctypes.c_char * 0  # an address, whatever the buffer's size


class TensorRecord(ctypes.Structure):
    """``lb_tensor``; all zero means absent."""

    _fields_ = (
        ("offset", _U64),
        ("bytes", _U64),
        ("dtype", _U32),
        ("rows", _U32),
        ("cols", _U32),
        ("reserved", _U32),
    )


class MatmulRecord(ctypes.Structure):
    """``lb_matmul``."""

    _fields_ = (
        ("weight", TensorRecord),
        ("scale", TensorRecord),
        ("bias", TensorRecord),
        ("smoothing", TensorRecord),
    )


class NormRecord(ctypes.Structure):
    """``lb_norm``."""

    _fields_ = (("gamma", TensorRecord), ("beta", TensorRecord))


class LayerRecord(ctypes.Structure):
    """``lb_layer``."""

    _fields_ = (
        ("query", MatmulRecord),
        ("qkv", MatmulRecord),
        ("attention_output", MatmulRecord),
        ("attention_norm", NormRecord),
        ("ffn_up", MatmulRecord),
        ("ffn_down", MatmulRecord),
        ("ffn_norm", NormRecord),
        ("position_key", TensorRecord),
        ("position_query", TensorRecord),
        ("window", _U32),
        ("rotary", _U32),
    )


class ModelRecord(ctypes.Structure):
    """``lb_model_desc``."""

    _fields_ = (
        ("struct_size", _U32),
        ("layer_size", _U32),
        ("path", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("data_bytes", _U64),
        ("threads", _U32),
        ("hidden_size", _U32),
        ("num_attention_heads", _U32),
        ("intermediate_size", _U32),
        ("embedding_size", _U32),
        ("vocab_size", _U32),
        ("max_positions", _U32),
        ("position_offset", _U32),
        ("type_vocab_size", _U32),
        ("activation", _U32),
        ("layer_norm_eps", ctypes.c_float),
        ("word", TensorRecord),
        ("word_scale", TensorRecord),
        ("position", TensorRecord),
        ("position_scale", TensorRecord),
        ("token_type", TensorRecord),
        ("embedding_norm", NormRecord),
        ("projection", MatmulRecord),
        ("head", _U32),
        ("head_activation", _U32),
        ("head_dense", MatmulRecord),
        ("head_norm", NormRecord),
        ("classifier", MatmulRecord),
        ("pre_norm", _U32),
        ("gated", _U32),
        ("final_norm", NormRecord),
        ("rotary_cos", TensorRecord * 2),
        ("rotary_sin", TensorRecord * 2),
        ("relative_bias", TensorRecord),
        ("num_layers", _U32),
        ("num_relative_buckets", _U32),
        ("layers", ctypes.POINTER(LayerRecord)),
        ("relative_buckets", ctypes.POINTER(_U32)),
    )


class Handle:
    """A handle of the library, which is freed when nobody refers to it: no call, and no owner.

    Counting references needs no lock, which a forked child could find taken.

    Args:
        pointer: the library's.
        close: the library's function that frees it.
    """

    __slots__ = ("__weakref__", "pointer")

    def __init__(
        self, pointer: ctypes.c_void_p, close: Callable[[ctypes.c_void_p], object]
    ) -> None:
        self.pointer = pointer
        # Not at exit: a daemon thread may still be computing then.
        weakref.finalize(self, close, pointer).atexit = False


class Messages(threading.local):
    """Where the library writes the line that says why a call failed; one place per thread."""

    size = 512
    """Bytes of it."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(self.size)

    def line(self) -> str:
        """The line of this thread's last call that failed."""
        return bytes(self.buffer.value).decode(errors="replace")


def address_of(buffer: Any) -> Any:
    """What ctypes passes as the address of the first number of an array, or byte of a buffer."""
    try:
        return _Bytes.from_buffer(buffer)  # a quarter of the time that array.ctypes takes
    except TypeError:  # the array may not be written to
        return buffer.ctypes.data


def why_no_library() -> str | None:
    """Why this machine cannot use the native engine at all; ``None`` if it can."""
    try:
        library = load_library()
    except EngineError as error:
        return str(error)
    if _isa(library) == _NO_ISA:
        return "this CPU has neither AVX-512 VNNI nor AVX2 with FMA, or LEANBERT_ISA is unknown"
    return None


def native_isa() -> str:
    """The kernels that would run, ``"avx2"`` for one; only where there is a library.

    Raises:
        EngineError: as :func:`load_library`.
    """
    return _isa(load_library())


def native_roof(seconds: float) -> float:
    """Measure the int8 operations per second of one thread on these kernels, for so many seconds.

    Threads that call it at the same time measure what each reaches beside the others.

    Raises:
        EngineError: as :func:`load_library`.
    """
    return float(load_library().lb_roof(seconds))


def _isa(library: ctypes.CDLL) -> str:
    found: bytes = library.lb_isa()
    return found.decode()


def load_library() -> ctypes.CDLL:
    """The library, loaded once a process.

    Raises:
        EngineError: it is not there, cannot be loaded, or has another interface.
    """
    return _load(LIBRARY)


@cache
def library_with(function: str) -> ctypes.CDLL | None:
    """The library; ``None`` where it is not there, or was built before it had ``function``."""
    try:
        library = load_library()
    except EngineError:
        return None
    return library if hasattr(library, function) else None


@cache
def _load(path: Path) -> ctypes.CDLL:
    if not path.is_file():
        raise EngineError(
            "the native library is not installed (LeanBERT was built without a C++ compiler, "
            "or for a CPU that is neither x86-64 nor 64-bit ARM)"
        )
    try:
        library = ctypes.CDLL(str(path))
        version = int(library.lb_abi_version())
    except (OSError, AttributeError) as error:
        raise EngineError(f"the native library cannot be loaded ({error})") from error
    if version != ABI_VERSION:
        raise EngineError(
            f"the native library has interface {version}, this LeanBERT needs {ABI_VERSION}; "
            "install leanbert again"
        )
    try:
        declare(library)
    except AttributeError as error:
        raise EngineError(
            f"the native library lacks a function ({error}); install leanbert again"
        ) from error
    return library


def declare(library: ctypes.CDLL) -> None:
    """Give the library's functions their types."""
    handle, message = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_size_t)
    library.lb_open.argtypes = [
        ctypes.POINTER(ModelRecord),
        ctypes.POINTER(handle),
        *message,
    ]
    library.lb_close.argtypes = [handle]
    library.lb_close.restype = None
    pointer = ctypes.c_void_p
    library.lb_run.argtypes = [
        handle,
        *(_U64, pointer, _U64, pointer, pointer),
        *(pointer, _U64),
        *message,
    ]
    library.lb_output_size.argtypes = [handle, _U64, _U64]
    library.lb_output_size.restype = _U64
    library.lb_encoder_isa.argtypes = [handle]
    library.lb_roof.argtypes = [ctypes.c_double]
    library.lb_roof.restype = ctypes.c_double
    for name in ("lb_encoder_isa", "lb_isa", "lb_version"):
        getattr(library, name).restype = ctypes.c_char_p
    # Of the same interface, but newer than its first libraries.
    if hasattr(library, "lb_scores"):
        library.lb_scores.argtypes = [_U32, _U64, _U64, pointer, pointer, pointer, *message]
    if hasattr(library, "lb_tokenize"):
        _declare_tokenizer(library)


def _declare_tokenizer(library: ctypes.CDLL) -> None:
    handle, pointer, message = ctypes.c_void_p, ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_size_t)
    library.lb_tokenizer_open.argtypes = [
        *(ctypes.c_char_p, _U64) * 2,
        ctypes.POINTER(handle),
        *message,
    ]
    library.lb_tokenizer_close.argtypes = [handle]
    library.lb_tokenizer_close.restype = None
    library.lb_tokenizer_special_tokens.argtypes = [handle]
    library.lb_tokenizer_special_tokens.restype = _U64
    library.lb_tokenize.argtypes = [
        handle,
        *(_U64, ctypes.c_char_p, pointer, _U64, _U64),
        *(pointer, pointer, pointer, pointer),
        *message,
    ]
