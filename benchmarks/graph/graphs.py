"""Engines at the level of their graphs: padded token ids in, logits or hidden states out.

This module is the process that each engine has for itself, too (``python -m graphs KIND``); it
blocks on its stdin while another one is at work. The parent's side is ``contestants.py``.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from leanbert.engines import Batch
from leanbert.engines.padding import ModelInputs, pad
from leanbert.errors import InputError
from leanbert.numerics import mean_pool
from leanbert_bench.backends.optimum import OPTIMUM_GRAPH, quantize_with_optimum
from leanbert_bench.run.worker import Message, serve
from tokens import random_inputs, read_tokens

Floats = npt.NDArray[np.float32]

LOGITS, HIDDEN = "logits", "last_hidden_state"
_OPENVINO_GRAPH = "openvino.xml"


class Graph(ABC):
    """One engine with one model.

    Args:
        model: a bundle, a checkpoint, or what :meth:`prepare` made.
        threads: how many threads it may use.
        output: the graph's output that is wanted, :data:`LOGITS` or :data:`HIDDEN`.
    """

    def __init__(self, model: Path, threads: int, output: str) -> None:
        self.model = model
        self.threads = threads
        self.output = output

    @classmethod
    def prepare(cls, checkpoint: Path, folder: Path, output: str, calibration: Path | None) -> None:
        """Make in ``folder`` what the constructor takes.

        Args:
            checkpoint: a Hugging Face checkpoint.
            folder: an empty directory.
            output: see the class.
            calibration: texts as :func:`write_tokens` keeps them, for those that need some.
        """
        raise NotImplementedError(f"{cls.__name__} takes its model as it is")

    @abstractmethod
    def run(self, inputs: ModelInputs) -> Floats:
        """Compute one padded batch.

        *Shape:* inputs ``(batch_size, seq_len)`` int64 -> logits ``(batch_size, num_labels)`` or
        hidden states ``(batch_size, seq_len, hidden_size)``, float32.
        """


class LeanBert(Graph):
    """A LeanBERT bundle on one of LeanBERT's engines, with its options."""

    engine: str

    def __init__(self, model: Path, threads: int, output: str) -> None:
        from leanbert.bundle import Bundle
        from leanbert.engines import load_engine

        super().__init__(model, threads, output)
        self._engine = load_engine(Bundle.open(model), threads, self.engine)

    def run(self, inputs: ModelInputs) -> Floats:
        """See :meth:`Graph.run`."""
        real = inputs["attention_mask"] != 0
        ids, types = (
            inputs[name][real].astype(np.int32) for name in ("input_ids", "token_type_ids")
        )
        found = self._engine.run(Batch(ids, types, real.sum(axis=1, dtype=np.int32)))[self.output]
        if self.output == LOGITS:
            return found
        padded = np.zeros((*real.shape, found.shape[-1]), np.float32)
        padded[real] = found
        return padded


class LeanBertOnnxRuntime(LeanBert):
    """A bundle's graph on ONNX Runtime."""

    engine = "onnxruntime"


class LeanBertWorkers(Graph):
    """ONNX Runtime in throughput mode: one session of one thread, a share of the rows a worker."""

    def __init__(self, model: Path, threads: int, output: str) -> None:
        super().__init__(model, threads, output)
        self._graph = LeanBertOnnxRuntime(model, 1, output)
        self._workers = ThreadPoolExecutor(threads)

    def run(self, inputs: ModelInputs) -> Floats:
        """See :meth:`Graph.run`."""
        rows = np.arange(len(inputs["input_ids"]))
        shares = [share for share in np.array_split(rows, self.threads) if len(share)]
        parts = [{name: array[share] for name, array in inputs.items()} for share in shares]
        return np.concatenate(list(self._workers.map(self._graph.run, parts)))


class LeanBertNative(LeanBert):
    """A bundle's weights in the native encoder."""

    engine = "native"


class Optimum(Graph):
    """Optimum's int8 preset for this CPU, on ONNX Runtime with its default options."""

    @classmethod
    def prepare(cls, checkpoint: Path, folder: Path, output: str, calibration: Path | None) -> None:  # noqa: ARG003
        """See :meth:`Graph.prepare`; the tokenizer is for pipelines."""
        from transformers import AutoTokenizer

        quantize_with_optimum(_exported(checkpoint, output), folder)
        AutoTokenizer.from_pretrained(str(checkpoint)).save_pretrained(str(folder))

    def __init__(self, model: Path, threads: int, output: str) -> None:
        import onnxruntime as ort

        super().__init__(model, threads, output)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        path = model / OPTIMUM_GRAPH
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [node.name for node in self._session.get_inputs()]
        _check_output(output, [node.name for node in self._session.get_outputs()], path)

    def run(self, inputs: ModelInputs) -> Floats:
        """See :meth:`Graph.run`."""
        feed = {name: inputs[name] for name in self._names}
        return cast("Floats", self._session.run([self.output], feed)[0])


