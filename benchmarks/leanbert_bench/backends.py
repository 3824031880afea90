"""Who is measured: one small class a back end, used inside a worker process.

A back end imports its libraries in its methods only, so that this module stays light and a
worker pays for no library but its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

from leanbert.cpu import isa_flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [
    "OPTIMUM_GRAPH",
    "Backend",
    "LeanBert",
    "OptimumInt8",
    "Transformers",
    "optimum_preset",
    "quantize_with_optimum",
]

OPTIMUM_GRAPH = "model_quantized.onnx"
"""The file that Optimum's quantizer writes."""

_TASK = "text-classification"
_TOKENIZER_FILES = ("config.json", "tokenizer.json", "vocab.txt")

Answer = dict[str, float]
"""The probability of each label."""


class Backend(ABC):
    """One engine with one model.

    Args:
        model: what :meth:`prepare` gave.
        threads: how many threads it may use.
    """

    def __init__(self, model: Path, threads: int) -> None:
        self.model = model
        self.threads = threads

    @classmethod
    def prepare(cls, model: Path, folder: Path) -> Path:  # noqa: ARG003 - for those that override
        """Make what will be loaded, in a process of its own; by default ``model`` itself.

        Args:
            model: the checkpoint or bundle that the user named.
            folder: an empty directory for what is made.
        """
        return model

    @abstractmethod
    def import_libraries(self) -> None:
        """Import all that :meth:`load` needs, and set the threads of what is global."""

    @abstractmethod
    def load(self) -> None:
        """Construct the pipeline."""

    @abstractmethod
    def one(self, text: str) -> object:
        """Answer one text, as a user would ask for it."""

    @abstractmethod
    def many(self, texts: Sequence[str]) -> object:
        """Answer all texts, as a user would ask for them."""

    @abstractmethod
    def answers(self, texts: Sequence[str]) -> list[Answer]:
        """The probability of every label for each text."""

    @abstractmethod
    def size(self) -> int:
        """Bytes on disk that this back end needs of the model; called after :meth:`load`."""


class _PipelineBackend(Backend):
    """A back end whose :meth:`load` makes a ``transformers``-like pipeline."""

    _pipeline: Any = None

    # Without truncation a text above 512 tokens would stop transformers with an error.
    def one(self, text: str) -> object:
        return self._pipeline(text, truncation=True)

    def many(self, texts: Sequence[str], **options: Any) -> object:
        """See :meth:`Backend.many`; ``options`` are the call's, for example ``batch_size``."""
        return self._pipeline(list(texts), truncation=True, **options)

    def answers(self, texts: Sequence[str]) -> list[Answer]:
        found = self._pipeline(list(texts), truncation=True, top_k=None)
        return [{item["label"]: float(item["score"]) for item in row} for row in found]


class Transformers(_PipelineBackend):
    """``transformers.pipeline`` on PyTorch in fp32: the reference."""

    def import_libraries(self) -> None:
        """See :meth:`Backend.import_libraries`."""
        import torch
        import transformers

        torch.set_num_threads(self.threads)
        transformers.logging.set_verbosity_error()
        # Lazy modules: touching these imports what the construction needs.
        _ = transformers.pipeline, transformers.AutoModelForSequenceClassification

    def load(self) -> None:
        """See :meth:`Backend.load`."""
        import transformers

        self._pipeline = transformers.pipeline(_TASK, model=str(self.model), device="cpu")
        self._pipeline.model.float()  # a checkpoint saved in half precision is compared in fp32

    def size(self) -> int:
        """See :meth:`Backend.size`."""
        for pattern in ("model*.safetensors", "pytorch_model*.bin"):
            weights = sorted(self.model.glob(pattern))
            if weights:
                return _bytes([*weights, *(self.model / name for name in _TOKENIZER_FILES)])
        return _bytes(self.model.rglob("*"))


class OptimumInt8(_PipelineBackend):
    """Optimum's own int8 preset for this CPU, on ONNX Runtime."""

    @classmethod
    def prepare(cls, model: Path, folder: Path) -> Path:
        """Export and quantize with Optimum's defaults, dynamic and per channel."""
        from optimum.onnxruntime import ORTModelForSequenceClassification
        from transformers import AutoTokenizer

        exported = ORTModelForSequenceClassification.from_pretrained(str(model), export=True)
        quantize_with_optimum(exported, folder)
        AutoTokenizer.from_pretrained(str(model)).save_pretrained(str(folder))
        return folder

    def import_libraries(self) -> None:
        """See :meth:`Backend.import_libraries`."""
        import onnxruntime  # noqa: F401 - only to be loaded
        import torch
        import transformers
        from optimum.onnxruntime import ORTModelForSequenceClassification  # noqa: F401 - as above

        torch.set_num_threads(self.threads)
        transformers.logging.set_verbosity_error()
        _ = transformers.pipeline, transformers.AutoTokenizer

    def load(self) -> None:
        """See :meth:`Backend.load`."""
        import onnxruntime
        import transformers
        from optimum.onnxruntime import ORTModelForSequenceClassification

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        model = ORTModelForSequenceClassification.from_pretrained(
            str(self.model), file_name=OPTIMUM_GRAPH, session_options=options
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(self.model))
        self._pipeline = transformers.pipeline(_TASK, model=model, tokenizer=tokenizer)

    def size(self) -> int:
        """See :meth:`Backend.size`."""
        names = (OPTIMUM_GRAPH, f"{OPTIMUM_GRAPH}.data", *_TOKENIZER_FILES)
        return _bytes(self.model / name for name in names)


class LeanBert(_PipelineBackend):
    """A LeanBERT bundle, or a plain ONNX export, with LeanBERT's defaults."""

    mode = "latency"

    def import_libraries(self) -> None:
        """See :meth:`Backend.import_libraries`."""
        import leanbert.pipelines  # noqa: F401 - only to be loaded

    def load(self) -> None:
        """See :meth:`Backend.load`."""
        from leanbert import pipeline

        self._pipeline = pipeline(_TASK, self.model, mode=self.mode, threads=self.threads)

    def size(self) -> int:
        """See :meth:`Backend.size`."""
        return cast("int", self._pipeline.bundle.size)


def optimum_preset(flags: Sequence[str] | None = None) -> str:
    """Which of Optimum's ``AutoQuantizationConfig`` presets suits this CPU, or these ``flags``."""
    have = isa_flags() if flags is None else flags
    if "asimd" in have:
        return "arm64"
    return "avx512_vnni" if "avx512_vnni" in have else "avx2"


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


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
