"""ONNX Runtime alone: a graph, and the export after its own fusions with its ``Attention``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import TOKENIZER_FILES, file_bytes
from leanbert_bench.backends.optimum import exported
from leanbert_bench.backends.tokenizing import TokenizingBackend

if TYPE_CHECKING:
    from pathlib import Path

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation

_FUSED = frozenset({"bert", "roberta", "distilbert", "camembert", "xlm-roberta", "electra"})


class OnnxRuntimeGraph(TokenizingBackend):
    """A graph in ONNX Runtime, with its own optimizer."""

    family = "onnxruntime"
    requires: ClassVar[tuple[str, ...]] = ("onnxruntime", "transformers")
    graph: ClassVar[str] = "model.onnx"

    _session: Any = None

    @property
    def imports(self) -> tuple[str, ...]:
        return ("onnxruntime", "transformers.models.auto.tokenization_auto")

    def load(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.model.threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(self.model.path / self.graph), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [node.name for node in self._session.get_inputs()]
        self.load_tokenizer()
        self.threads_set = {
            "SessionOptions.intra_op_num_threads": self.model.threads,
            "SessionOptions.inter_op_num_threads": 1,
        }

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        feed = {name: inputs[name] for name in self._inputs}
        return cast("Floats", self._session.run(None, feed)[0])

    def size(self) -> int:
        return file_bytes(self.model.path / name for name in (self.graph, *TOKENIZER_FILES))


class OnnxRuntimeFused(OnnxRuntimeGraph):
    """``onnxruntime.transformers.optimizer`` on Optimum's fp32 export."""

    name = "ONNX Runtime fp32, Attention fused"
    makes_with = ("optimum-onnx", "onnx", "torch", "sympy")
    seconds_to_prepare = 25.0

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:
        if config.model_type in _FUSED:
            return None
        return f"ONNX Runtime fuses no attention of {config.model_type}"

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            from onnxruntime.transformers import optimizer
            from transformers import AutoConfig, AutoTokenizer

            config = AutoConfig.from_pretrained(str(preparation.checkpoint))
            fused = optimizer.optimize_model(
                str(exported(preparation) / "model.onnx"),
                model_type="bert",
                num_heads=config.num_attention_heads,
                hidden_size=config.hidden_size,
            )
            found = fused.get_fused_operator_statistics().get("Attention", 0)
            if found != config.num_hidden_layers:
                raise RuntimeError(
                    f"onnxruntime fused {found} of {config.num_hidden_layers} attentions"
                )
            fused.save_model_to_file(str(folder / cls.graph))
            AutoTokenizer.from_pretrained(str(preparation.checkpoint)).save_pretrained(str(folder))

        packages = ("onnxruntime", "optimum-onnx", "onnx", "torch")
        return preparation.once("onnxruntime-fused", packages, make)
