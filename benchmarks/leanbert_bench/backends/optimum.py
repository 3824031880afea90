"""Optimum on ONNX Runtime: its fp32 export, and its int8 preset for this CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert.cpu import isa_flags
from leanbert_bench.backends.base import (
    TEXT_TASKS,
    TOKENIZER_FILES,
    file_bytes,
    transformers_modules,
)
from leanbert_bench.backends.transformers import TransformersPipeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation


OPTIMUM_GRAPH = "model_quantized.onnx"
"""The file that Optimum's quantizer writes."""

_KINDS = {
    "text-classification": "ORTModelForSequenceClassification",
    "feature-extraction": "ORTModelForFeatureExtraction",
}


def optimum_preset(flags: Sequence[str] | None = None) -> str:
    """Name the ``AutoQuantizationConfig`` preset that suits this CPU, or these ``flags``."""
    have = isa_flags() if flags is None else flags
    if "asimd" in have:
        return "arm64"
    return "avx512_vnni" if "avx512_vnni" in have else "avx2"


class OptimumFp32(TransformersPipeline):
    """``ORTModelFor…`` in a ``transformers`` pipeline, as Optimum's documentation shows."""

    name = "Optimum ONNX Runtime fp32"
    family = "optimum"
    requires: ClassVar[tuple[str, ...]] = ("optimum-onnx", "onnxruntime", "transformers", "torch")
    makes_with = ("onnx",)
    seconds_to_prepare = 20.0
    tasks = TEXT_TASKS
    graph: ClassVar[str] = "model.onnx"

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Make Optimum's own export."""
        return exported(preparation)

    @property
    def imports(self) -> tuple[str, ...]:
        return (
            "torch",
            "optimum.onnxruntime",
            "transformers.pipelines",
            *transformers_modules(self.config),
        )

    def load(self) -> None:
        import onnxruntime
        import optimum.onnxruntime
        import torch
        import transformers

        threads = self.model.threads
        torch.set_num_threads(threads)
        transformers.logging.set_verbosity_error()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        kind = getattr(optimum.onnxruntime, _KINDS[self.model.task])
        model = kind.from_pretrained(
            str(self.model.path), file_name=self.graph, session_options=options
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(self.model.path))
        self._pipeline = transformers.pipeline(self.model.task, model=model, tokenizer=tokenizer)
        self._session = model.session
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._output = [
            node.name
            for node in self._session.get_outputs()
            if node.name in {"logits", "last_hidden_state"}
        ][:1]
        self.use_tokenizer(tokenizer)
        self.threads_set = {
            "SessionOptions.intra_op_num_threads": threads,
            "SessionOptions.inter_op_num_threads": 1,
            "torch.set_num_threads": threads,
        }

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        feed = {name: inputs[name] for name in self._inputs}
        return cast("Floats", self._session.run(self._output, feed)[0])

    def size(self) -> int:
        names = (self.graph, f"{self.graph}.data", f"{self.graph}_data", *TOKENIZER_FILES)
        return file_bytes(self.model.path / name for name in names)


class OptimumInt8(OptimumFp32):
    """Optimum's own int8 preset for this CPU, dynamic and per channel."""

    name = f"Optimum int8 ({optimum_preset()} preset)"
    precision = "int8"
    graph = OPTIMUM_GRAPH
    seconds_to_prepare = 30.0

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            import optimum.onnxruntime
            from transformers import AutoTokenizer

            source = exported(preparation)
            kind = getattr(optimum.onnxruntime, _KINDS[preparation.task])
            quantize_with_optimum(kind.from_pretrained(str(source)), folder)
            AutoTokenizer.from_pretrained(str(preparation.checkpoint)).save_pretrained(str(folder))

        packages = ("optimum-onnx", "optimum", "onnxruntime", "onnx", "transformers", "torch")
        return preparation.once(f"optimum-{optimum_preset()}", packages, make)


class OptimumInt8Batch32(OptimumInt8):
    """The same, given batches of 32 texts as they come."""

    name = f"Optimum int8 ({optimum_preset()} preset), batches of 32"
    only_if_named = True
    pipeline_batch = 32
    arrangement = "pipeline(list), batch_size=32"


def exported(preparation: Preparation) -> Path:
    """Return Optimum's own fp32 export with its tokenizer; several back ends begin with it."""

    def make(folder: Path) -> None:
        import optimum.onnxruntime
        from transformers import AutoTokenizer

        kind = getattr(optimum.onnxruntime, _KINDS[preparation.task])
        model = kind.from_pretrained(str(preparation.checkpoint), export=True)
        model.save_pretrained(str(folder))
        AutoTokenizer.from_pretrained(str(preparation.checkpoint)).save_pretrained(str(folder))

    packages = ("optimum-onnx", "optimum", "onnx", "transformers", "torch")
    return preparation.once("optimum-fp32", packages, make)


def quantize_with_optimum(exported: Any, folder: Path) -> Path:
    """Quantize an ``ORTModel`` by :func:`optimum_preset`, dynamic and per channel.

    Returns:
        The graph that was made in ``folder``.
    """
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    preset = getattr(AutoQuantizationConfig, optimum_preset())
    ORTQuantizer.from_pretrained(exported).quantize(
        save_dir=str(folder), quantization_config=preset(is_static=False, per_channel=True)
    )
    return folder / OPTIMUM_GRAPH