class OpenVino(Graph):
    """OpenVINO with NNCF's static int8 post-training quantization, other operators in fp32."""

    @classmethod
    def prepare(cls, checkpoint: Path, folder: Path, output: str, calibration: Path | None) -> None:
        """See :meth:`Graph.prepare`; a text of the calibration is a batch of its own."""
        import nncf
        import openvino

        if calibration is None:
            raise InputError("OpenVINO's static quantization needs texts to calibrate on")
        exported = _exported(checkpoint, output)
        graph = openvino.Core().read_model(str(exported.path))
        names = [port.get_any_name() for port in graph.inputs]
        tokens = read_tokens(calibration)
        batches = [pad(tokens.take([i]), 0) for i in range(len(tokens))]
        quantized = nncf.quantize(
            graph,
            nncf.Dataset([{name: batch[name] for name in names} for batch in batches]),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
        )
        openvino.save_model(quantized, str(folder / _OPENVINO_GRAPH), compress_to_fp16=False)

    def __init__(self, model: Path, threads: int, output: str) -> None:
        import openvino

        super().__init__(model, threads, output)
        path = model / _OPENVINO_GRAPH
        compiled = openvino.Core().compile_model(
            str(path),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
        self._names = [port.get_any_name() for port in compiled.inputs]
        outputs = [port.get_any_name() for port in compiled.outputs]
        _check_output(output, outputs, path)
        self._port = compiled.output(outputs.index(output))
        self._request = compiled.create_infer_request()

    def run(self, inputs: ModelInputs) -> Floats:
        """See :meth:`Graph.run`."""
        found = self._request.infer({name: inputs[name] for name in self._names})
        return cast("Floats", found[self._port])


class Torch(Graph):
    """PyTorch in fp32: the reference."""

    def __init__(self, model: Path, threads: int, output: str) -> None:
        import torch
        import transformers

        super().__init__(model, threads, output)
        torch.set_num_threads(threads)
        transformers.logging.set_verbosity_error()
        kind = (
            transformers.AutoModelForSequenceClassification
            if output == LOGITS
            else transformers.AutoModel
        )
        self._model = kind.from_pretrained(str(model)).float().eval()
        self._typed = getattr(self._model.config, "type_vocab_size", 0) > 1

    def run(self, inputs: ModelInputs) -> Floats:
        """See :meth:`Graph.run`."""
        import torch

        given = {
            name: torch.from_numpy(ids)
            for name, ids in inputs.items()
            if self._typed or name != "token_type_ids"
        }
        with torch.inference_mode():
            return cast("Floats", getattr(self._model(**given), self.output).numpy())


KINDS: dict[str, type[Graph]] = {
    "leanbert-onnxruntime": LeanBertOnnxRuntime,
    "leanbert-native": LeanBertNative,
    "leanbert-workers": LeanBertWorkers,
    "optimum": Optimum,
    "openvino": OpenVino,
    "torch": Torch,
}


def in_batches(graph: Graph, tokens: Batch, batches: Iterable[Sequence[int]]) -> Floats:
    """Compute the batches in order; hidden states are averaged over the tokens of each text.

    *Shape:* ``(texts of all batches, num_labels or hidden_size)``, in the order of the batches.
    """

    def computed() -> Iterator[Floats]:
        for batch in batches:
            inputs = pad(tokens.take(batch), 0)  # the mask hides whatever id fills the rows
            found = graph.run(inputs)
            if found.ndim == 3:
                lengths = tokens.lengths[list(batch)]
                rows = zip(found, lengths, strict=True)
                found = np.stack([mean_pool(row[:length]) for row, length in rows])
            yield found

    return np.concatenate(list(computed()))


def timed(graph: Graph, inputs: ModelInputs, seconds: float) -> list[float]:
    """Milliseconds of each run: one is discarded, then as many as fill ``seconds``, at least 1."""
    graph.run(inputs)
    found: list[float] = []
    while not found or sum(found) < 1e3 * seconds:
        start = time.perf_counter()
        graph.run(inputs)
        found.append(1e3 * (time.perf_counter() - start))
    return found


def _exported(checkpoint: Path, output: str) -> Any:
    """Optimum's own fp32 export as an ``ORTModel``."""
    import optimum.onnxruntime as runtime

    name = "SequenceClassification" if output == LOGITS else "FeatureExtraction"
    kind = getattr(runtime, f"ORTModelFor{name}")
    return kind.from_pretrained(str(checkpoint), export=True)


def _check_output(wanted: str, have: Sequence[str], path: Path) -> None:
    if wanted not in have:
        raise InputError(f"{path}: has no output {wanted}, only {', '.join(have)}")


class _Worker:
    def __init__(self, kind: type[Graph]) -> None:
        self._kind = kind
        self._graph: Graph | None = None

    def prepare(self, message: Message) -> Message:
        calibration = message["calibration"]
        self._kind.prepare(
            Path(message["checkpoint"]),
            Path(message["folder"]),
            message["output"],
            Path(calibration) if calibration else None,
        )
        return {}

    def load(self, message: Message) -> Message:
        if message.get("isa"):
            os.environ["LEANBERT_ISA"] = message["isa"]
        self._graph = self._kind(Path(message["model"]), message["threads"], message["output"])
        return {}

    def outputs(self, message: Message) -> Message:
        found = in_batches(self._loaded, read_tokens(Path(message["tokens"])), message["batches"])
        np.save(message["to"], found)
        return {}

    def time(self, message: Message) -> Message:
        inputs = random_inputs(message["rows"], message["length"], message["vocabulary"])
        return {"ms": timed(self._loaded, inputs, message["seconds"])}

    @property
    def _loaded(self) -> Graph:
        if self._graph is None:
            raise RuntimeError("asked before load")
        return self._graph


def _main() -> int:
    worker = _Worker(KINDS[sys.argv[1]])
    serve(
        {
            "prepare": worker.prepare,
            "load": worker.load,
            "outputs": worker.outputs,
            "time": worker.time,
        }
    )
    return 0


if __name__ == "__main__":
    sys.exit(_main())
