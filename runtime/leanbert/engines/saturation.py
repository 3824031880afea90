"""Whether ONNX Runtime's int8 matmuls are exact on this CPU, and what to do where they are not.

x86 CPUs without VNNI multiply uint8 activations with int8 weights by ``vpmaddubsw``, which adds
two products in 16 bits and saturates: answers are wrong, and nothing says so (AVX2, AVX-512 without
VNNI; SSE4.1 in the Windows build). Weights in 7 bits cannot saturate, and uint8 weights go through
other, exact kernels. onnxruntime converts int8 weights to uint8 from 1.25 on, and from 1.25 to 1.29
an assertion in that conversion ends the process, so that it is asked for from 1.30 on only.

The CPU is asked by multiplying, not by its flags: ``/proc/cpuinfo`` shows the host's flags under
emulation and is absent elsewhere, and what counts is the kernel that the installed runtime chose.
The sums are integers, so either all are right or the kernel saturates.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache

import numpy as np

from leanbert.bundle import Bundle
from leanbert.bundle.graph_summary import summarize_graph
from leanbert.bundle.values import WrongValueError
from leanbert.engines.ort import ort
from leanbert.errors import BundleError, EngineError

__all__ = ["Matmuls", "choose_matmuls", "int8_matmuls", "use_uint8_weights"]

_FATAL_ONLY = 4
_ROWS, _SIZE = 2, 16  # a square of weights: more than one pair of products for each sum
# The runtime turns int8 weights into uint8 (and subtracts the zero point 128: the same integers) in
# its pass Avx2WeightS8ToU8Transformer, which the level "extended" runs and "disabled" does not.
_PRECISION = "session.x64quantprecision"
_CONVERTING = (1, 30)  # the first version that does so without ending the process
# What else that level would do to a final graph is neutral but for these, which are slower.
_SLOWER = ("SkipLayerNormFusion", "BiasGeluFusion")


_FLOAT16 = 10  # TensorProto.DataType
_INT8_OPERATORS = frozenset(
    {
        "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm",
        "QAttention", "ConvInteger", "QLinearConv", "DequantizeLinear", "DynamicQuantizeLinear",
    }
)  # fmt: skip


class Matmuls(Enum):
    """How a graph's matmuls are computed; the value is what users read."""

    FP32 = "fp32"
    FP16 = "fp16 weights, computed in fp32"
    BLOCKS = "weights of few bits in blocks (MatMulNBits)"
    INT7 = "7-bit weights, which cannot saturate"
    INT8 = "int8 weights, exact on this CPU"
    UINT8 = "uint8 weights, as int8 would saturate on this CPU"
    SATURATING = "int8 weights, which saturate on this CPU"
    """Neither way is exact: no released runtime is known to do this."""


def choose_matmuls(bundle: Bundle) -> Matmuls:
    """How to compute a bundle's matmuls on this CPU.

    Raises:
        EngineError: the bundle's matmuls would saturate, and the runtime has no exact way.
    """
    if bundle.manifest is None and (found := _without_int8(bundle)) is not None:
        return found
    recipe = bundle.manifest.recipe if bundle.manifest else {}
    if recipe.get("name") == "fp32":
        return Matmuls.FP32
    if recipe.get("reduce_range") is True:
        return Matmuls.INT7
    matmuls = int8_matmuls()
    if matmuls is Matmuls.SATURATING and bundle.manifest:
        upgrade = "upgrade onnxruntime to 1.30 or newer, or " if _version() < _CONVERTING else ""
        raise EngineError(
            f"{bundle.path}: its int8 matmuls saturate on this CPU, and onnxruntime "
            f"{ort.__version__} has no exact way here; {upgrade}export the checkpoint with "
            "--reduce-range or --recipe fp32"
        )
    return matmuls


def _without_int8(bundle: Bundle) -> Matmuls | None:
    """How the matmuls of a graph without 8-bit operators are computed; ``None`` for all others."""
    try:
        graph = summarize_graph(bundle.model_path)
    except (BundleError, WrongValueError):
        return None  # opening the session says what is wrong
    if not _INT8_OPERATORS.isdisjoint(graph.operators):
        return None
    if "MatMulNBits" in graph.operators:
        return Matmuls.BLOCKS
    halves = graph.weights.get(_FLOAT16, 0)
    return Matmuls.FP16 if halves > sum(graph.weights.values()) / 2 else Matmuls.FP32


@cache
def int8_matmuls() -> Matmuls:
    """How 8-bit weights are multiplied on this CPU: found by two tiny matmuls, once per process."""
    if _is_exact(uint8_weights=False):
        return Matmuls.INT8
    if _version() >= _CONVERTING and _is_exact(uint8_weights=True):
        return Matmuls.UINT8
    return Matmuls.SATURATING


def use_uint8_weights(options: ort.SessionOptions) -> list[str]:
    """Have a session multiply uint8 weights; returns the optimizers to disable with it.

    Not for CPUs whose int8 matmuls are exact: their uint8 kernels are the slower ones.
    """
    options.add_session_config_entry(_PRECISION, "1")
    if options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_DISABLE_ALL:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        return list(_SLOWER)
    return []


def _version() -> tuple[int, ...]:
    """The first two numbers of onnxruntime's version."""
    return tuple(int(part) for part in re.findall(r"\d+", ort.__version__)[:2])


def _is_exact(*, uint8_weights: bool) -> bool:
    """Multiply the largest activations with the largest weights, and look at the sums."""
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    disabled = use_uint8_weights(options) if uint8_weights else []
    session = ort.InferenceSession(
        _probe_graph(), options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled
    )
    (sums,) = session.run(None, {"a": np.full((_ROWS, _SIZE), 255, dtype=np.uint8)})
    return bool((sums == _SIZE * 255 * 127).all())


def _probe_graph() -> bytes:
    """The ONNX model ``MatMulInteger(a, w)``, all weights ``w`` 127, as protobuf bytes.

    Written by hand, because the runtime does without the onnx package; the field numbers are those
    of onnx/onnx.proto. All int8 matrix operators end in the same kernels.
    """
    uint8, int8, int32 = 2, 3, 6  # TensorProto.DataType
    dims = _field(1, _SIZE) + _field(1, _SIZE)
    weights = dims + _field(2, int8) + _field(8, b"w") + _field(9, bytes([127]) * _SIZE**2)
    node = _field(1, b"a") + _field(1, b"w") + _field(2, b"y") + _field(4, b"MatMulInteger")
    graph = _field(1, node) + _field(2, b"probe") + _field(5, weights)
    graph += _field(11, _value(b"a", uint8)) + _field(12, _value(b"y", int32))
    opset = _field(2, 10)
    return _field(1, 5) + _field(7, graph) + _field(8, opset)


def _value(name: bytes, elem_type: int) -> bytes:
    shape = _field(1, _field(1, _ROWS)) + _field(1, _field(1, _SIZE))
    return _field(1, name) + _field(2, _field(1, _field(1, elem_type) + _field(2, shape)))


def _field(number: int, value: int | bytes) -> bytes:
    """One protobuf field: a varint, or bytes after their length (protobuf.dev, "Encoding")."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
