"""The machine's limit: matmuls in int8 and fp32, and reading memory.

It is measured in a process of its own with well-kept libraries: oneDNN's quantized linear layer
and the BLAS that PyTorch brings, or ONNX Runtime's ``MatMulInteger`` and numpy's BLAS without it.
Beside it stands the roof of LeanBERT's own kernels, on the path that runs on this CPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from leanbert.engines.native.binding import native_isa, native_roof, why_no_library
from leanbert_bench.run.worker import Message, serve

MODULE = "leanbert_bench.run.roof"
"""What a :class:`~leanbert_bench.run.process.WorkerProcess` runs."""

_SIZES = ((1024, 1024, 4096), (2048, 2048, 2048))  # M, K, N: large enough, and within an L3
_BYTES = 256 << 20  # beyond any L3 of a desktop or a server's slice
_SECONDS = 0.15  # per candidate


class _Roof:
    def __init__(self) -> None:
        self._products: dict[str, list[tuple[str, float, Callable[[], object]]]] = {}
        self._read: Callable[[], object] = lambda: None
        self._library = ""
        self._threads = 0  # that measure LeanBERT's kernels; 0 where these cannot run

    def load(self, message: Message) -> Message:
        threads = message["threads"]
        try:
            import torch  # noqa: F401 - whether it is there
        except ImportError:
            self._with_numpy(threads)
        else:
            self._with_torch(threads)
        if why_no_library() is not None:
            return {"library": self._library}
        self._threads = threads
        return {"library": self._library, "native_isa": native_isa()}

    def _with_torch(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        int8: list[tuple[str, float, Callable[[], object]]] = []
        fp32: list[tuple[str, float, Callable[[], object]]] = []
        for m, k, n in _SIZES:
            x, y = torch.randn(m, k), torch.randn(k, n)
            fp32.append(("torch.mm", 2.0 * m * k * n, _call(torch.mm, x, y)))
            left = torch.randint(0, 255, (m, k), dtype=torch.uint8)
            right = torch.randint(-127, 127, (n, k), dtype=torch.int8)
            int8.append(("qlinear", 2.0 * m * k * n, _onednn(torch, left, right)))
        self._products = {"int8_gops": int8, "fp32_gflops": fp32}
        block = torch.ones(_BYTES // 4)
        self._read = block.sum
        self._library = f"torch {torch.__version__}: oneDNN qlinear (u8 x s8), torch.mm, torch.sum"

    def _with_numpy(self, threads: int) -> None:
        import numpy as np

        from leanbert.engines.ort import ort

        draw = np.random.default_rng(0)
        int8: list[tuple[str, float, Callable[[], object]]] = []
        fp32: list[tuple[str, float, Callable[[], object]]] = []
        session = _integer_product(ort, threads)
        for m, k, n in _SIZES:
            x = draw.standard_normal((m, k), np.float32)
            y = draw.standard_normal((k, n), np.float32)
            fp32.append(("numpy", 2.0 * m * k * n, _call(np.matmul, x, y)))
            feed = {
                "a": draw.integers(0, 255, (m, k), np.uint8),
                "b": draw.integers(-127, 127, (k, n), np.int8),
            }
            int8.append(("MatMulInteger", 2.0 * m * k * n, _call(session.run, None, feed)))
        self._products = {"int8_gops": int8, "fp32_gflops": fp32}
        block = np.ones(_BYTES // 4, np.float32)
        self._read = _call(np.dot, block, block)
        self._library = (
            f"onnxruntime {ort.__version__} MatMulInteger, numpy {np.__version__} matmul and dot"
        )

    def measure(self, _: Message) -> Message:
        """Take one sample of each: the best of a few runs, as a limit is not an average."""
        found = {
            name: max(ops / _best(run) / 1e9 for _, ops, run in candidates)
            for name, candidates in self._products.items()
        }
        if self._threads:
            with ThreadPoolExecutor(self._threads) as pool:
                rates = pool.map(native_roof, [_SECONDS] * self._threads)
                found["native_gops"] = sum(rates) / 1e9
        return {**found, "bandwidth_gbs": _BYTES / _best(self._read) / 1e9}


def _call(function: Callable[..., object], *arguments: Any) -> Callable[[], object]:
    return lambda: function(*arguments)


def _onednn(torch: Any, left: Any, right: Any) -> Callable[[], object]:
    """OneDNN's matmul through PyTorch's own quantized linear operator, as inductor calls it."""
    rows = right.shape[0]
    packed = torch.ops.onednn.qlinear_prepack(right, None)
    scales, zeros = torch.ones(rows), torch.zeros(rows, dtype=torch.int64)

    def run() -> object:
        found: object = torch.ops.onednn.qlinear_pointwise(
            left, 0.1, 128, packed, scales, zeros, None, 1.0, 0, torch.uint8, "none", [], ""
        )
        return found

    try:
        run()
    except (RuntimeError, AttributeError, TypeError):  # a build without oneDNN
        transposed = right.t().contiguous()
        signed = (left.to(torch.int16) - 128).to(torch.int8)
        return _call(torch._int_mm, signed, transposed)
    return run


def _integer_product(ort: Any, threads: int) -> Any:
    """A session of one ``MatMulInteger``, made without the onnx package.

    The bytes are an ONNX ModelProto: ir_version 8, opset 13, inputs ``a`` (uint8) and ``b`` (int8),
    both of two free dimensions, output ``c`` (int32).
    """

    def field(number: int, payload: bytes) -> bytes:
        return bytes([number << 3 | 2, len(payload)]) + payload

    def value(name: str, kind: int) -> bytes:
        shape = field(1, field(2, b"x")) + field(1, field(2, b"y"))
        tensor = bytes([1 << 3, kind]) + field(2, shape)
        return field(1, name.encode()) + field(2, field(1, tensor))

    node = field(1, b"a") + field(1, b"b") + field(2, b"c") + field(4, b"MatMulInteger")
    graph = field(1, node) + field(2, b"g")
    graph += field(11, value("a", 2)) + field(11, value("b", 3)) + field(12, value("c", 6))
    model = bytes([1 << 3, 8]) + field(7, graph) + field(8, field(1, b"") + bytes([2 << 3, 13]))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _best(run: Callable[[], object]) -> float:
    """The seconds of the fastest run."""
    run()
    found: list[float] = []
    while len(found) < 3 or sum(found) < _SECONDS:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


if __name__ == "__main__":
    roof = _Roof()
    serve({"load": roof.load, "measure": roof.measure})
    sys.exit(0)
