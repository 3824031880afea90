"""LeanBERT: its bundles on each of its engines, called as its documentation shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import Backend
from leanbert_bench.backends.transformers import call_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation


_OUTPUTS = {
    "text-classification": "logits",
    "feature-extraction": "last_hidden_state",
    "token-classification": "logits",
    "question-answering": "start_logits",
}


class _LeanBert(Backend):
    family = "leanbert"
    requires = ("leanbert",)
    tasks = frozenset(
        {"text-classification", "feature-extraction", "token-classification", "question-answering"}
    )
    arrangement: ClassVar[str] = 'pipeline(list), mode="throughput": a batch on each core'
    engine: ClassVar[str] = "auto"

    _pipeline: Any = None
    _throughput: Any = None

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:  # noqa: ARG003 - it is about this CPU
        """Say why the native library cannot run here, for the native engine."""
        from leanbert.engines.native.binding import why_no_library

        return why_no_library() if cls.engine == "native" else None

    @property
    def imports(self) -> tuple[str, ...]:
        return ("leanbert.pipelines." + self.model.task.replace("-", "_"),)

    def load(self) -> None:
        self._pipeline = self._open("latency")
        self.threads_set = {"threads": self.model.threads}

    def _open(self, mode: str) -> Any:
        from leanbert import pipeline

        return pipeline(
            self.model.task,
            self.model.path,
            mode=mode,
            threads=self.model.threads,
            engine=self.engine,
            deduplicate=False,  # no peer computes repeats once, and a run repeats its texts
        )

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        import numpy as np

        from leanbert.engines import Batch

        real = inputs["attention_mask"] != 0
        ids, types = (
            inputs[name][real].astype(np.int32) for name in ("input_ids", "token_type_ids")
        )
        batch = Batch(ids, types, real.sum(axis=1, dtype=np.int32))
        name = _OUTPUTS[self.model.task]
        found = self._pipeline.runner.engine.run(batch)[name]
        if name != "last_hidden_state":
            return cast("Floats", found)
        padded = np.zeros((*real.shape, found.shape[-1]), np.float32)
        padded[real] = found
        return padded

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._pipeline.runner.tokenizer.encode(list(texts), truncation=True)
        return [found.input_ids[found.place(i)].tolist() for i in range(len(found))]

    def answer(self, items: Sequence[Any]) -> object:
        return self._pipeline(list(items), **call_options(self.model.task))

    def many(self, items: Sequence[Any]) -> object:
        if self._throughput is None:
            self._throughput = self._open("throughput")
        return self._throughput(list(items), **call_options(self.model.task))

    def size(self) -> int:
        return int(self._pipeline.bundle.size)

    def about(self) -> dict[str, str | None]:
        """Say which engine computes, and by which matrix multiplications."""
        report = self._pipeline.engine_report
        return {"engine": report.engine, "matmuls": report.matmuls}


class GivenBundle(_LeanBert):
    """A bundle that the user named, on the engine that LeanBERT chooses."""

    name = "LeanBERT"
    precision = "int8"


class GivenBundleOnnxRuntime(GivenBundle):
    """A bundle that the user named, on ONNX Runtime."""

    name = "LeanBERT on ONNX Runtime"
    engine = "onnxruntime"


class GivenBundleNative(GivenBundle):
    """A bundle that the user named, on the native engine."""

    name = "LeanBERT native"
    engine = "native"


class LeanBertFp32(_LeanBert):
    """The recipe ``fp32`` on ONNX Runtime."""

    name = "LeanBERT fp32"
    makes_with: ClassVar[tuple[str, ...]] = ("torch", "transformers", "onnx")
    engine = "onnxruntime"
    recipe: ClassVar[str] = "fp32"
    seconds_to_prepare = 30.0

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Make the bundle as ``leanbert export`` does."""

        def make(folder: Path) -> None:
            from leanbert_export import exporting
            from leanbert_export.int8 import rounding, weights

            folder.rmdir()  # the export makes it
            few = None
            if preparation.calibration_rows is not None:
                # Random weights: to make up for each rounding takes minutes and would mean nothing.
                # It changes the levels of the weights only, not the graph.
                few = preparation.calibration_texts()
                vars(weights)["quantize_compensated"] = lambda weight, _, limit: (
                    rounding.quantize_columns(weight, limit)
                )
            exporting.export(
                str(preparation.checkpoint),
                folder,
                recipe=cls.recipe,
                task=preparation.task,
                texts=few,
                calibration=None if cls.recipe == "fp32" else few,
            )

        packages = ("leanbert", "torch", "transformers", "optimum-onnx", "onnxruntime", "onnx")
        return preparation.once(f"leanbert-{cls.recipe}", packages, make, sources=True)


class LeanBertInt8OnnxRuntime(LeanBertFp32):
    """The recipe ``int8`` on ONNX Runtime."""

    name = "LeanBERT int8, ONNX Runtime"
    precision = "int8"
    recipe = "int8"
    seconds_to_prepare = 150.0
    seconds_if_random = 50.0


class LeanBertInt8Shared(LeanBertInt8OnnxRuntime):
    """The recipe ``int8`` on ONNX Runtime, the texts of a batch shared by single-threaded workers.

    That is how ``mode="throughput"`` computes; here :meth:`forward` does it with one batch.
    """

    name = "LeanBERT int8, ONNX Runtime, a thread per text"
    only_if_named = True

    def load(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        super().load()
        self._throughput = self._pipeline = self._open("throughput")
        self._workers = ThreadPoolExecutor(self.model.threads)

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        import numpy as np

        rows = np.array_split(np.arange(len(inputs["input_ids"])), self.model.threads)
        parts = [
            {name: array[share] for name, array in inputs.items()} for share in rows if len(share)
        ]
        return np.concatenate(list(self._workers.map(super().forward, parts)))


class LeanBertInt8Native(LeanBertInt8OnnxRuntime):
    """The recipe ``int8`` on the native engine."""

    name = "LeanBERT int8, native"
    engine = "native"
