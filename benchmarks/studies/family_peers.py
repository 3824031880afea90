"""The peers of studies.families: one family's checkpoint on ONNX Runtime and on OpenVINO, in int8.

Both begin with one graph, which torch.onnx.export traces. ONNX Runtime's is quantized as its
documentation shows for transformers (dynamic, per channel), OpenVINO's by NNCF (static). As a
module, this is the process of one engine, with the models of all families that it is given:
  python -m studies.family_peers studies.family_peers:OnnxRuntimeInt8
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from leanbert_bench.backends import Backend, Model, start
from leanbert_bench.backends.base import random_inputs
from leanbert_bench.backends.onnxruntime import OnnxRuntimeGraph
from leanbert_bench.backends.openvino import quantize_with_nncf
from leanbert_bench.backends.pytorch import EagerFp32
from leanbert_bench.run.worker import Message, serve
from leanbert_bench.statistics import median

__all__ = ["SHOWN", "OnnxRuntimeInt8", "PyTorchFp32", "make_peers"]

_GRAPH = "model_int8.onnx"
_FEWEST = 3  # answers that are timed at least

SHOWN = 60
"""Characters of an error in a cell of the table."""


class PyTorchFp32(EagerFp32):
    """The reference; its process loads several models, and torch takes some settings once only."""

    def set_threads(self) -> None:
        """Set the threads within an operator; eager models run one operator at a time."""
        import torch

        torch.set_num_threads(self.model.threads)


class OnnxRuntimeInt8(OnnxRuntimeGraph):
    """ONNX Runtime's own dynamic int8, with its own optimizer."""

    name = "ONNX Runtime int8 (dynamic)"
    graph = _GRAPH


def make_peers(checkpoint: Path, folder: Path, texts: Sequence[str]) -> dict[str, str]:
    """Make what the peers load, in ``folder``.

    Args:
        checkpoint: a classifier.
        folder: of the peers.
        texts: that calibrate.

    Returns:
        By the peer's name why it cannot be made, where it cannot; in a few words.
    """
    from leanbert_export.checkpoint.finding import find_checkpoint
    from leanbert_export.checkpoint.loading import load_checkpoint
    from leanbert_export.tracing.pytorch import export_with_torch

    failed: dict[str, str] = {}

    def attempt(names: Sequence[str], make: Callable[[], object]) -> None:
        try:
            make()
        except Exception as error:  # noqa: BLE001 - whatever it is stands in the peer's cell
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            failed.update(dict.fromkeys(names, why[:SHOWN]))

    loaded = load_checkpoint(find_checkpoint(str(checkpoint), revision=None, task=None))
    graph = folder / "traced" / "model.onnx"
    attempt(
        ("onnxruntime", "openvino"),
        lambda: export_with_torch(loaded, graph.parent, "a peer's graph"),
    )
    if not failed:
        attempt(("onnxruntime",), lambda: _quantize_onnx(graph, folder))
        encode = partial(loaded.tokenizer, return_token_type_ids=True, return_tensors="np")
        attempt(("openvino",), lambda: quantize_with_nncf(graph, map(encode, texts), folder))
    return failed


def _quantize_onnx(graph: Path, folder: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(
        str(prepared),
        str(folder / _GRAPH),
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    prepared.unlink()


class _Worker:
    """One engine, with the model of each family that it has loaded."""

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._models: dict[str, Backend] = {}
        self.commands = {"load": self._load, "time": self._time}

    def _load(self, message: Message) -> Message:
        model = Model(
            Path(message["path"]),
            Path(message["checkpoint"]),
            "text-classification",
            message["threads"],
        )
        self._models[message["family"]] = start(self._factory, model, "Profit rose.").backend
        return {}

    def _time(self, message: Message) -> Message:
        backend = self._models[message["family"]]
        inputs = random_inputs(message["batch"], message["tokens"], message["vocabulary"])
        backend.forward(inputs)
        taken: list[float] = []
        while len(taken) < _FEWEST or sum(taken) < message["seconds"]:
            begun = time.perf_counter()
            backend.forward(inputs)
            taken.append(time.perf_counter() - begun)
        return {"ms": 1e3 * median(taken), "answers": len(taken)}


if __name__ == "__main__":
    serve(_Worker(sys.argv[1]).commands)
    sys.exit(0)
