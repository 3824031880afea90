"""OpenVINO: the fp32 graph, and NNCF's static int8 with all other operators in fp32."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import TOKENIZER_FILES, file_bytes, sorted_batches
from leanbert_bench.backends.optimum import exported
from leanbert_bench.backends.tokenizing import TokenizingBackend

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation


_GRAPH = "openvino.xml"
_OUTPUTS = ("logits", "last_hidden_state")


class OpenVinoFp32(TokenizingBackend):
    """The ONNX export, read by OpenVINO.

    ``INFERENCE_PRECISION_HINT`` is f32. Without it OpenVINO computes in bf16 on CPUs that have it,
    and bf16 would be compared with fp32 silently.
    """

    name = "OpenVINO fp32"
    family = "openvino"
    requires = ("openvino", "transformers")
    makes_with: ClassVar[tuple[str, ...]] = ("optimum-onnx", "onnx", "torch")
    arrangement = "sorted by length, batches of 16, a stream per thread (AsyncInferQueue)"
    seconds_to_prepare = 25.0

    _request: Any = None
    _queue: Any = None

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            import openvino

            graph = openvino.Core().read_model(str(exported(preparation) / "model.onnx"))
            openvino.save_model(graph, str(folder / _GRAPH), compress_to_fp16=False)

        return preparation.once("openvino-fp32", ("openvino", "optimum-onnx", "torch"), make)

    @property
    def imports(self) -> tuple[str, ...]:
        return ("openvino", "transformers.models.auto.tokenization_auto")

    def load(self) -> None:
        threads = self.model.threads
        compiled = self._compile({"PERFORMANCE_HINT": "LATENCY"})
        self._names = [port.get_any_name() for port in compiled.inputs]
        names = [port.get_any_name() for port in compiled.outputs]
        self._index = next(i for i, name in enumerate(names) if name in _OUTPUTS)
        self._request = compiled.create_infer_request()
        self.load_tokenizer()
        self.threads_set = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY (Offline: THROUGHPUT)",
            "NUM_STREAMS (Offline)": threads,
        }

    def _compile(self, settings: dict[str, str | int]) -> Any:
        import openvino

        return openvino.Core().compile_model(
            str(self.model.path / _GRAPH),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.model.threads,
                **settings,
            },
        )

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        found = self._request.infer({name: inputs[name] for name in self._names})
        return cast("Floats", found[self._index])

    def many(self, items: Sequence[Any]) -> object:
        """Compute as many batches at once as there are streams."""
        import numpy as np
        import openvino

        if self._queue is None:
            streams = self.model.threads
            compiled = self._compile({"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams})
            self._queue = openvino.AsyncInferQueue(compiled, streams)
            self._queue.set_callback(self._done)
        rows = self.tokenize(items)
        self._answers: dict[int, Any] = {}
        for batch in sorted_batches([len(row) for row in rows], self.batch_size):
            inputs = self.collate([rows[i] for i in batch])
            given = {name: inputs[name] for name in self._names}
            self._queue.start_async(given, (batch, np.asarray(inputs["attention_mask"])))
        self._queue.wait_all()
        return [self._answers[i] for i in range(len(rows))]

    def _done(self, request: Any, about: Any) -> None:
        batch, mask = about
        outputs = request.get_output_tensor(self._index).data.copy()
        self._answers.update(zip(batch, self.decode(outputs, mask), strict=True))

    def size(self) -> int:
        path = self.model.path / _GRAPH
        folder = self.model.checkpoint or self.model.path
        return file_bytes([path, path.with_suffix(".bin"), *(folder / n for n in TOKENIZER_FILES)])


class OpenVinoInt8(OpenVinoFp32):
    """NNCF's post-training quantization, calibrated on the texts that LeanBERT's export uses."""

    name = "OpenVINO int8 (NNCF static)"
    precision = "int8"
    makes_with = ("nncf", "optimum-onnx", "onnx", "torch")
    seconds_to_prepare = 90.0

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Quantize the export; each calibration text is a batch of its own."""

        def make(folder: Path) -> None:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(str(preparation.checkpoint))
            encode = partial(tokenizer, truncation=True, max_length=512, return_tensors="np")
            texts = preparation.calibration_texts()
            quantize_with_nncf(exported(preparation) / "model.onnx", map(encode, texts), folder)

        packages = ("openvino", "nncf", "optimum-onnx", "torch")
        return preparation.once("openvino-int8", packages, make)


def quantize_with_nncf(graph: Path, encodings: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Quantize an ONNX graph statically by NNCF, as its documentation shows for transformers.

    Args:
        graph: the fp32 graph.
        encodings: what calibrates: the arrays of one text each, by the names of the graph's inputs.
        folder: where the back ends look for the graph that is made.
    """
    import nncf
    import openvino

    model = openvino.Core().read_model(str(graph))
    names = [port.get_any_name() for port in model.inputs]
    batches = [{name: found[name].astype("int64") for name in names} for found in encodings]
    quantized = nncf.quantize(
        model,
        nncf.Dataset(batches),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(batches),
    )
    openvino.save_model(quantized, str(folder / _GRAPH), compress_to_fp16=False)
